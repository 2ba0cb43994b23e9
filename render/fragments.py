"""What a pixel sees of a mesh, and attributes carried there. Everything here has gradients.

`B` images, `V` vertices, `F` triangles, `C` channels; `N` covered pixels, the only ones computed.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from render.visibility import visible_faces


@dataclass(frozen=True)
class Fragments:
    """The visible point of each pixel: its face, where on the face, how far.

    `face`: −1 where there is none. `barycentric`: perspective-correct weights of the face's
    corners, 0 where there is none. `depth`: z/w, near = −1; 1 where there is none.
    """

    face: Int32[Tensor, "B H W"]
    barycentric: Float[Tensor, "B H W 3"]
    depth: Float[Tensor, "B H W"]

    @property
    def coverage(self) -> Float[Tensor, "B 1 H W"]:
        """1 on covered pixels, 0 elsewhere; no gradient."""
        return (self.face >= 0).unsqueeze(1).to(self.barycentric.dtype)


def rasterize(
    clip_positions: Float[Tensor, "B V 4"],
    triangles: Int[Tensor, "F 3"],
    height: int,
    width: int,
    backend: str = "auto",
) -> Fragments:
    """Fragments of a mesh; ids come from `visible_faces`, gradients flow to the clip positions.

    With p = (x, y, 1) the pixel's centre in NDC and v the corners as (x, y, w), the weights are
    b = e / Σe with e_i = p · (v_j × v_k) (Olano and Greer 1997). A shear by −w p leaves e as it is
    and p at the origin, which keeps small triangles accurate; float64 keeps thin ones so.
    """
    face = visible_faces(clip_positions, triangles, height, width, backend)
    pixel = covered_pixels(face)
    corners = covered_corners(face, pixel, triangles, clip_positions.shape[:2])
    x, y, z, w = gathered(clip_positions.double().flatten(0, 1), corners).unbind(-1)

    row = (pixel // width % height).double().unsqueeze(-1)
    column = (pixel % width).double().unsqueeze(-1)
    x = x - w * ((column + 0.5) * 2 / width - 1)
    y = y - w * (1 - (row + 0.5) * 2 / height)
    after, before = [1, 2, 0], [2, 0, 1]
    e = x[:, after] * y[:, before] - x[:, before] * y[:, after]
    b = e / e.sum(-1, keepdim=True)
    depth = (b * z).sum(-1) / (b * w).sum(-1)

    dtype, shape = clip_positions.dtype, face.shape
    return Fragments(
        face,
        spread(b.to(dtype), pixel, face.numel(), 0.0).view(*shape, 3),
        spread(depth.to(dtype).unsqueeze(-1), pixel, face.numel(), 1.0).view(shape),
    )


def interpolate(
    fragments: Fragments, attributes: Float[Tensor, "#B V C"], triangles: Int[Tensor, "F 3"]
) -> Float[Tensor, "B C H W"]:
    """Vertex attributes at the visible points; 0 where there is none."""
    pixel = covered_pixels(fragments.face)
    corners = covered_corners(fragments.face, pixel, triangles, attributes.shape[:2])
    return weighted(fragments, attributes.flatten(0, 1), pixel, corners)


def interpolate_corners(
    fragments: Fragments, attributes: Float[Tensor, "F 3 C"]
) -> Float[Tensor, "B C H W"]:
    """Attributes that belong to a face's corner (UV across a seam) at the visible points."""
    pixel = covered_pixels(fragments.face)
    first = fragments.face.flatten()[pixel].long() * 3
    corners = first.unsqueeze(-1) + torch.arange(3, device=first.device)
    return weighted(fragments, attributes.flatten(0, 1), pixel, corners)


def covered_pixels(face: Int[Tensor, "B H W"]) -> Int[Tensor, " N"]:
    """Flat indices of the pixels that see a face."""
    return (face.flatten() >= 0).nonzero().squeeze(-1)


def covered_corners(
    face: Int[Tensor, "B H W"],
    pixel: Int[Tensor, " N"],
    triangles: Int[Tensor, "F 3"],
    shape: torch.Size,
) -> Int[Tensor, "N 3"]:
    """The corners seen by covered pixels, as rows of vertices `[B V]` flattened (B may be 1)."""
    batch, vertices = shape
    corners = triangles.long()[face.flatten()[pixel].long()]
    if batch == 1:
        return corners
    return corners + (pixel // face[0].numel() * vertices).unsqueeze(-1)


def gathered(rows: Float[Tensor, "R C"], index: Int[Tensor, "N 3"]) -> Float[Tensor, "N 3 C"]:
    """Rows by index. Unlike `rows[index]`, its backward pass is an index_add, fast on CPU."""
    return rows.index_select(0, index.flatten()).view(*index.shape, rows.shape[-1])


def weighted(
    fragments: Fragments,
    rows: Float[Tensor, "R C"],
    pixel: Int[Tensor, " N"],
    corners: Int[Tensor, "N 3"],
) -> Float[Tensor, "B C H W"]:
    """Σ b_i rows[corner_i] on covered pixels, 0 elsewhere."""
    b = fragments.barycentric.flatten(0, 2).index_select(0, pixel).to(rows.dtype)
    values = (b.unsqueeze(-1) * gathered(rows, corners)).sum(1)
    image = spread(values, pixel, fragments.face.numel(), 0.0)
    return image.view(*fragments.face.shape, rows.shape[-1]).permute(0, 3, 1, 2).contiguous()


def spread(
    values: Float[Tensor, "N C"], pixel: Int[Tensor, " N"], count: int, fill: float
) -> Float[Tensor, "P C"]:
    """Values at their pixels, `fill` at the others."""
    return values.new_full((count, values.shape[-1]), fill).index_copy(0, pixel, values)
