"""The movement judge's laws: what a logarithm of a covariance does."""

import numpy as np
import pytest

from evaluate.metrics.movement import RESTING_VARIANCE, movement_signature


def mouths(seed: int = 0, frames: int = 5000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 4)) @ np.diag([1, 2, 3, 4.0])


def test_known_variances_come_back_as_logarithms() -> None:
    """Kills deviations for variances, and a resting variance that is left out."""
    signature = movement_signature(mouths(frames=200000))
    diagonal = [0, 4, 7, 9]
    expected = np.log(np.array([1, 4, 9, 16]) + RESTING_VARIANCE)
    np.testing.assert_allclose(signature[diagonal], expected, rtol=0, atol=0.02)
    np.testing.assert_allclose(np.delete(signature, diagonal), 0, rtol=0, atol=0.02)


def test_distances_survive_a_turn_of_the_coefficients() -> None:
    """Kills off-diagonals counted once: then distances would depend on the basis."""
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    a, b = mouths(1), mouths(2) @ np.diag([2, 1, 1, 0.5])
    plain = np.linalg.norm(movement_signature(a) - movement_signature(b))
    turned = np.linalg.norm(movement_signature(a @ turn) - movement_signature(b @ turn))
    assert turned == pytest.approx(plain, abs=1e-9)


def test_posture_counts_for_nothing_and_stillness_is_finite() -> None:
    a = mouths()
    np.testing.assert_allclose(
        movement_signature(a + np.array([5, 0, -3, 1])), movement_signature(a), rtol=0, atol=1e-9
    )
    assert np.isfinite(movement_signature(np.zeros((3, 4)))).all()
