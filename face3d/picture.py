"""A face crop as the tracker compares it: a small pyramid, sampled with its gradient."""

from dataclasses import dataclass
from typing import no_type_check

import cv2
import numba
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

LEVELS = 2

BLUR_PIXELS = 0.8
"""Standard deviation of the blur before sampling: linear steps need a picture that is smooth."""


@dataclass(frozen=True)
class Picture:
    """Levels of a crop, the finest first, each half the size of the one before."""

    levels: tuple[UInt8[ndarray, "_ _ 3"], ...]

    @staticmethod
    def of(crop: UInt8[ndarray, "H W 3"]) -> "Picture":
        smooth = cv2.GaussianBlur(crop, (0, 0), BLUR_PIXELS)
        pyramid = [smooth]
        while len(pyramid) < LEVELS:
            # Not pyrDown: its pixels lie on every second pixel's centre, a quarter pixel aside.
            wide = cv2.GaussianBlur(pyramid[-1], (0, 0), BLUR_PIXELS)
            size = wide.shape[1] // 2, wide.shape[0] // 2
            pyramid.append(cv2.resize(wide, size, interpolation=cv2.INTER_AREA))
        return Picture(tuple(pyramid))


@numba.njit(cache=True, nogil=True)
@no_type_check  # or the tests' shape checker would wrap it before it is compiled
def sampled(
    image: UInt8[ndarray, "H W 3"], xy: Float32[ndarray, "P 2"]
) -> tuple[Float32[ndarray, "P 3"], Float32[ndarray, "P 3 2"], Float32[ndarray, "P"]]:
    """Bilinear colours at `xy`, their central differences over a pixel each way, and 1 inside.

    A point whose neighbourhood leaves the image gets zeros.
    """
    height, width = image.shape[:2]
    count = len(xy)
    colour = np.zeros((count, 3), np.float32)
    slope = np.zeros((count, 3, 2), np.float32)
    inside = np.zeros(count, np.float32)
    for i in range(count):
        x, y = xy[i, 0] - np.float32(0.5), xy[i, 1] - np.float32(0.5)
        if not (x >= 1 and y >= 1 and x < width - 2 and y < height - 2):
            continue
        column, row = int(x), int(y)
        u, v = x - column, y - row
        inside[i] = 1
        for k in range(3):
            for dy in range(2):
                for dx in range(2):
                    share = (u if dx else 1 - u) * (v if dy else 1 - v)
                    r, s = row + dy, column + dx
                    across = np.float32(image[r, s + 1, k]) - np.float32(image[r, s - 1, k])
                    down = np.float32(image[r + 1, s, k]) - np.float32(image[r - 1, s, k])
                    colour[i, k] += share * np.float32(image[r, s, k])
                    slope[i, k, 0] += np.float32(0.5) * share * across
                    slope[i, k, 1] += np.float32(0.5) * share * down
    return colour, slope, inside
