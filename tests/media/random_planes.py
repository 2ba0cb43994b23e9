"""Planes whose every sample is random, so that any copy but an exact one shows."""

from fractions import Fraction

import numpy as np

from media.pixels import pixel_format

NTSC = Fraction(30000, 1001)


def random_planes(name: str, width: int, height: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    pixels = pixel_format(name)
    generator = np.random.default_rng(seed)
    shifts = [*pixels.shifts, (0, 0)] if pixels.alpha else pixels.shifts
    return tuple(
        generator.integers(
            0, 1 << pixels.bits, (-(-height >> y), -(-width >> x)), dtype=pixels.dtype
        )
        for x, y in shifts
    )
