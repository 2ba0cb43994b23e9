"""Pictures of the moving head, painted with a known texture: what any renderer should reproduce."""

import torch
from moving_head import CAMERA, somebody
from torch import Tensor

from core.camera import Camera
from face3d.morphable import default_model
from face3d.track import Crop, Identity, Motion
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH, look, window_corner
from prior.training.corpus import Windows

CROP = Crop(106, 106, 300, 300)


def texture_at(uv: Tensor) -> Tensor:
    """Colours in [−1, 1] of texture coordinates `[B 2 H W]`: waves that no two regions share."""
    u, v = uv.unbind(1)
    waves = [(9 * u + 2 * v).sin(), (11 * v - 3 * u).cos(), (7 * (u + v)).sin()]
    return 0.8 * torch.stack(waves, 1)


def chart_at(uv: Tensor) -> Tensor:
    """Texture coordinates themselves as colours: red is u, green is v."""
    return 2 * torch.cat([uv, torch.zeros_like(uv[:, :1])], 1) - 1


def picture(identity: Identity, motion: Motion, camera: Camera, paint=texture_at) -> Tensor:
    """Painted heads before grey, uint8 [N 3 H W]."""
    view = look(default_model(), identity, motion, camera)
    shown = (view.fragments.face >= 0)[:, None]
    colours = torch.where(shown, paint(view.uv), torch.zeros(()))
    return ((colours + 1) * 127.5).round().clamp(0, 255).byte()


def painted_windows(
    motion: Motion, margin: int = 0, frames: Tensor | None = None, paint=texture_at, scale: int = 1
) -> Windows:
    """Windows of a painted clip, cut as a corpus' are."""
    who, camera = somebody(), CROP.finer(scale).camera(CAMERA)
    width, height = (scale * side + 2 * margin for side in (WINDOW_WIDTH, WINDOW_HEIGHT))
    corners = window_corner(default_model(), who, motion, camera, width, height)
    images = [
        picture(who, motion[i : i + 1], camera.cropped(left, top, 1.0, width, height), paint)
        for i, (left, top) in enumerate(corners)
    ]
    return Windows(
        torch.cat(images),
        torch.tensor(corners, dtype=torch.int32),
        torch.arange(len(motion)) if frames is None else frames,
        motion,
        who,
        (camera,) * len(motion),
        scale=scale,
    )
