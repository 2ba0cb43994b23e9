"""Points scattered over the face's surface, where a picture is compared with the model.

`P` samples, `S` identity, `M` mouth and `U` upper-face coefficients, `K` = M + U.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from face3d.morphable import MorphableModel
from face3d.topology import (
    EYES_AND_BROWS,
    LANDMARKS,
    LIPS,
    LIPS_BETWEEN,
)
from render.mesh import vertex_normals

SAMPLES = 3000

DENSITY_LIPS, DENSITY_EYES = 4.0, 2.0
"""Samples a square metre, beside plain skin: where small motions matter most. Each says less."""

FAR_FROM_MOUTH = 0.3
"""How much the upper face says. It tells the head's pose together with the landmarks, and shine
that does not move with the skin tells it wrong; the mouth has nobody but its pixels."""


@dataclass(frozen=True)
class Samples:
    """Points of the surface: corners of their triangles, weights in them, and how much each says
    beside a sample of plain skin near the mouth."""

    corners: Int[Tensor, "P 3"]
    weights: Float[Tensor, "P 3"]
    say: Float[Tensor, "P"]

    def __len__(self) -> int:
        return len(self.corners)

    def on(self, values: Float[Tensor, "*batch V C"]) -> Float[Tensor, "*batch P C"]:
        """Values of the vertices at the samples."""
        corners = values[..., self.corners, :]
        return (corners * self.weights.to(values.dtype)[..., None]).sum(-2)

    def normals(
        self, vertices: Float[Tensor, "T V 3"], triangles: Int[Tensor, "F 3"]
    ) -> Float[Tensor, "T P 3"]:
        """Unit normals, smooth over the surface."""
        normals = self.on(vertex_normals(vertices, triangles))
        return normals / normals.norm(dim=-1, keepdim=True).clamp_min(1e-9)


def surface_samples(model: MorphableModel, count: int = SAMPLES) -> Samples:
    """About `count` samples of the visible face, the same ones every time.

    Each triangle gets its share by area and region; inside it they follow the plastic-number
    sequence (Roberts 2018, "R2"), folded into the triangle.
    """
    triangles = model.triangles.long()
    triangles = triangles[(triangles < LANDMARKS).all(1) & ~model.inside[triangles].any(1)]
    corners = model.mean[triangles].double()
    area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    share = area.norm(dim=-1) * density(triangles)
    wanted = share * count / share.sum()
    # The sum is rounded, not each triangle, so that small triangles get their due.
    edges = torch.cat([wanted.new_zeros(1), wanted.cumsum(0)]).round().long()
    face = torch.repeat_interleave(torch.arange(len(triangles)), edges.diff())
    picked = triangles[face]
    near = model.lower_face[picked].any(1)
    say = torch.where(near, 1.0, FAR_FROM_MOUTH) / density(picked)
    return Samples(picked, folded(len(face)).float(), say.float())


def density(triangles: Int[Tensor, "F 3"]) -> Float[Tensor, "F"]:
    """Samples an area, beside plain skin."""
    dense = torch.ones(LANDMARKS, dtype=torch.float64)
    dense[list(EYES_AND_BROWS)] = DENSITY_EYES
    dense[list(LIPS + LIPS_BETWEEN)] = DENSITY_LIPS
    return dense[triangles].mean(1)


def folded(count: int) -> Float[Tensor, "P 3"]:
    """Barycentric weights that fill a triangle evenly, whichever run of them is taken."""
    plastic = 1.32471795724474602596
    steps = torch.arange(1, count + 1, dtype=torch.float64)
    u, v = (0.5 + steps / plastic) % 1, (0.5 + steps / plastic**2) % 1
    over = u + v > 1
    u, v = torch.where(over, 1 - u, u), torch.where(over, 1 - v, v)
    return torch.stack([1 - u - v, u, v], -1)
