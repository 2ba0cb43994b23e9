"""Smooth random fields in space: the procedural half of skin, hair and cloth."""

from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

_PERIOD = 32


@lru_cache(maxsize=32)
def lattice(seed: int) -> Float[Tensor, "1 1 D D D"]:
    """Unit-variance values on a lattice that repeats after `_PERIOD` cells, one cell of overlap."""
    draw = torch.Generator().manual_seed(seed)
    values = torch.randn((_PERIOD,) * 3, generator=draw)
    return F.pad(values[None, None], (0, 1) * 3, mode="circular")


def value_noise(points: Float[Tensor, "N 3"], seed: int) -> Float[Tensor, " N"]:
    """Trilinear value noise with cells of size one."""
    wrapped = points.remainder(_PERIOD) * (2 / _PERIOD) - 1
    found = F.grid_sample(lattice(seed), wrapped[None, :, None, None], align_corners=True)
    return found.flatten()


def fractal_noise(points: Float[Tensor, "N 3"], seed: int, octaves: int) -> Float[Tensor, " N"]:
    """Octaves of value noise, each twice as fine and half as strong as the one before."""
    return sum(
        (0.5**octave * value_noise(points * 2**octave, seed + octave) for octave in range(octaves)),
        torch.zeros(len(points)),
    )
