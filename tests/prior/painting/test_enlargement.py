"""A window enlarged: where it lies, and what it is once it is averaged again."""

import cv2
import numpy as np
import pytest

from face3d.track import Crop
from face3d.view import Patch, crop_image
from prior.painting.enlargement import averaged, enlarged, shares, unaveraged

CROPS = [Crop(37, 21, 787, 300), Crop(10, 33, 450, 300)]
LEFT, TOP, WIDTH, HEIGHT = 90, 140, 112, 96


def plate() -> np.ndarray:
    """Noise of a few pixels' grain around grey: nothing in it repeats."""
    noise = np.random.default_rng(3).normal(size=(900, 900, 3))
    return (127 + 200 * cv2.GaussianBlur(noise, (0, 0), 1.5)).clip(0, 255).astype(np.uint8)


def patch_of(crop: Crop) -> np.ndarray:
    box = Patch.around(crop, LEFT, TOP, WIDTH, HEIGHT)
    rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    return plate()[rows, columns].astype(np.float32)


@pytest.mark.parametrize("crop", CROPS)
def test_a_patch_averages_to_what_its_crop_shows(crop: Crop) -> None:
    """Kills a grid half a pixel aside, rows taken for columns, and a point looked up instead of a
    mean: the crop is made by another library's average, rounded."""
    shown = crop_image(plate(), crop)[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
    ours = averaged(patch_of(crop), crop, LEFT, TOP, WIDTH, HEIGHT)
    assert np.abs(ours - shown).max() < 0.6


def test_shares_fill_each_coarse_pixel() -> None:
    """Kills shares that do not end at a coarse pixel's edges: two fine pixels and a half each."""
    expected = np.array([[0, 0.2, 0.4, 0.4, 0, 0, 0], [0, 0, 0, 0, 0.4, 0.4, 0.2]])
    assert shares(1.5, 0.4, 2, 7) == pytest.approx(expected)


@pytest.mark.parametrize("crop", CROPS)
def test_what_averaging_took_comes_back(crop: Crop) -> None:
    """Kills an interpolation left as soft as it is, and what is missing taken off instead of added:
    averaged again, less than half as much is missing, and the plate is met better."""
    window = averaged(patch_of(crop), crop, LEFT, TOP, WIDTH, HEIGHT)
    inner = slice(8, -8)

    def errors(picture: np.ndarray) -> tuple[float, float]:
        again = averaged(picture, crop, LEFT, TOP, WIDTH, HEIGHT)
        coarse, fine = (again - window)[inner, inner], (picture - patch_of(crop))[inner, inner]
        return float(coarse.std()), float(fine.std())

    plain = errors(enlarged(window, crop, LEFT, TOP))
    made = errors(unaveraged(window, crop, LEFT, TOP))
    assert made[0] < 0.35 * plain[0]
    assert made[1] < 0.97 * plain[1]


def test_a_crop_finer_than_its_plate_is_only_interpolated() -> None:
    """Kills averages of crops that never averaged: small faces stay as they were."""
    crop, window = Crop(10, 20, 150, 300), patch_of(CROPS[1])[:96, :112]
    assert np.array_equal(unaveraged(window, crop, 40, 60), enlarged(window, crop, 40, 60))
