"""Flicker, seams, jitter and the promise outside the matte, on clips with known answers."""

import math

import numpy as np
import pytest

from evaluate.metrics.temporal import flicker_ratio, jitter, outside_max_diff, seam_ratio


def random_clip(frames: int = 4, height: int = 20, width: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 200, (frames, height, width, 3), np.uint8)


def test_flicker_of_constant_clips_and_of_twice_the_motion() -> None:
    """Kills uint8 differences that wrap, 0 / 0, and an inverted ratio."""
    still = np.full((4, 6, 6, 3), 90, np.uint8)
    truth = still.copy()
    truth[1::2] += 10
    generated = still.copy()
    generated[::2] += 20
    assert flicker_ratio(still, still) == 1
    assert flicker_ratio(still, truth) == 0
    assert flicker_ratio(generated, truth) == pytest.approx(2)
    assert flicker_ratio(truth, generated) == pytest.approx(0.5)
    assert math.isinf(flicker_ratio(truth, still))


def test_flicker_counts_pairs_of_valid_frames_inside_both_masks() -> None:
    """Kills a pair across an invalid frame, and a mask of one of the two frames only."""
    truth = np.full((4, 4, 4, 3), 100.0)
    truth[1::2] += 1
    generated = truth.copy()
    generated[3] += 50
    mask = np.ones((4, 4, 4), bool)
    assert flicker_ratio(generated, truth, mask, np.array([True, True, True, False])) == 1
    mask[3] = False
    assert flicker_ratio(generated, truth, mask) == 1
    assert flicker_ratio(generated[::-1], truth[::-1], mask[::-1]) == 1
    assert math.isnan(flicker_ratio(generated[:1], truth[:1]))


def test_a_painted_step_is_a_seam_and_a_smooth_change_is_none() -> None:
    """Kills gradients taken over the whole picture or the whole matte."""
    columns = np.linspace(50, 150, 48)
    truth = np.broadcast_to(columns[None, None, :, None], (2, 40, 48, 3)).copy()
    matte = np.zeros((40, 48), bool)
    matte[10:30, 12:36] = True
    step = truth.copy()
    step[:, matte] += 30
    inner = truth.copy()
    inner[:, 14:26, 16:32] += 30
    rows, cols = np.mgrid[:40, :48]
    bump = np.exp(-(((rows - 20) / 3) ** 2) - ((cols - 24) / 3) ** 2)
    assert seam_ratio(truth, truth, matte) == 1
    assert seam_ratio(step, truth, matte) > 2
    assert seam_ratio(inner, truth, matte) == 1
    assert seam_ratio(truth + 30 * bump[..., None], truth, matte) == pytest.approx(1, abs=1e-3)


def test_the_pictures_own_edge_is_no_seam() -> None:
    """Kills erosion that treats what lies outside the picture as outside the matte."""
    clip = random_clip()
    assert math.isnan(seam_ratio(clip, clip, np.ones((20, 24), bool)))


def test_jitter_of_a_zigzag_is_arithmetic_and_of_steady_motion_zero() -> None:
    """Kills first differences, and squares in place of lengths."""
    t = np.arange(10.0)[:, None, None]
    steady = t * np.array([[3.0, 4.0], [-1.0, 2.0]])
    assert jitter(steady) == pytest.approx(0, abs=1e-12)
    zigzag = steady + (-1.0) ** t * np.array([0.3, 0.4])
    assert jitter(zigzag) == pytest.approx(4 * 0.5)
    zigzag[4, 0] = np.nan
    assert jitter(zigzag) == pytest.approx(4 * 0.5)
    assert math.isnan(jitter(steady[:2]))


def planes_420(height: int, width: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    half = (-(-height // 2), -(-width // 2))
    return [rng.integers(0, 1023, s, np.uint16) for s in ((height, width), half, half)]


@pytest.mark.parametrize("size", [(8, 10), (7, 9)])
def test_outside_difference_sees_one_code_in_one_chroma_sample(size: tuple[int, int]) -> None:
    """Kills luma only, unsigned wrap-around, and chroma mattes read at the wrong scale."""
    plate = planes_420(*size)
    matte = np.zeros(size, bool)
    matte[3, 5] = True
    ours = [plane.copy() for plane in plate]
    ours[0][3, 5] ^= 512
    ours[1][1, 2] ^= 512
    assert outside_max_diff(ours, plate, matte) == 0
    ours[2][1, 3] = plate[2][1, 3] - 1 if plate[2][1, 3] else 1
    assert outside_max_diff(ours, plate, matte) == 1
    ours[0][-1, -1] = 0
    assert outside_max_diff(ours, plate, matte) == max(1, int(plate[0][-1, -1]))


def test_outside_difference_of_clips_uses_each_frames_matte() -> None:
    plate = np.zeros((2, 4, 4), np.uint8)
    ours = plate.copy()
    ours[0, 1, 1] = 9
    matte = np.zeros((2, 4, 4), bool)
    matte[0, 1, 1] = True
    assert outside_max_diff([ours], [plate], matte) == 0
    assert outside_max_diff([ours], [plate], matte[::-1]) == 9


def test_outside_difference_of_float_planes_minds_nan() -> None:
    """Kills a NaN that hides a change."""
    plate = np.array([[np.nan, 1.0], [np.inf, 3.0]], np.float32)
    nothing = np.zeros((2, 2), bool)
    assert outside_max_diff([plate], [plate.copy()], nothing) == 0
    assert math.isnan(outside_max_diff([np.ones((2, 2), np.float32)], [plate], nothing))
