"""Which triangles turn their front to the camera."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from render.backends import SMALLEST_DETERMINANT


def front_facing(corners: Float[Tensor, "*batch 3 4"]) -> Bool[Tensor, "*batch"]:
    """Triangles that turn to the camera and have an area, by their corners in clip space.

    det (x, y, w) > 0 (Olano and Greer 1997), wherever the corners lie: a triangle that is wholly
    behind the camera covers nothing all the same. One with a corner at infinity has no area.
    """
    v = corners[..., [0, 1, 3]]
    determinant = (v[..., 0, :] * torch.linalg.cross(v[..., 1, :], v[..., 2, :])).sum(-1)
    return determinant > SMALLEST_DETERMINANT * v.abs().sum(-1).prod(-1)
