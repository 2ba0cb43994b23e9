"""What landmarks show of the lips: measures that survive size, tilt and place of the face.

Coordinates are the face's own: x along the line between the eyes to the subject's left, y down,
origin between the eyes, one unit their distance. A head that turns aside brings its eyes together;
what changes slowly, a turn as well as a smile, is taken out before the lips are judged.
"""

from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d

from face3d.topology import INNER_PAIRS, NOSE_BASE

RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS = (33, 133), (362, 263)
CORNERS_OUTER, CORNERS_INNER = (61, 291), (78, 308)
UPPER_OUTER, UPPER_INNER, LOWER_INNER, LOWER_OUTER = 0, 13, 14, 17
BOWS = (40, 270)
CHIN = 152

MEASURES = (
    "gap", "gap beside", "gap aside", "gap at corners",
    "width", "inner width", "upper lip", "lower lip",
    "corners below", "chin", "lip below nose", "bow width",
)  # fmt: skip
DRIFT_SECONDS = 0.7
SMALLEST_DEVIATION = 1e-3
"""Eye distances: a measure that varies less is noise and is not turned up to unit size."""


def face_coordinates(xy: Float[np.ndarray, "T 478 2"]) -> Float[np.ndarray, "T 478 2"]:
    """Landmarks in the face's own coordinates; NaN frames stay NaN."""
    right, left = xy[:, RIGHT_EYE_CORNERS].mean(1), xy[:, LEFT_EYE_CORNERS].mean(1)
    across = left - right
    squared = np.square(across).sum(-1, keepdims=True)
    down = np.stack([-across[:, 1], across[:, 0]], -1)
    axes = np.stack([across, down], -1) / squared[..., None]
    return np.einsum("tpc,tcd->tpd", xy - (right + left)[:, None] / 2, axes)


def lip_measures(xy: Float[np.ndarray, "T 478 2"]) -> Float[np.ndarray, "T 12"]:
    """The `MEASURES` of each frame in eye distances; NaN without a face. Mirroring changes none."""
    x, y = np.moveaxis(face_coordinates(xy.astype(np.float64)), -1, 0)
    upper, lower = np.array(INNER_PAIRS).T
    gaps = y[:, lower] - y[:, upper]
    middle = len(INNER_PAIRS) // 2
    pairs = [gaps[:, (middle - k, middle + k)].mean(1) for k in (0, 1, 3, 4)]

    def span(points: tuple[int, int]) -> np.ndarray:
        return x[:, points[1]] - x[:, points[0]]

    return np.stack(
        [
            *pairs,
            span(CORNERS_OUTER),
            span(CORNERS_INNER),
            y[:, UPPER_INNER] - y[:, UPPER_OUTER],
            y[:, LOWER_OUTER] - y[:, LOWER_INNER],
            y[:, CORNERS_OUTER].mean(1) - y[:, UPPER_INNER],
            y[:, CHIN] - y[:, NOSE_BASE],
            y[:, UPPER_OUTER] - y[:, NOSE_BASE],
            span(BOWS),
        ],
        1,
    )


def lip_changes(
    xy: Float[np.ndarray, "T 478 2"], fps: Fraction
) -> tuple[Float[np.ndarray, "T 12"], Bool[np.ndarray, " T"]]:
    """Measures less their local mean, of unit deviation over the clip, and which frames are known.

    The mean is Gaussian over `DRIFT_SECONDS`; unknown frames are 0 and count in nothing.
    """
    measures = lip_measures(xy)
    known = np.isfinite(measures).all(1)
    if not known.any():
        return np.zeros_like(measures), known
    sigma = DRIFT_SECONDS * float(fps)
    weight = gaussian_filter1d(known.astype(np.float64), sigma, mode="constant")
    total = gaussian_filter1d(
        np.where(known[:, None], measures, 0.0), sigma, axis=0, mode="constant"
    )
    mean = total / weight.clip(1e-9)[:, None]
    change = np.where(known[:, None], measures - mean, 0.0)
    return change / (change[known].std(0) + SMALLEST_DEVIATION), known
