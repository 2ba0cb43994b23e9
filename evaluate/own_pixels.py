"""Pictures scored in a plate's own pixels, where a face crop shows less than the plate does."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from evaluate.metrics.picture import (
    PictureCurves,
    PictureScores,
    box_mask,
    mouth_box,
    picture_curves,
)
from face3d.track import Crop
from face3d.view import Patch, cut
from prior.painting.enlargement import enlarged

FRAMES = 48
"""Frames of a shot that are scored, evenly spread: large pictures take long."""

AREAS = ("lower_face", "mouth")


def score_own_pixels(
    made: UInt8[np.ndarray, "H W 3"],
    true: UInt8[np.ndarray, "H W 3"],
    mask: Bool[np.ndarray, "h w"],
    landmarks: Float[np.ndarray, "478 2"],
    crop: Crop,
    left: int,
    top: int,
) -> dict[str, PictureCurves]:
    """Both areas of one frame. `mask` is the lower face in the crop's window whose corner is
    (left, top); `landmarks` are the truth's, in crop pixels."""
    patch = Patch.around(crop, left, top, *mask.shape[::-1])
    box = (patch.left, patch.top, patch.width, patch.height)
    ours, theirs = cut(made, *box)[None], cut(true, *box)[None]
    lower = enlarged(mask.astype(np.float32), crop, left, top, cv2.INTER_LINEAR) > 0.5
    corner = np.array([patch.left, patch.top])
    points = landmarks / crop.scale + (crop.left, crop.top) - corner
    mouth = box_mask(mouth_box(points)[None], patch.height, patch.width)[0]
    return {
        area: picture_curves(ours, theirs, inside)
        for area, inside in zip(AREAS, (lower, mouth), strict=True)
    }


def mean_scores(frames: list[dict[str, PictureCurves]]) -> dict[str, PictureScores]:
    """The areas' scores over a shot's frames."""
    return {
        area: PictureCurves(
            *(
                np.concatenate(column)
                for column in zip(*(vars(f[area]).values() for f in frames), strict=True)
            )
        ).scores()
        for area in AREAS
    }
