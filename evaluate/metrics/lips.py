"""How the lips move: openings, distances between landmarks, and motion where there is no sound.

Landmarks are pixels `[T 478 2]` in MediaPipe's scheme with refined lips and irises; a frame
without a face is NaN. Openings are gaps in units of the distance between the eyes, so they survive
a change of size; the gap is measured along the face's own up axis, so they survive a tilted head. A
head that turns aside brings its eyes together: openings grow by 1 / cos(yaw).
"""

from fractions import Fraction

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

from evaluate.metrics.known import known_mean

Landmarks = Float[np.ndarray, "T 478 2"]
Curve = Float[np.ndarray, " T"]

# MediaPipe's face mesh, each list from the subject's right corner to the left one.
LIPS_OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIPS_OUTER_LOWER = (146, 91, 181, 84, 17, 314, 405, 321, 375)
LIPS_INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LIPS_INNER_LOWER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
LIPS = LIPS_OUTER_UPPER + LIPS_OUTER_LOWER + LIPS_INNER_UPPER + LIPS_INNER_LOWER
LIP_CORNERS = (61, 291)

# Upper over lower inner lip, corners left out.
INNER_PAIRS = tuple(zip(LIPS_INNER_UPPER[1:-1], LIPS_INNER_LOWER, strict=True))

# 99th percentile of `opening_motion` on 570 frames of 66 GRID clips, at least 0.6 s from any word.
# 79 % of the same speakers' frames within words lie above it.
SPEAKING_MOTION = 0.037
MOTION_SECONDS = 0.2

# Outer and inner corner of the subject's right and left eye: they stay put when the eyes turn.
RIGHT_EYE_CORNERS = (33, 133)
LEFT_EYE_CORNERS = (263, 362)


def eye_axis(landmarks: Landmarks) -> Float[np.ndarray, "T 2"]:
    """From the subject's right eye to the left one, in pixels."""
    right = landmarks[:, RIGHT_EYE_CORNERS].mean(1)
    return landmarks[:, LEFT_EYE_CORNERS].mean(1) - right


def eye_distance(landmarks: Landmarks) -> Curve:
    """Between the middles of the two eyes, in pixels."""
    return np.linalg.norm(eye_axis(landmarks), axis=-1)


def lip_gap(landmarks: Landmarks) -> Curve:
    """Mean gap of the nine inner-lip pairs along the face's up axis, in pixels."""
    axis = eye_axis(landmarks)
    down = np.stack([-axis[:, 1], axis[:, 0]], -1) / np.linalg.norm(axis, axis=-1, keepdims=True)
    upper, lower = np.array(INNER_PAIRS).T
    gaps = landmarks[:, lower] - landmarks[:, upper]
    return np.abs(np.einsum("tpc,tc->tp", gaps, down)).mean(-1)


def mouth_opening(landmarks: Landmarks) -> Curve:
    """`lip_gap` in eye distances: 0 is shut, about 0.3 a wide vowel."""
    return lip_gap(landmarks) / eye_distance(landmarks)


def mouth_width(landmarks: Landmarks) -> Curve:
    """Between the lips' outer corners, in eye distances."""
    right, left = (landmarks[:, corner] for corner in LIP_CORNERS)
    return np.linalg.norm(left - right, axis=-1) / eye_distance(landmarks)


def lmd_px256(
    generated: Landmarks,
    truth: Landmarks,
    crop_pixels: float | Curve,
    points: tuple[int, ...] = LIPS,
) -> float:
    """Landmark distance: mean L2 over `points` and frames, with the face crop scaled to 256.

    `crop_pixels` is the side of the square face crop in the landmarks' own pixels, for the clip or
    per frame; the same crop scales both sides. Nothing is aligned: a mouth in the wrong place
    counts. NaN where no frame has both faces.
    """
    distance = np.linalg.norm(generated[:, points] - truth[:, points], axis=-1).mean(-1)
    return known_mean(distance * 256.0 / crop_pixels)


def opening_mae_px256(generated: Landmarks, truth: Landmarks, crop_pixels: float | Curve) -> float:
    """Mean |difference of `lip_gap`|, with the face crop scaled to 256; NaN as in `lmd_px256`."""
    return known_mean(np.abs(lip_gap(generated) - lip_gap(truth)) * 256.0 / crop_pixels)


def opening_corr(generated: Curve, truth: Curve) -> float:
    """Pearson's correlation of two opening curves over the frames where both are known.

    NaN with fewer than three such frames, or where either curve is constant.
    """
    known = np.isfinite(generated) & np.isfinite(truth)
    if known.sum() < 3:
        return np.nan
    a, b = (curve[known] - curve[known].mean() for curve in (generated, truth))
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm > 1e-12 else np.nan


def opening_motion(opening: Curve, fps: Fraction) -> Curve:
    """How far the opening ranges within 0.2 s around each frame, in eye distances.

    NaN where the window holds no face; windows are cut at the clip's ends.
    """
    reach = max(1, round(MOTION_SECONDS * fps / 2))
    padded = np.pad(opening, reach, constant_values=np.nan)
    windows = sliding_window_view(padded, 2 * reach + 1)
    unknown = np.isnan(windows)
    high = np.where(unknown, -np.inf, windows).max(-1)
    low = np.where(unknown, np.inf, windows).min(-1)
    return np.where(unknown.all(-1), np.nan, high - low)


def leak_share(opening: Curve, fps: Fraction, threshold: float = SPEAKING_MOTION) -> float:
    """Share of frames judged speaking, which under silent sound is the old performance leaking.

    A frame speaks when its `opening_motion` exceeds `threshold`. NaN where no frame has a face.
    """
    motion = opening_motion(opening, fps)
    known = motion[np.isfinite(motion)]
    return float((known > threshold).mean()) if known.size else np.nan
