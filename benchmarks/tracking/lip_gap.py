"""The gap between the lips as pictures show it: along the face's own up axis, in px256.

Gaps are signed and counted from 0: where fitted lips overlap, they touch.
"""

import numpy as np
from jaxtyping import Float

from evaluate.metrics.lips import eye_axis
from face3d.topology import INNER_PAIRS


def lip_gap(points: Float[np.ndarray, "T L 2"], pixels_per_px256: float) -> Float[np.ndarray, " T"]:
    """Mean gap of the nine inner pairs, of landmarks or of fitted vertices in pixels."""
    axis = eye_axis(points)
    down = np.stack([-axis[:, 1], axis[:, 0]], -1) / np.linalg.norm(axis, axis=-1, keepdims=True)
    upper, lower = np.array(INNER_PAIRS).T
    gaps = np.einsum("tpc,tc->tp", points[:, lower] - points[:, upper], down)
    return gaps.clip(min=0).mean(-1) / pixels_per_px256
