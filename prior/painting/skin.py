"""The colours of a face's skin in one recording: a small chart that knows light, not pores."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from face3d.anatomy import FACE_V
from face3d.mask import swept_mask
from face3d.morphable import MorphableModel
from face3d.track import Identity, Track
from face3d.unwrap import unwrap
from face3d.view import crop_image, look
from media.footage import Footage
from render.fragments import interpolate, rasterize

TEXELS = 64
"""Texels a side of the chart."""

FRAMES = 16
"""Frames of a shot that a chart is made of."""

ENOUGH = 1.0
"""Weight, in pixels, from which a texel's colour is believed."""


@dataclass(frozen=True)
class Skin:
    """Mean colours in [−1, 1] of each texel over some frames, and where they are known.

    The chart covers the whole face, the mouth's inside excepted.
    """

    colours: Float[Tensor, "3 R R"]
    known: Bool[Tensor, "R R"]


def skin_of(
    model: MorphableModel, clip: Footage, track: Track, frames: Int[np.ndarray, "N"], hidden: bool
) -> Skin:
    """The skin that some frames of a track (at least one; indices into it) show.

    With `hidden`, what the outer mask covers is not looked at: a plate's own mouth is not known.
    Reads the clip from the first to the last frame it needs, one frame in memory.
    """
    spread = np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).astype(int)
    wanted = {int(i) for i in frames[spread]}
    first, last = min(wanted), max(wanted)
    coordinates, images = [], []
    shown = clip.frames(range(track.start + first, track.start + last + 1))
    for i, frame in enumerate(shown, first):
        if i not in wanted:
            continue
        crop, here = track.crop(i), track.motion[i : i + 1]
        camera = crop.camera(track.camera)
        uv = look(model, track.identity, here, camera).uv
        if hidden:
            uv = uv * ~swept_mask(model, track.identity, here, camera)[:, None]
        coordinates.append(uv[0])
        images.append(torch.from_numpy(crop_image(frame.rgb, crop).transpose(2, 0, 1).copy()))
    # Lists, because the crops of two shots need not be of one size.
    colours, weight = unwrap(coordinates, images, TEXELS)
    return Skin(colours, (weight > ENOUGH) & face_chart())


@cache
def face_chart() -> Bool[Tensor, "R R"]:
    """Texels of the outside of the face."""
    rows = (torch.arange(TEXELS) + 0.5) / TEXELS
    return (rows < FACE_V)[:, None].expand(TEXELS, TEXELS)


def normal_chart(model: MorphableModel, identity: Identity) -> Float[Tensor, "3 R R"]:
    """Unit normals of the neutral face at each texel, head-local; 0 where the chart is empty."""
    vertices = model.shape(identity.shape, identity.offset)
    corners = model.triangles.long()
    a, b, c = vertices[corners].unbind(1)
    area = torch.linalg.cross(b - a, c - a)
    normals = torch.zeros_like(vertices)
    for column in corners.unbind(1):
        normals = normals.index_add(0, column, area)
    normals = torch.nn.functional.normalize(normals, dim=1)
    # The chart seen as a picture: u to the right, v down, everything at one depth.
    at = torch.cat([2 * model.uv - 1, torch.zeros_like(model.uv)], 1) * torch.tensor([1, -1, 1, 1])
    at[:, 3] = 1
    chart = rasterize(at[None], model.triangles, TEXELS, TEXELS)
    return torch.nn.functional.normalize(
        interpolate(chart, normals[None], model.triangles)[0], dim=0
    )
