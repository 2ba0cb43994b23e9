"""How high a person's upper teeth end, read off pictures.

The upper arc hangs on the upper lip by an average; real crowns and lips differ by millimetres. But
teeth are fixed to the skull: along lines that ride with the head, what open mouths show averages to
bright teeth above and to whatever moves or is dark below. The edge is where brightness has fallen
half way.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from core.camera import Camera
from core.rotation import matrix_from_axis_angle
from face3d.anatomy import ARCH_COLUMNS, FACE_V
from face3d.lips import mouth_opening
from face3d.morphable import MorphableModel
from face3d.track import Identity, Motion, camera_vertices
from face3d.view import look

HEIGHTS = torch.linspace(-0.005, 0.008, 27)
"""Metres above the average edge at which teeth are looked for."""

FRAMES = 24
"""Most open mouths that are looked at."""

MIDDLE = slice(4, 11)
"""Columns of the arc that are looked at: the incisors and canines."""

ENOUGH = 14
"""Looks (of a column in a frame) that a height needs before its mean counts."""

CONTRAST = 35.0
"""Code values that teeth must be brighter than what lies below: less is no teeth."""


def upper_teeth_height(
    model: MorphableModel,
    identity: Identity,
    motion: Motion,
    images: UInt8[Tensor, "N 3 H W"],
    cameras: Sequence[Camera],
) -> float:
    """Metres by which the person's upper teeth end higher than the average's; 0 where none show.

    Brightness is that of the darkest channel, in which teeth are bright and lips are not.
    """
    opening = mouth_opening(model, motion.mouth)
    frames = opening.topk(min(FRAMES, len(motion))).indices.tolist()
    seen = [_along_lines(model, identity, motion[i : i + 1], images[i], cameras[i]) for i in frames]
    values = torch.cat(seen, 1)
    known = torch.isfinite(values)
    count = known.sum(1)
    profile = values.nan_to_num(0).sum(1) / count.clamp_min(1)
    return _edge(profile[count >= ENOUGH], HEIGHTS[count >= ENOUGH])


def _along_lines(
    model: MorphableModel, identity: Identity, motion: Motion, image: Tensor, camera: Camera
) -> Float[Tensor, "L C"]:
    """Brightness at each height along the arc's middle columns of one frame, NaN where the upper
    teeth cannot be there: on the lips, beyond the picture, on the lower arc."""
    view = look(model, identity, motion, camera)
    u, v = view.uv[0]
    free = (v > FACE_V) & ~((v > model.uv[model.upper_arc, 1].max()) & (u < 0.5))
    edge = camera_vertices(model, identity, motion)[0, model.upper_arc][-ARCH_COLUMNS:][MIDDLE]
    up = matrix_from_axis_angle(motion.rotation)[0, :, 1]
    at = camera.pixels_from_camera(edge + HEIGHTS[:, None, None] * up)
    place = 2 * at[None] / at.new_tensor([camera.width, camera.height]) - 1
    brightness = avg_pool2d(image[None].float(), 3, 1, 1).amin(1, keepdim=True)
    values = grid_sample(brightness, place, align_corners=False)[0, 0]
    inside = grid_sample(free[None, None].float(), place, mode="nearest", align_corners=False)
    return torch.where(inside[0, 0] > 0, values, torch.nan)


def _edge(profile: Float[Tensor, " L"], heights: Float[Tensor, " L"]) -> float:
    """Where a profile, from the bottom to the top, last rises half way to its brightest."""
    if len(profile) < 3:
        return 0.0
    top = int(profile.argmax())
    dark = profile[: top + 1].min()
    if profile[top] - dark < CONTRAST:
        return 0.0
    level = (profile[top] + dark) / 2
    below = int(torch.nonzero(profile[:top] < level).flatten()[-1])
    share = (level - profile[below]) / (profile[below + 1] - profile[below])
    return float(heights[below] + share * (heights[below + 1] - heights[below]))
