"""Grain measured and given back: its strength by octaves, where it lies, and from what seed."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dub.grain import PAINTED_LEVELS, Grain, lacking, shot_levels, shown_skin
from evaluate.metrics.grain import band_pass, grain_between, grain_ratios, still_level
from face3d.morphable import default_model
from face3d.track import Track
from media.clip import Clip
from prior.painting.composite import Painted, pasted

MODEL = default_model()
EVERYWHERE = np.ones((96, 96), bool)


def picture() -> np.ndarray:
    """A still luma with edges and shading."""
    y, x = np.mgrid[:96, :96]
    return 90.0 + 60 * (x // 12 % 2) + 0.3 * y


def test_bands_and_the_widest_blur_make_the_picture() -> None:
    """Kills bands that overlap or leave out an octave: a flat picture has nothing in any."""
    noise = np.random.default_rng(0).normal(size=(64, 64))
    rest = noise - band_pass(noise).sum(0)
    assert np.abs(band_pass(rest)[0]).max() < 0.05
    assert np.abs(band_pass(np.full((32, 32), 7.0))).max() < 1e-9


def test_grain_is_what_flickers_not_what_is_drawn() -> None:
    """Kills edges and pores counted as grain, a difference not divided by √2, and a mean that one
    moving corner spoils."""
    random = np.random.default_rng(1)
    still = picture()
    assert grain_between(still, still, EVERYWHERE).max() == 0
    noisy = [still + 3 * random.standard_normal(still.shape) for _ in range(2)]
    expected = 3 * band_pass(random.standard_normal((96, 96))).std((1, 2))
    assert grain_between(*noisy, EVERYWHERE) == pytest.approx(expected, rel=0.15)
    noisy[1][:20, :20] += 80
    assert grain_between(*noisy, EVERYWHERE) == pytest.approx(expected, rel=0.25)


def test_still_pairs_speak_for_the_shot() -> None:
    """Kills a mean over moving frames, and unknown pairs counted as still ones."""
    levels = np.array([[1.0, 1, 1], [9, 9, 9], [1, 1, 1], [np.nan, 1, 1], [8, 8, 8]])
    assert still_level(levels).tolist() == [1, 1, 1]
    assert np.isnan(still_level(np.zeros((0, 3)))).all()


def test_a_smooth_patch_has_a_ratio_below_one() -> None:
    """Kills a ratio turned over, and one taken outside the mask."""
    random = np.random.default_rng(2)
    truth = np.clip(picture()[None, ..., None] + random.normal(0, 4, (6, 96, 96, 3)), 0, 255)
    made = truth.copy()
    made[:, 20:70, 20:70] = picture()[20:70, 20:70, None] + random.normal(0, 1, (6, 50, 50, 3))
    mask = np.zeros((96, 96), bool)
    mask[24:66, 24:66] = True
    inside = grain_ratios(made, truth, mask)
    assert all(0.15 < value < 0.35 for value in inside.values()), inside
    assert all(
        value == 1
        for value in grain_ratios(
            made, truth, np.eye(96, dtype=bool)[::-1] & ~mask & (np.arange(96) < 18)
        ).values()
    )


@pytest.mark.parametrize(("size", "strength"), [(0.01, 4.0), (0.8, 8.0)])
def test_what_lacks_brings_the_patch_to_the_plates_levels(size: float, strength: float) -> None:
    """Kills strengths set band by band, by which overlapping octaves add up to too much grain; and
    levels added instead of variances. The plate's grain is white noise, blurred or not."""
    white = np.random.default_rng(5).normal(0, strength, (2, 160, 160))
    plate = [cv2.GaussianBlur(plane, (0, 0), size) for plane in white]
    wanted = grain_between(*plate, np.ones((160, 160), bool))
    grain = lacking(wanted)
    assert grain is not None
    frames = [grain.field(160, 160, (0, i)) for i in range(2)]
    made = grain_between(*frames, np.ones((160, 160), bool))
    assert np.hypot(made, PAINTED_LEVELS) == pytest.approx(wanted, rel=0.12)


def test_a_clean_plate_gets_no_grain() -> None:
    """Kills noise laid on a compressed plate that has less of it than the patch already."""
    assert lacking(np.array([0.2, 0.2, 0.2])) is None
    assert lacking(np.full(3, np.nan)) is None


def test_grain_is_another_in_every_frame_and_the_same_in_every_run() -> None:
    """Kills grain that stands still like dirt on the lens, and one that no seed gives again."""
    grain = Grain(np.array([2.0, 1.0, 1.0]))
    first, again, next_frame, other = (
        grain.field(40, 40, key) for key in ((0, 7), (0, 7), (0, 8), (1, 7))
    )
    assert np.array_equal(first, again)
    for field in (next_frame, other):
        assert abs(np.corrcoef(first.ravel(), field.ravel())[0, 1]) < 0.15


def test_grain_lies_on_the_patch_alone(performer_clip: Clip, performer_track: Track) -> None:
    """Kills grain outside the matte, and grain at the size of the crop instead of the plate's."""
    [frame] = performer_clip.frames(range(1))
    crop = performer_track.crop(0)
    matte = np.zeros((40, 60), np.float32)
    matte[10:30, 10:50] = 1
    painted = Painted(np.full((40, 60, 3), 128.0, np.float32), matte, 60, 80, crop)
    sizes = []

    def grain(height: int, width: int) -> np.ndarray:
        sizes.append((height, width))
        return np.full((height, width), 20.0)

    plain, grained = pasted(frame, painted), pasted(frame, painted, grain)
    change = grained.planes[0].astype(int) - plain.planes[0].astype(int)
    assert sizes[0][0] >= 40 / crop.scale
    assert change.max() == pytest.approx(17, abs=3)  # 20 code values of RGB, in video range
    shades = [pasted(frame, replace(painted, rgb=painted.rgb + by)) for by in (-120, 120)]
    covered = shades[0].planes[0] != shades[1].planes[0]
    assert ((change != 0) <= covered).all()


def test_skin_beside_the_matte_tells_the_level(
    performer_clip: Clip, performer_track: Track
) -> None:
    """Kills a region that holds hair, background or the matte itself, and another shot's frames:
    where the shot shows nothing, nothing is known."""
    [frame] = performer_clip.frames(range(1))
    skin = shown_skin(MODEL, performer_track.identity, performer_track, 0, frame.rgb.shape[:2])
    assert 1000 < skin.sum() < 0.25 * skin.size
    rows = np.flatnonzero(skin.any(1))
    assert rows.mean() < frame.height * 0.5
    few = performer_track[:6]
    levels = shot_levels(MODEL, few.identity, performer_clip, few, 0)
    assert (levels < 2).all()
    hidden = replace(few, valid=few.valid & False)
    assert np.isnan(shot_levels(MODEL, few.identity, performer_clip, hidden, 0)).all()
