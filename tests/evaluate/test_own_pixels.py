"""Pictures in the plate's own pixels: what a crop hides is seen, in the right place."""

import cv2
import numpy as np
import pytest

from evaluate.own_pixels import mean_scores, score_own_pixels
from face3d.landmarks import COUNT
from face3d.track import Crop
from face3d.view import crop_image

CROP = Crop(100, 60, 600, 200)
LEFT, TOP = 30, 40


def plate() -> np.ndarray:
    random = np.random.default_rng(0).uniform(0, 255, (700, 800, 3))
    return cv2.GaussianBlur(random, (0, 0), 1.0).astype(np.uint8)


def area() -> np.ndarray:
    mask = np.zeros((90, 120), bool)
    mask[10:80, 20:100] = True
    return mask


def lips() -> np.ndarray:
    """All landmarks in a box of the crop: its middle is the mouth."""
    points = np.zeros((COUNT, 2))
    points[:, 0], points[:, 1] = np.linspace(70, 110, COUNT), np.linspace(70, 90, COUNT)
    return points


def test_a_blur_that_the_crop_hides_is_seen() -> None:
    """Kills scores taken in the crop: it shows both pictures nearly alike, the plate does not."""
    true = plate()
    made = cv2.GaussianBlur(true, (0, 0), 1.0)
    small = [crop_image(rgb, CROP).astype(float) for rgb in (made, true)]
    assert np.abs(small[0] - small[1]).mean() < 4
    scores = mean_scores([score_own_pixels(made, true, area(), lips(), CROP, LEFT, TOP)])
    for name in ("lower_face", "mouth"):
        assert scores[name].sharpness_ratio < 0.6, name
        assert scores[name].ssim < 0.9, name
    same = mean_scores([score_own_pixels(true, true, area(), lips(), CROP, LEFT, TOP)] * 2)
    assert same["mouth"].sharpness_ratio == pytest.approx(1)


def test_areas_lie_where_the_crop_says() -> None:
    """Kills a mask or a mouth left in crop pixels: a change is counted where it was made."""
    true, mouth = plate(), plate()
    # The mouth's middle (90, 80) in the crop is pixel (370, 300) of the plate.
    mouth[295:305, 365:375] = 255 - mouth[295:305, 365:375]
    seen = mean_scores([score_own_pixels(mouth, true, area(), lips(), CROP, LEFT, TOP)])
    assert np.isfinite([seen["mouth"].psnr, seen["lower_face"].psnr]).all()
    chin = plate()
    # (60, 115) in the crop: inside the area, which begins at (50, 50), below the mouth.
    chin[400:410, 275:285] = 255 - chin[400:410, 275:285]
    seen = mean_scores([score_own_pixels(chin, true, area(), lips(), CROP, LEFT, TOP)])
    assert np.isinf(seen["mouth"].psnr)
    assert np.isfinite(seen["lower_face"].psnr)
    beside = plate()
    # (140, 60) in the crop: right of the area, which ends at (130, 120).
    beside[235:245, 515:525] = 0
    seen = mean_scores([score_own_pixels(beside, true, area(), lips(), CROP, LEFT, TOP)])
    assert np.isinf(seen["lower_face"].psnr)
