"""The inside of the open mouth, where teeth show: what a dub is judged by from up close.

Found in the true pictures alone, so every system is judged on the same pixels: the polygon of the
true inner lips, in frames where it holds enough bright, colourless pixels.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float

from evaluate.metrics.lips import LIPS_INNER_LOWER, LIPS_INNER_UPPER
from evaluate.metrics.picture import LUMA, Pictures

INNER_LIPS = LIPS_INNER_UPPER + LIPS_INNER_LOWER[::-1]
"""Once around the mouth's inside."""

LEAST_PIXELS = 60
"""An inside smaller than this, in a face crop of 256, is a line between the lips."""

TEETH_LUMA = 0.55
"""Teeth are at least this bright, as a share of the skin around the lips."""
TEETH_CHROMA = 0.45
"""(max − min) / max of a tooth's colour is below this: tongue and lips are redder."""
TEETH_SHARE = 0.15
"""Share of the inside that must look like teeth."""


def mouth_inside(
    landmarks: Float[np.ndarray, "T 478 2"], height: int, width: int
) -> Bool[np.ndarray, "T {height} {width}"]:
    """Pixels whose centre lies within the inner lips; none where the lips are not known."""
    inside = np.zeros((len(landmarks), height, width), np.uint8)
    for plane, lips in zip(inside, landmarks[:, INNER_LIPS], strict=True):
        if np.isfinite(lips).all():
            # fillPoly counts from pixel centres, in sixteenths here.
            corners = np.round((lips - 0.5) * 16).astype(np.int32)
            cv2.fillPoly(plane, [corners], (1,), shift=4)
    return inside > 0


def teeth_show(
    pictures: Pictures,
    inside: Bool[np.ndarray, "T H W"],
    around: Bool[np.ndarray, "T H W"],
) -> Bool[np.ndarray, " T"]:
    """Frames of an open mouth with teeth in it; `around` holds lips and skin near it."""
    shown = np.zeros(len(pictures), bool)
    for i, (picture, hole, near) in enumerate(zip(pictures, inside, around, strict=True)):
        beside = near & ~hole
        if hole.sum() < LEAST_PIXELS or not beside.any():
            continue
        colours = picture[hole].astype(np.float64)
        skin = float(np.median(picture[beside].astype(np.float64) @ LUMA))
        strongest = np.maximum(colours.max(-1), 1.0)
        chroma = (strongest - colours.min(-1)) / strongest
        teeth = (colours @ LUMA > TEETH_LUMA * skin) & (chroma < TEETH_CHROMA)
        shown[i] = teeth.mean() >= TEETH_SHARE
    return shown
