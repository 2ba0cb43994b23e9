"""Whether a picture is woven of two fields, told by the teeth that motion leaves."""

import numpy as np

from media.frame import Frame

TOOTH_SHARE = 1 / 16
"""Least step, of the full scale, from a row to its neighbours for a tooth."""

COMBED_SHARE = 0.0004
"""Share of pixels that are teeth from which on a picture is combed. The worst picture of 35
progressive clips has 0.00017; woven from two of their frames every clip has one above 0.0006."""


def teeth(frame: Frame) -> float:
    """Share of pixels that step away from both their neighbouring rows, which agree with each
    other, and whose neighbours two rows away agree with them: no single line in a picture does.
    """
    luma = frame.planes[0].astype(np.int32)
    step = TOOTH_SHARE * (2**frame.pixels.bits - 1)
    above, below = luma[1:-3] - luma[2:-2], luma[3:-1] - luma[2:-2]
    apart = np.minimum(np.abs(above), np.abs(below))
    same_side = above * below > 0
    neighbours = np.abs(luma[1:-3] - luma[3:-1])
    field = np.maximum(np.abs(luma[:-4] - luma[2:-2]), np.abs(luma[4:] - luma[2:-2]))
    tooth = same_side & (apart > step) & (neighbours < apart / 2) & (field < apart / 2)
    return float(tooth.mean())


def is_combed(frame: Frame) -> bool:
    """Whether the picture's two fields were taken at two moments and something moved between."""
    return teeth(frame) > COMBED_SHARE
