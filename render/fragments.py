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


def rasterize(
    clip_positions: Float[Tensor, "B V 4"],
    triangles: Int[Tensor, "F 3"],
    height: int,
    width: int,
    backend: str = "auto",
) -> Fragments:
    """Fragments of a mesh; ids come from `visible_faces`, gradients flow to the clip positions.

    With p = (x, y, 1) the pixel's centre in NDC and v the corners as (x, y, w), the weights are
    b = e / Σe with e_i = p · (v_j × v_k) (Olano and Greer 1997), in float64 so that thin triangles
    keep theirs.
    """
    face = visible_faces(clip_positions, triangles, height, width, backend)
    pixel = covered_pixels(face)
    corners = corners_of(clip_positions.double(), triangles)
    v = corners[..., [0, 1, 3]]
    edges = torch.linalg.cross(v[:, :, [1, 2, 0]], v[:, :, [2, 0, 1]])
    # Three edge functions, then the sums of e_i z_i and of e_i w_i: each linear in p.
    linear = torch.cat([edges, corners[..., 2:].mT @ edges], -2).mT
    along_x, along_y, constant = at_pixels(linear, face, pixel).unbind(1)
    x = ((pixel % width).double() + 0.5) * 2 / width - 1
    y = 1 - ((pixel // width % height).double() + 0.5) * 2 / height
    e0, e1, e2, z, w = (along_x * x[:, None] + along_y * y[:, None] + constant).unbind(-1)
    b = torch.stack([e0, e1, e2], -1) / (e0 + e1 + e2).unsqueeze(-1)

    dtype, shape = clip_positions.dtype, face.shape
    return Fragments(
        face,
        spread(b.to(dtype), pixel, face.numel(), 0.0).view(*shape, 3),
        spread((z / w).to(dtype).unsqueeze(-1), pixel, face.numel(), 1.0).view(shape),
    )


def interpolate(
    fragments: Fragments, attributes: Float[Tensor, "#B V C"], triangles: Int[Tensor, "F 3"]
) -> Float[Tensor, "B C H W"]:
    """Vertex attributes at the visible points, Σ b_i a_i; 0 where there is none."""
    corners = corners_of(attributes, triangles)
    pixel = covered_pixels(fragments.face)
    first, second, third = at_pixels(corners, fragments.face, pixel).unbind(1)
    b = fragments.barycentric.flatten(0, 2).index_select(0, pixel).to(corners.dtype)
    values = b[:, :1] * first + b[:, 1:2] * second + b[:, 2:] * third
    image = spread(values, pixel, fragments.face.numel(), 0.0)
    return image.view(*fragments.face.shape, corners.shape[-1]).permute(0, 3, 1, 2).contiguous()


def covered_pixels(face: Int[Tensor, "B H W"]) -> Int[Tensor, " N"]:
    """Flat indices of the pixels that see a face."""
    return (face.flatten() >= 0).nonzero().squeeze(-1)


def corners_of(
    vertices: Float[Tensor, "B V C"], triangles: Int[Tensor, "F 3"]
) -> Float[Tensor, "B F 3 C"]:
    """What each face's corners carry."""
    return vertices.index_select(1, triangles.flatten().long()).unflatten(1, triangles.shape)


def at_pixels(
    of_face: Float[Tensor, "#B F K C"], face: Int[Tensor, "B H W"], pixel: Int[Tensor, " N"]
) -> Float[Tensor, "N K C"]:
    """The rows of the faces that covered pixels see; one batch element may serve all.

    One wide row a pixel: several times faster on CPU than three of a corner, both ways.
    """
    row = face.flatten().index_select(0, pixel).long()
    if len(of_face) > 1:
        row = row + pixel // face[0].numel() * of_face.shape[1]
    return of_face.flatten(0, 1).flatten(1).index_select(0, row).unflatten(1, of_face.shape[2:])


def spread(
    values: Float[Tensor, "N C"], pixel: Int[Tensor, " N"], count: int, fill: float
) -> Float[Tensor, "P C"]:
    """Values at their pixels, `fill` at the others."""
    return values.new_full((count, values.shape[-1]), fill).index_copy(0, pixel, values)
