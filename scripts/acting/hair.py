"""Where hair grows on the canonical head, and the volume it adds."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from render.mesh import vertex_normals

from .noise import fractal_noise

# Height of the hairline against depth (metres): nape, above the ear, temple, forehead.
_DEPTH = np.array([-0.06, -0.035, 0.03, 0.05, 0.07, 0.09])
_HEIGHT = np.array([-0.05, 0.05, 0.056, 0.085, 0.098, 0.103])
_VOLUME_METRES = 0.012


def hair_height(canonical: Float[Tensor, "*N 3"]) -> Float[Tensor, "*N"]:
    """Metres above the hairline; negative on bare skin."""
    _, y, z = canonical.unbind(-1)
    line = np.interp(z.numpy(), _DEPTH, _HEIGHT).astype(np.float32)
    return y - torch.from_numpy(line)


def with_hair(
    rest: Float[Tensor, "V 3"], canonical: Float[Tensor, "V 3"], triangles: Int[Tensor, "F 3"]
) -> Float[Tensor, "V 3"]:
    """Vertices under hair pushed outwards, lumpily."""
    normals = vertex_normals(rest[None], triangles)[0]
    share = (hair_height(canonical) / 0.04).clamp(0, 1)
    cover = share * share * (3 - 2 * share)
    lumps = 1 + 0.15 * fractal_noise(canonical * 60, seed=11, octaves=2)
    return rest + (cover * lumps * _VOLUME_METRES)[:, None] * normals
