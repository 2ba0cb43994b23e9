"""Grain: what changes from frame to frame where nothing moves, by octaves of size.

Lumas are 8-bit code values `[H W]`. A band is the difference of two Gaussian blurs; its grain is
the deviation of the difference between neighbouring frames, over √2. Medians over pixels and the
lower quartile over time leave out what moves: lips, eyes, edges.
"""

from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Bool, Float

from evaluate.metrics.known import ratio
from evaluate.metrics.picture import LUMA, Mask, Pictures, Valid, frame_mask

SIGMAS = (0.7, 1.4, 2.8)
"""Blurs in pixels: fine grain lies below the first, coarse between the last two."""

BANDS = ("grain_fine", "grain_medium", "grain_coarse")

Levels = Float[np.ndarray, "3"]
Plane = Float[np.ndarray, "H W"]


def band_pass(luma: Plane) -> Float[np.ndarray, "3 H W"]:
    """The plane's octaves; their sum and the widest blur make the plane."""
    blurred = [luma, *(cv2.GaussianBlur(luma, (0, 0), sigma) for sigma in SIGMAS)]
    return np.stack([fine - coarse for fine, coarse in pairwise(blurred)])


def grain_between(before: Plane, now: Plane, region: Bool[np.ndarray, "H W"]) -> Levels:
    """Each band's grain in two neighbouring frames of one region, in code values."""
    change = np.abs(band_pass(now) - band_pass(before))[:, region]
    # 1.4826 medians of absolute values are a Gaussian's deviation.
    return 1.4826 / np.sqrt(2) * np.median(change, axis=1)


def still_level(levels: Float[np.ndarray, "T 3"]) -> Levels:
    """The grain of the stillest quarter of the pairs; NaN without any."""
    known = levels[np.isfinite(levels).all(1)]
    return np.percentile(known, 25, axis=0) if len(known) else np.full(3, np.nan)


def grain_ratios(
    generated: Pictures, truth: Pictures, mask: Mask | None = None, valid: Valid | None = None
) -> dict[str, float]:
    """Grain inside the mask, generated over truth, by band; 1 is as the truth."""
    levels = np.full((2, max(len(truth) - 1, 0), 3), np.nan)
    for i in range(1, len(truth)):
        inside = frame_mask(mask, truth, i - 1) & frame_mask(mask, truth, i)
        if (valid is not None and not valid[i - 1 : i + 1].all()) or not inside.any():
            continue
        for side, clip in enumerate((generated, truth)):
            before, now = (clip[k].astype(np.float64) @ LUMA for k in (i - 1, i))
            levels[side, i - 1] = grain_between(before, now, inside)
    ours, theirs = (still_level(side) for side in levels)
    return {name: ratio(float(a), float(b)) for name, a, b in zip(BANDS, ours, theirs, strict=True)}
