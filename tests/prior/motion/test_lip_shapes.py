"""Lip measures: what changes them and what must not."""

from fractions import Fraction

import numpy as np
import pytest

from face3d.morphable import default_model
from face3d.topology import INNER_PAIRS
from prior.motion.lip_shapes import MEASURES, face_coordinates, lip_changes, lip_measures


def face() -> np.ndarray:
    """The mean face seen from the front, y down, with its mouth a little open."""
    points = np.zeros((1, 478, 2))
    points[0, :468] = default_model().mean[:468, :2].numpy() * [4000, -4000]
    points[0, np.array(INNER_PAIRS)[:, 1], 1] += 20
    return points


def test_size_place_and_tilt_change_nothing() -> None:
    """Kills pixels for eye distances, a forgotten origin, and axes that stay level on a tilt."""
    seen = face()
    angle = 0.5
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = 1.7 * seen @ turn.T + [300, -40]
    np.testing.assert_allclose(lip_measures(moved), lip_measures(seen), rtol=0, atol=1e-9)


def test_the_axes_point_to_the_subjects_left_and_down() -> None:
    """Kills a flipped axis: gaps would be negative."""
    coordinates = face_coordinates(face())[0]
    assert coordinates[152, 1] > coordinates[2, 1] > 0
    assert coordinates[291, 0] > coordinates[61, 0]
    assert np.linalg.norm(coordinates[[33, 133]].mean(0)) == pytest.approx(0.5)


def test_one_lip_moves_its_own_measures() -> None:
    """Kills measures that are mixed up."""
    seen = face()
    lower = seen.copy()
    lower[0, np.array(INNER_PAIRS)[:, 1], 1] += 15
    change = dict(zip(MEASURES, (lip_measures(lower) - lip_measures(seen))[0], strict=True))
    gaps = [change[name] for name in MEASURES if name.startswith("gap")]
    assert min(gaps) > 0
    assert np.ptp(gaps) < 1e-9
    assert change["lower lip"] == pytest.approx(-gaps[0])
    still = [change[n] for n in ("width", "inner width", "upper lip", "chin", "bow width")]
    np.testing.assert_allclose(still, 0, rtol=0, atol=1e-12)


def test_drift_is_taken_out_and_unknown_frames_stay_nothing() -> None:
    """Kills a mean over the whole clip, NaN that spread, and zeros counted as measurements."""
    t = np.arange(500)
    seen = np.repeat(face(), 500, 0)
    lower = np.array(INNER_PAIRS)[:, 1]
    seen[:, lower, 1] += (0.05 * t + 6 * np.sin(t))[:, None]
    seen[200:230] = np.nan
    changes, known = lip_changes(seen, Fraction(25))
    assert known.sum() == 470
    assert np.isfinite(changes).all()
    assert (changes[~known] == 0).all()
    middle = known & (t > 60) & (t < 440)
    assert np.corrcoef(changes[middle, 0], np.sin(t[middle]))[0, 1] > 0.98
    assert changes[known, 0].std() == pytest.approx(1, abs=0.1)


def test_noise_of_a_still_mouth_is_not_turned_up() -> None:
    """Kills division by a deviation of nothing."""
    still = np.repeat(face(), 100, 0)
    changes, _ = lip_changes(still, Fraction(30))
    assert np.abs(changes).max() < 1e-6
    nobody, known = lip_changes(still * np.nan, Fraction(30))
    assert not known.any()
    assert (nobody == 0).all()
