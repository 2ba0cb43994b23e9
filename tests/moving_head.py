"""A head whose every number is known: it turns, speaks and is seen by a known camera."""

import torch
from torch import Tensor

from core.camera import Camera
from face3d.landmarks import Landmarks
from face3d.morphable import MorphableModel, default_model
from face3d.topology import LANDMARKS
from face3d.track import Identity, Motion, camera_vertices

CAMERA = Camera(1024.0, (256.0, 256.0), 512, 512)
"""Two focal lengths a side, as the tracker expects: depth and focal length are one in landmarks."""


def somebody(seed: int = 0, deviations: float = 0.7) -> Identity:
    random = torch.Generator().manual_seed(seed)
    count = len(default_model().identity)
    return Identity(deviations * torch.randn(count, generator=random), torch.zeros(LANDMARKS, 3))


def speaking(frames: int, fps: float = 25.0, seed: int = 0) -> Motion:
    """Head turns of up to 14 degrees and lips that move at one to two hertz."""
    model, random = default_model(), torch.Generator().manual_seed(seed)
    t = torch.arange(frames) / fps
    turn = [0.15 * (2.1 * t + 0.3).sin(), 0.25 * (1.3 * t).sin(), 0.08 * (1.7 * t + 1).sin()]
    place = [0.02 * t.sin(), 0.01 * (1.2 * t).cos(), 0.03 * (0.8 * t).sin() - 0.9]

    def waves(count: int, hertz: float) -> Tensor:
        phase = 2 * torch.pi * torch.rand(count, generator=random)
        rate = 2 * torch.pi * hertz * (0.5 + torch.rand(count, generator=random))
        return (t[:, None] * rate + phase).sin()

    mouth, upper = waves(len(model.mouth), 1.5), 0.7 * waves(len(model.upper), 0.7)
    return Motion(torch.stack(turn, -1), torch.stack(place, -1), mouth, upper)


def still(frames: int, depth: float = -0.9) -> Motion:
    """A facing head with its mouth shut."""
    model = default_model()
    place = torch.tensor([0.0, 0.0, depth]).expand(frames, 3).clone()
    zeros = [torch.zeros(frames, len(basis)) for basis in (model.mouth, model.upper)]
    return Motion(torch.zeros(frames, 3), place, *zeros)


def joined(*parts: Motion) -> Motion:
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Motion(*(torch.cat(column) for column in columns))


def detected(
    identity: Identity,
    motion: Motion,
    camera: Camera = CAMERA,
    noise: float = 0.5,
    missing: slice | None = None,
    model: MorphableModel | None = None,
) -> Landmarks:
    """The landmarks a detector with errors of `noise` pixels would report; irises repeat."""
    points = camera_vertices(model or default_model(), identity, motion)[:, :LANDMARKS]
    random = torch.Generator().manual_seed(1)
    xy = camera.pixels_from_camera(points)
    xy = xy + noise * torch.randn(xy.shape, generator=random)
    z = points[..., 2]
    depth = (z - z.mean(1, keepdim=True)) * camera.focal / -z.mean(1, keepdim=True)
    xy, depth = (torch.cat([value, value[:, :10]], 1) for value in (xy, depth))
    if missing is not None:
        xy[missing], depth[missing] = torch.nan, torch.nan
    return Landmarks(xy.numpy(), depth.numpy())
