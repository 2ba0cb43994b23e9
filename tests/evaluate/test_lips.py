"""Openings, distances and leak on faces drawn by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest

from evaluate.metrics.lips import (
    INNER_PAIRS,
    LIPS,
    leak_share,
    lmd_px256,
    mouth_opening,
    mouth_width,
    opening_corr,
    opening_mae_px256,
    opening_motion,
)


def hand_made_face(gap: float, width: float = 40.0) -> np.ndarray:
    """One frame: eye middles 100 px apart, inner lips `gap` apart, corners `width` apart."""
    face = np.zeros((478, 2))
    face[[33, 133]] = [[85, 100], [115, 100]]
    face[[362, 263]] = [[185, 100], [215, 100]]
    face[list(LIPS)] = [150, 180]
    for place, (upper, lower) in enumerate(INNER_PAIRS):
        x = 130 + 5 * place
        face[upper], face[lower] = [x, 180 - gap / 2], [x, 180 + gap / 2]
    face[61], face[291] = [150 - width / 2, 180], [150 + width / 2, 180]
    return face


def faces(gaps: list[float]) -> np.ndarray:
    return np.stack([hand_made_face(gap) for gap in gaps])


def turned(landmarks: np.ndarray, radians: float) -> np.ndarray:
    c, s = math.cos(radians), math.sin(radians)
    return landmarks @ np.array([[c, s], [-s, c]])


def test_opening_and_width_of_a_drawn_face() -> None:
    """Kills pairs that cross, outer lips for inner ones, and normalising by the eyes' width."""
    landmarks = faces([0, 10, 30])
    np.testing.assert_allclose(mouth_opening(landmarks), [0, 0.1, 0.3], rtol=0, atol=1e-12)
    np.testing.assert_allclose(mouth_width(landmarks), [0.4] * 3, rtol=0, atol=1e-12)


@pytest.mark.parametrize("degrees", [-170, -40, 20, 90])
def test_opening_ignores_tilt_size_and_place(degrees: float) -> None:
    """Kills |Δy| in picture axes: at 90 degrees it sees no gap at all."""
    landmarks = turned(faces([0, 10, 30]), math.radians(degrees)) * 1.7 + [30, -20]
    np.testing.assert_allclose(mouth_opening(landmarks), [0, 0.1, 0.3], rtol=0, atol=1e-12)
    np.testing.assert_allclose(mouth_width(landmarks), [0.4] * 3, rtol=0, atol=1e-12)


def test_sideways_slip_of_the_lower_lip_is_no_opening() -> None:
    """Kills the distance between pairs in place of its share along the face's up axis."""
    landmarks = faces([10])
    for _, lower in INNER_PAIRS:
        landmarks[0, lower, 0] += 25
    np.testing.assert_allclose(mouth_opening(landmarks), [0.1], rtol=0, atol=1e-12)


def test_a_missing_face_is_unknown_and_spoils_no_mean() -> None:
    truth = faces([10, 10, 10])
    generated = truth + np.array([3.0, 4.0])
    generated[1] = np.nan
    assert np.isnan(mouth_opening(generated)).tolist() == [False, True, False]
    assert lmd_px256(generated, truth, 128.0) == pytest.approx(10.0, abs=1e-9)
    assert math.isnan(lmd_px256(generated[1:2], truth[1:2], 128.0))


def test_landmark_distance_scales_with_each_frames_crop() -> None:
    """Kills a scale turned upside down, and distances over all 478 points."""
    truth = faces([10, 10])
    generated = truth.copy()
    generated[:, list(LIPS)] += [0.0, 6.0]
    generated[:, 33] += 500.0
    assert lmd_px256(generated, truth, np.array([256.0, 512.0])) == pytest.approx(4.5, abs=1e-9)


def test_opening_error_in_pixels_of_the_crop() -> None:
    generated, truth = faces([10, 20]), faces([14, 26])
    assert opening_mae_px256(generated, truth, 512.0) == pytest.approx(2.5, abs=1e-9)


def test_opening_correlation_is_pearsons_and_safe() -> None:
    """Kills a missing mean subtraction, NaN that spreads, and 0 / 0 for a still mouth."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30)) + 5
    expected = np.corrcoef(a, b)[0, 1]
    assert opening_corr(np.append(a, np.nan), np.append(b, 1.0)) == pytest.approx(expected)
    assert opening_corr(a, -2 * a + 7) == pytest.approx(-1)
    assert math.isnan(opening_corr(a, np.full(30, 0.1)))
    assert math.isnan(opening_corr(a[:2], b[:2]))


def test_a_burst_is_seen_for_its_own_length_at_any_rate() -> None:
    """Kills change per frame: at 50 fps a slow opening would hide below the threshold."""
    for fps in (Fraction(25), Fraction(50), Fraction(30000, 1001)):
        t = np.arange(int(10 * fps)) / float(fps)
        opening = np.where((t >= 4) & (t < 6), 0.1 + 0.1 * np.sin(2 * np.pi * 3 * t), 0.1)
        assert leak_share(opening, fps) == pytest.approx(0.2, abs=0.03)


def test_still_mouths_do_not_speak_whether_open_or_shut() -> None:
    """Kills a threshold on the opening itself."""
    for level in (0.0, 0.3):
        assert leak_share(np.full(40, level), Fraction(25)) == 0
    assert leak_share(np.tile([0.0, 0.3], 20), Fraction(25)) == 1
    assert leak_share(np.tile([0.0, 0.3], 20), Fraction(25), threshold=0.4) == 0


def test_motion_skips_unknown_frames() -> None:
    opening = np.array([0.0, np.nan, 0.2] + [np.nan] * 6)
    motion = opening_motion(opening, Fraction(25))
    np.testing.assert_allclose(motion, [0.2, 0.2, 0.2, 0, 0] + [np.nan] * 4, rtol=0, atol=1e-12)
    assert math.isnan(leak_share(np.full(3, np.nan), Fraction(25)))
