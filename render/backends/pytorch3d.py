"""The visibility contract by PyTorch3D (Ravi et al. 2020), where a user has installed it.

Read for this adapter: documentation and docstrings of version 0.7.9. Vertices go in as float32 NDC
with +x to the *left*, y up, the shorter side of the image from −1 to 1, the longer from −s to s
with s the ratio of sides, and a positive depth as z. `pix_to_face` counts the faces of the whole
batch; row 0 is the top; a pixel exactly on an edge belongs to nobody.

Short of the contract: corners are float32, and a triangle with a corner behind the camera is not
drawn; so it is never chosen by itself.
"""

import torch
from jaxtyping import Float, Int, Int32
from pytorch3d.renderer.mesh.rasterize_meshes import (  # pyright: ignore[reportMissingImports]
    rasterize_meshes,
)
from pytorch3d.structures import Meshes  # pyright: ignore[reportMissingImports]
from torch import Tensor

from render.facing import front_facing

NUDGE_PIXELS = (2e-4, 2e-5)
"""Meshes move this much to the left and up: pixels on left edges and on level top edges then lie
inside, those on right and bottom edges outside, as the top-left rule has it. For float32 less would
be nothing."""


def visible_faces(
    clip_positions: Float[Tensor, "B V 4"], triangles: Int[Tensor, "F 3"], height: int, width: int
) -> Int32[Tensor, "B H W"]:
    """See `render.visibility.visible_faces`."""
    clip = clip_positions.detach().double()
    corners = clip.index_select(1, triangles.flatten().long()).unflatten(1, (-1, 3))
    drawn = front_facing(corners) & (corners[..., 3] > 0).all(-1)
    nobody = torch.full((len(clip), height, width), -1, dtype=torch.int32, device=clip.device)
    if not drawn.any():
        return nobody
    points = drawn_points(corners[drawn], height, width).split((3 * drawn.sum(1)).tolist())
    own = [torch.arange(len(each), device=clip.device).view(-1, 3) for each in points]
    seen = rasterize_meshes(Meshes(list(points), own), (height, width), faces_per_pixel=1)[0][
        ..., 0
    ]
    face_of_packed = drawn.nonzero()[:, 1].int()
    return torch.where(seen >= 0, face_of_packed[seen.clamp_min(0)], nobody)


def drawn_points(corners: Float[Tensor, "N 3 4"], height: int, width: int) -> Float[Tensor, "M 3"]:
    """Clip-space corners in front of the camera as PyTorch3D's points, M = 3 N.

    With z/w for the depth, made positive, what PyTorch3D interpolates linearly on the screen is the
    contract's depth.
    """
    x, y, z, w = corners.flatten(0, 1).unbind(-1)
    short = min(height, width)
    left, up = (2 * nudge / short for nudge in NUDGE_PIXELS)
    column, row, depth = x / w * width / short - left, y / w * height / short + up, z / w
    return torch.stack([-column, row, depth - depth.amin() + 1], -1).float()
