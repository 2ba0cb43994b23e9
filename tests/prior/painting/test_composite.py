"""Painted windows on their way back: the plate outside the matte, no shift inside."""

from dataclasses import replace

import numpy as np
import pytest

from face3d.track import Crop
from face3d.view import crop_image, cut
from media.frame import Frame
from media.pixels import Colour, pixel_format, planes_of_rgb
from prior.painting.composite import FEATHER_PIXELS, Painted, matte_of, pasted

CROPS = [
    Crop(60, 50, 160, 160),
    Crop(60, 50, 160, 320),
    Crop(11, -7, 220, 132),
    Crop(-30, -20, 200, 240),
    Crop(120, 90, 160, 400),
]


def waves(width: int = 240, height: int = 200) -> np.ndarray:
    """A smooth picture whose every shift shows: slopes of up to 4 levels a pixel."""
    rows, columns = np.mgrid[:height, :width]
    planes = [np.sin(columns / 13 + k) * np.cos(rows / 11 - k) for k in range(3)]
    return np.rint(128 + 70 * np.stack(planes, -1)).astype(np.uint8)


def frame_of(rgb: np.ndarray, fmt: str = "yuv444p") -> Frame:
    pixels = pixel_format(fmt)
    colour = Colour().resolved(pixels, rgb.shape[1], rgb.shape[0])
    # A subsampled plate is made by hand: means of cells.
    planes = []
    full = planes_of_rgb(rgb, pixels, colour)
    for plane, (x, y) in zip(full, pixels.shifts, strict=False):
        h, w = rgb.shape[0] >> y, rgb.shape[1] >> x
        cells = np.asarray(plane, np.float64).reshape(h, 1 << y, w, 1 << x).mean((1, 3))
        planes.append(np.rint(cells).astype(np.uint8))
    return Frame(3, 77, tuple(planes), pixels, Colour())


def corner_of(crop: Crop) -> tuple[int, int]:
    """A window of 96 pixels near the middle of a crop, not centred."""
    return (crop.pixels - 96) // 2 + 3, (crop.pixels - 96) // 2 - 2


def painted_from(frame: Frame, crop: Crop, left: int, top: int, size: int = 96) -> Painted:
    """The plate's own window as if it had been painted."""
    window = cut(crop_image(frame.rgb, crop), left, top, size, size).astype(np.float32)
    outer = np.zeros((size, size))
    outer[8:-8, 8:-8] = 1
    return Painted(window, matte_of(outer), left, top, crop)


@pytest.mark.parametrize("crop", CROPS, ids=str)
def test_the_plates_own_window_changes_nothing(crop: Crop) -> None:
    """Kills a half-pixel shift on the way back: pasting what was cut returns the plate, but for
    resampling. Half a pixel would be 2 levels; measured 0.3 mean, 0.6 where the crop shrinks."""
    frame = frame_of(waves())
    left, top = corner_of(crop)
    result = pasted(frame, painted_from(frame, crop, left, top))
    inside = np.zeros((200, 240), bool)
    low = np.array([crop.top, crop.left]) + np.array([top + 20, left + 20]) / crop.scale
    high = np.array([crop.top, crop.left]) + np.array([top + 76, left + 76]) / crop.scale
    (r0, c0), (r1, c1) = np.ceil(low).astype(int), np.floor(high).astype(int)
    inside[max(r0, 0) : r1, max(c0, 0) : c1] = True
    change = np.abs(result.planes[0].astype(int) - frame.planes[0])[inside]
    assert inside.sum() > 200
    assert change.mean() < 0.7
    assert change.max() <= 4


