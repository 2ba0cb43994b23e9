"""A face model as its makers drew it: their vertices and polygons, before redub's form of it.

`V` vertices, `P` polygons of three or four corners, `W` texture points.
"""

from dataclasses import dataclass
from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.errors import InputError


class Part(IntEnum):
    """What a polygon shows; landmarks lie on skin and lips."""

    SKIN = 0
    LIPS = 1
    MOUTH = 2
    TEETH = 3
    EYE = 4
    IRIS = 5
    UNSEEN = 6
    """Lashes, tear fluid and other shells that a plain picture is better without."""


@dataclass(frozen=True)
class Sculpt:
    """Shapes in metres, head-local axes (+x to the subject's left, y up, +z out of the face).

    `identity` is scaled to one deviation of its coefficient, `expression` to the rig's own unit.
    `local` shapes each move one region and keep their meaning when used apart (a blendshape rig);
    others (principal components) move everything at once. `ajar` are expression weights that part
    the lips, the jaw's above all. A polygon's fourth corner is −1 in a triangle; `uv_polygons` runs
    along `polygons`, and both uv arrays are empty for a model without texture coordinates (v up, as
    files have it).
    """

    name: str
    licence: str
    neutral: Float[Tensor, "V 3"]
    identity: Float[Tensor, "S V 3"]
    expression: Float[Tensor, "E V 3"]
    expression_names: tuple[str, ...]
    local: bool
    ajar: Float[Tensor, "E"]
    polygons: Int[Tensor, "P 4"]
    part: Int[Tensor, "P"]
    uv: Float[Tensor, "W 2"]
    uv_polygons: Int[Tensor, "Q 4"]

    def __post_init__(self) -> None:
        count = len(self.neutral)
        corners = self.polygons
        if int(corners.max()) >= count or int(corners[:, :3].min()) < 0:
            raise InputError(
                f"{self.name} has polygons of vertices {int(corners[:, :3].min())} to "
                f"{int(corners.max())} and {count} vertices; export the mesh again."
            )
        assert len(self.expression_names) == len(self.expression)
        assert len(self.uv_polygons) in (0, len(corners))

    @property
    def triangles(self) -> Int[Tensor, "F 3"]:
        """Polygons as triangles: first all (a, b, c), then (a, c, d) of the four-sided ones."""
        return split_polygons(self.polygons)

    @property
    def triangle_part(self) -> Int[Tensor, "F"]:
        """The part of each of `triangles`."""
        return torch.cat([self.part, self.part[self.polygons[:, 3] >= 0]])

    def ajar_vertices(self) -> Float[Tensor, "V 3"]:
        """The mean face with parted lips: where upper and lower lip are told apart."""
        return self.neutral + torch.einsum("e,evc->vc", self.ajar, self.expression)


def split_polygons(polygons: Int[Tensor, "P 4"]) -> Int[Tensor, "F 3"]:
    """Triangles (a, b, c) of all polygons, then (a, c, d) of those with a fourth corner."""
    four = polygons[polygons[:, 3] >= 0]
    return torch.cat([polygons[:, :3], four[:, [0, 2, 3]]])
