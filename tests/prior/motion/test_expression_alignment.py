"""Lags known by construction."""

from fractions import Fraction

import numpy as np
import pytest

from prior.motion.alignment import Lag, estimate_lag


def restless(times: np.ndarray, seed: int = 0) -> np.ndarray:
    """A smooth curve of eleven sines up to 6 Hz, read at any time."""
    random = np.random.default_rng(seed)
    rates, phases = random.uniform(1.0, 6, 11), random.uniform(0, 6.28, 11)
    return np.sin(2 * np.pi * rates * times[:, None] + phases).sum(1)


@pytest.mark.parametrize("late", [-6.4, -1.0, 0.0, 0.5, 3.25, 8.0])
@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
def test_a_known_lag_is_found_to_a_tenth_of_a_frame(late: float, fps: Fraction) -> None:
    """Kills the opposite sign, whole frames, and a search in seconds."""
    times = np.arange(200) / float(fps)
    seen = 3 + 2 * restless(times) + times
    heard = restless(times - late / float(fps))
    lag = estimate_lag(heard, seen, fps)
    assert lag.frames == pytest.approx(late, abs=0.1)
    assert lag.confidence > 0.3


def test_strangers_inspire_no_confidence() -> None:
    times = np.arange(500) / 25
    lag = estimate_lag(restless(times), restless(times, 1), Fraction(25))
    assert lag.confidence < 0.15


def test_still_or_short_mouths_have_no_lag() -> None:
    """Kills 0 / 0, and rounding noise that correlates with itself."""
    times = np.arange(100) / 25
    still = np.full(100, 0.3)
    assert estimate_lag(restless(times), still, Fraction(25)) == Lag(0.0, 0.0)
    assert estimate_lag(still, still, Fraction(25)) == Lag(0.0, 0.0)
    assert estimate_lag(still[:1], still[:1], Fraction(25)) == Lag(0.0, 0.0)


def test_a_lag_beyond_the_search_is_not_taken_for_its_end() -> None:
    """Kills the highest score for a peak."""
    times = np.arange(300) / 25
    slow = np.sin(2 * np.pi * 0.9 * times)
    late = np.sin(2 * np.pi * 0.9 * (times - 0.5))
    assert estimate_lag(late, slow, Fraction(25), max_frames=6) == Lag(0.0, 0.0)


def test_a_smile_that_comes_and_stays_is_no_lag() -> None:
    """Kills correlation of drift: both curves rise, five frames apart, and speak in sync."""
    times = np.arange(400) / 25
    rise = 60 / (1 + np.exp(-(times - 8) / 1.5))
    late_rise = 60 / (1 + np.exp(-(times - 8.2) / 1.5))
    lag = estimate_lag(restless(times) + rise, restless(times) + late_rise, Fraction(25))
    assert lag.frames == pytest.approx(0, abs=0.1)
