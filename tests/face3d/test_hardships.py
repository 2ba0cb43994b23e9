"""Hardships say what they claim: what is laid on the skin moves with it."""

import numpy as np

from face3d.morphable import default_model
from scripts.hardships import bearded, swell

SIDE = 256


def frontal(x: float, y: float) -> np.ndarray:
    """Landmarks [478 3] of the mean face, 130 pixels high, its nose's tip at (x, y)."""
    mean = default_model().mean[:468].numpy()
    scale = 130 / np.ptp(mean[:, 1])
    points = np.zeros((478, 3))
    points[:468, :2] = (mean[:, :2] - mean[1, :2]) * [scale, -scale] + [x, y]
    return points


def test_a_beard_moves_with_the_skin() -> None:
    """Kills strands that rest in the picture while the head moves: two frames a whole shift apart
    show the same beard, shifted, and lips and forehead stay bare."""
    plain = np.full((SIDE, SIDE, 3), 200, np.uint8)
    random = np.random.default_rng(0)
    here = bearded(plain, frontal(120.5, 110.5), swell(0), random)
    there = bearded(plain, frontal(131.5, 117.5), swell(3), random)
    back = np.roll(there, (-7, -11), (0, 1))
    dark = here.min(-1) < 150
    assert dark.sum() > 1000
    assert np.abs(here.astype(int) - back)[dark].mean() < 2
    assert here[dark].std() > 8
    lip = frontal(120.5, 110.5)[0, :2].astype(int)
    assert here[:80].min() == 200
    assert here[lip[1] + 2, lip[0], 0] > 150