@pytest.mark.parametrize("crop", CROPS, ids=str)
def test_a_painted_dot_lands_where_the_crop_says(crop: Crop) -> None:
    """Kills shifts that cancel in a round trip: a dot at a window's pixel is found at the plate's
    pixel by arithmetic."""
    frame = frame_of(np.full((200, 240, 3), 60, np.uint8))
    rows, columns = np.mgrid[:96, :96] + 0.5
    x, y = 47.0, 51.5
    glow = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * (3 * max(1, crop.scale)) ** 2))
    rgb = (60 + 150 * glow[..., None] * np.ones(3)).astype(np.float32)
    left, top = corner_of(crop)
    painted = Painted(rgb, matte_of(np.ones((96, 96))), left, top, crop)
    change = pasted(frame, painted).planes[0].astype(float) - frame.planes[0]
    r, c = np.mgrid[:200, :240] + 0.5
    found = np.array([(change * c).sum(), (change * r).sum()]) / change.sum()
    expected = np.array([crop.left, crop.top]) + np.array([left + x, top + y]) / crop.scale
    np.testing.assert_allclose(found, expected, atol=0.08)


@pytest.mark.parametrize("fmt", ["yuv420p", "yuv422p", "yuv444p"])
def test_outside_the_matte_every_sample_is_the_plates(fmt: str) -> None:
    """Kills a detour through RGB: noise planes come back bit for bit where the matte is 0."""
    random = np.random.default_rng(0)
    pixels = pixel_format(fmt)
    planes = tuple(
        random.integers(16, 236, (200 >> y, 240 >> x), np.uint8) for x, y in pixels.shifts[:3]
    )
    frame = Frame(0, 0, planes, pixels, Colour())
    crop = Crop(61, 47, 160, 160)
    painted = painted_from(frame, crop, 40, 50)
    green = np.zeros_like(painted.rgb) + np.array([0, 255, 0], np.float32)
    result = pasted(frame, replace(painted, rgb=green))
    assert (result.index, result.pts) == (0, 0)
    touched = np.zeros((200, 240), bool)
    touched[47 + 58 - 1 : 47 + 138 + 1, 61 + 48 - 1 : 61 + 128 + 1] = True
    for before, after, (x, y) in zip(frame.planes, result.planes, pixels.shifts, strict=False):
        cells = touched.reshape(200 >> y, 1 << y, 240 >> x, 1 << x).any((1, 3))
        assert np.array_equal(before[~cells], after[~cells])
        assert (before[cells] != after[cells]).mean() > 0.5


def test_the_matte_rises_from_the_border_and_stays_inside() -> None:
    """Kills a feather outside the mask, which would blend what was never painted, a linear ramp
    with a visible crease, and a window's edge that cuts."""
    outer = np.zeros((60, 80))
    outer[10:50, 20:] = 1
    matte = matte_of(outer)
    assert matte.dtype == np.float32
    assert matte[outer == 0].max() == 0
    assert 0 < matte[10, 40] < 0.1
    assert 0 < matte[30, 79] < 0.1
    assert matte[10 + FEATHER_PIXELS, 40] == 1
    profile = matte[10 : 10 + FEATHER_PIXELS, 40]
    assert (np.diff(profile) > 0).all()
    depth = np.arange(1, FEATHER_PIXELS + 1) / FEATHER_PIXELS
    np.testing.assert_allclose(profile, depth**2 * (3 - 2 * depth), atol=0.03)
    assert matte_of(np.zeros((5, 5))).max() == 0


def test_a_ten_bit_plate_gets_no_eight_bit_patch() -> None:
    """Kills a patch rounded to 8 bits: a slow ramp would lie in bands four codes wide on a plate of
    ten bits."""
    fmt = pixel_format("yuv444p10le")
    planes = tuple(np.full((200, 240), 512, np.uint16) for _ in range(3))
    frame = Frame(0, 0, planes, fmt, Colour())
    ramp = np.linspace(100, 104, 96)[:, None, None] * np.ones((1, 96, 3))
    crop = Crop(60, 50, 160, 160)
    painted = Painted(ramp.astype(np.float32), matte_of(np.ones((96, 96))), 20, 30, crop)
    luma = pasted(frame, painted).planes[0][100:160, 120]
    assert len(np.unique(luma)) > 7
    assert np.abs(np.diff(luma.astype(int))).max() <= 1
