"""JᵀWJ and JᵀWr of landmarks without ever holding the Jacobians of all frames.

A landmark's expression rows are its projection, brought to head axes, times its bases: they are
made, used and forgotten frame by frame, in the cache. Seven times faster than whole arrays.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float64
from numpy import ndarray


@numba.njit(cache=True, nogil=True)
@no_type_check  # or the tests' shape checker would wrap it before it is compiled
def gram(
    pose: Float64[ndarray, "T L 2 P"],
    local: Float64[ndarray, "T L 2 3"],
    bases: Float64[ndarray, "L 3 K"],
    weight: Float64[ndarray, "T L"],
    residual: Float64[ndarray, "T L 2"],
) -> tuple[Float64[ndarray, "T D D"], Float64[ndarray, "T D"]]:
    """Normal equations of rows [pose, local · bases], D = P + K columns."""
    frames, count = weight.shape
    first, size = pose.shape[-1], pose.shape[-1] + bases.shape[-1]
    blocks, right = np.empty((frames, size, size)), np.empty((frames, size))
    rows, target = np.empty((2 * count, size)), np.empty(2 * count)
    for t in range(frames):
        for point in range(count):
            root = np.sqrt(weight[t, point])
            for i in range(2):
                row = rows[2 * point + i]
                row[:first] = root * pose[t, point, i]
                x, y, z = root * local[t, point, i]
                for k in range(first, size):
                    row[k] = (
                        x * bases[point, 0, k - first]
                        + y * bases[point, 1, k - first]
                        + z * bases[point, 2, k - first]
                    )
                target[2 * point + i] = root * residual[t, point, i]
        blocks[t] = rows.T @ rows
        right[t] = target @ rows
    return blocks, right
