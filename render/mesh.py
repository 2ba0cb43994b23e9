"""Triangle meshes: counter-clockwise from outside, in the frame a name says."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from core.errors import InputError


@dataclass(frozen=True)
class Mesh:
    """`B` poses of one topology. UV: (0, 0) the texture's top-left corner, v down.

    Raises InputError when a triangle cannot be drawn.
    """

    vertices: Float[Tensor, "B V 3"]
    triangles: Int32[Tensor, "F 3"]
    uv: Float[Tensor, "V 2"]

    def __post_init__(self) -> None:
        check_triangles(self.triangles, self.vertices.shape[1])

    def to(self, device: torch.device | str) -> "Mesh":
        return Mesh(self.vertices.to(device), self.triangles.to(device), self.uv.to(device))


def check_triangles(triangles: Int[Tensor, "F 3"], vertex_count: int) -> None:
    """Raises InputError for a corner that is no vertex, or a triangle that names one twice."""
    outside = ((triangles < 0) | (triangles >= vertex_count)).any(1).nonzero().flatten()
    if len(outside):
        face = int(outside[0])
        raise InputError(
            f"triangle {face} has corners {triangles[face].tolist()} and the mesh has vertices "
            f"0 to {vertex_count - 1}; drop the triangle or add its vertices."
        )
    a, b, c = triangles.unbind(1)
    repeated = ((a == b) | (b == c) | (c == a)).nonzero().flatten()
    if len(repeated):
        face = int(repeated[0])
        raise InputError(
            f"triangle {face} has corners {triangles[face].tolist()} and a triangle needs three "
            "different ones; drop it."
        )


def vertex_normals(
    vertices: Float[Tensor, "B V 3"], triangles: Int[Tensor, "F 3"]
) -> Float[Tensor, "B V 3"]:
    """Unit normals, the area-weighted mean of the faces around; 0 at a vertex without area."""
    a, b, c = (vertices.index_select(1, corner.long()) for corner in triangles.unbind(1))
    twice_area = torch.linalg.cross(b - a, c - a)
    summed = torch.zeros_like(vertices)
    for corner in triangles.unbind(1):
        summed = summed.index_add(1, corner.long(), twice_area)
    length = summed.norm(dim=-1, keepdim=True)
    return summed / torch.where(length > 0, length, torch.ones_like(length))
