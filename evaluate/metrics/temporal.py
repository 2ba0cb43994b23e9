"""What moves that should not: flicker, seams, jitter, and pixels outside the matte.

Pictures are `rgb_coded`, `[T H W 3]`, uint8 or float in 0 to 255; masks are bool, `[T H W]` or one
`[H W]` for all frames; `valid` flags frames `[T]`. Ratios are generated over truth, 1 is as the
truth; where the truth has none and neither has the generated, the ratio is 1.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, Num

from evaluate.metrics.known import known_mean, ratio
from evaluate.metrics.picture import LUMA, Mask, Pictures, Valid, frame_mask

SEAM_RING_PIXELS = 1


def flicker_ratio(
    generated: Pictures, truth: Pictures, mask: Mask | None = None, valid: Valid | None = None
) -> float:
    """Mean |Iₜ − Iₜ₋₁| inside the mask, generated over truth.

    A pair of frames counts where both are valid, on the pixels that both masks hold; each pair
    weighs the same. NaN where no pair can be scored.
    """
    changes = np.full((max(len(truth) - 1, 0), 2), np.nan)
    for index in range(1, len(truth)):
        inside = frame_mask(mask, truth, index - 1) & frame_mask(mask, truth, index)
        if (valid is not None and not valid[index - 1 : index + 1].all()) or not inside.any():
            continue
        for column, clip in enumerate((generated, truth)):
            now, before = (clip[i][inside].astype(np.float64) for i in (index, index - 1))
            changes[index - 1, column] = np.abs(now - before).mean()
    return ratio(known_mean(changes[:, 0]), known_mean(changes[:, 1]))


def seam_ratio(
    generated: Pictures, truth: Pictures, matte: Mask, valid: Valid | None = None
) -> float:
    """Mean luma gradient on a ring along the matte's border, generated over truth; > 1 is a seam.

    The ring is the pixels on both sides of the border; where the matte ends with the picture
    there is none. NaN where no frame has a ring.
    """
    gradients = np.full((len(truth), 2), np.nan)
    for index in range(len(truth)):
        ring = border_ring(frame_mask(matte, truth, index))
        if (valid is not None and not valid[index]) or not ring.any():
            continue
        gradients[index] = [
            slope(clip[index].astype(np.float64) @ LUMA)[ring].mean() for clip in (generated, truth)
        ]
    return ratio(known_mean(gradients[:, 0]), known_mean(gradients[:, 1]))


def jitter(points: Float[np.ndarray, "T L C"]) -> float:
    """Mean length of the second difference pₜ₊₁ − 2 pₜ + pₜ₋₁, in the points' unit per frame².

    Steady motion has none. Unknown points are NaN; NaN with fewer than three frames in a row.
    """
    return known_mean(np.linalg.norm(np.diff(points, n=2, axis=0), axis=-1))


def outside_max_diff(
    generated: Sequence[Num[np.ndarray, "*T _ _"]],
    truth: Sequence[Num[np.ndarray, "*T _ _"]],
    matte: Bool[np.ndarray, "*T H W"],
) -> float:
    """The largest absolute difference of native planes outside the matte; the promise is 0.

    Planes may be subsampled: a sample is outside where its whole block of matte pixels is. The
    planes' leading axes, if any, are the matte's. A NaN that both hold is equal; one that only one
    holds makes the result NaN.
    """
    assert len(generated) == len(truth), (len(generated), len(truth))
    worst = 0.0
    for ours, plate in zip(generated, truth, strict=True):
        assert ours.shape == plate.shape, (ours.shape, plate.shape)
        outside = ~covered(matte, ours.shape[-2], ours.shape[-1])
        a, b = (plane[outside].astype(np.float64) for plane in (ours, plate))
        equal = (a == b) | (np.isnan(a) & np.isnan(b))
        worst = np.maximum(worst, np.abs(a[~equal] - b[~equal]).max(initial=0.0))
    return float(worst)


def border_ring(inside: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Pixels within `SEAM_RING_PIXELS` of the mask's border, on both sides of it."""
    kernel = np.ones((2 * SEAM_RING_PIXELS + 1,) * 2, np.uint8)
    mask = inside.astype(np.uint8)
    return cv2.dilate(mask, kernel) > cv2.erode(mask, kernel)


def slope(plane: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "H W"]:
    """Gradient magnitude by central differences, in code values per pixel."""
    return np.hypot(*np.gradient(plane))


def covered(
    matte: Bool[np.ndarray, "*T H W"], height: int, width: int
) -> Bool[np.ndarray, "*T {height} {width}"]:
    """True for a plane's samples whose block of matte pixels holds any of the matte."""
    step_down, step_right = (
        -(-a // b) for a, b in zip(matte.shape[-2:], (height, width), strict=True)
    )
    lack = (height * step_down - matte.shape[-2], width * step_right - matte.shape[-1])
    padded = np.pad(matte, [(0, 0)] * (matte.ndim - 2) + [(0, lack[0]), (0, lack[1])])
    blocks = padded.reshape(*matte.shape[:-2], height, step_down, width, step_right)
    return blocks.any((-3, -1))
