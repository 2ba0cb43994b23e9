"""LPIPS as a figure: its maps, its mean inside a mask, and the column that comes and goes."""

import sys
from pathlib import Path

import numpy as np
import pytest
from fake_vision import install

from evaluate.benchmark import Seen, Shot, figures
from evaluate.metrics.perceptual import lpips_inside, lpips_maps
from evaluate.report import METRICS


def grey(*values: int) -> np.ndarray:
    """A picture of 6 × 8 pixels for each code value."""
    return np.stack([np.full((6, 8, 3), value, np.uint8) for value in values])


def test_maps_are_in_the_networks_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills code values and colours in [0, 1] handed on, and VGG-16 where papers report AlexNet:
    black against white is 2."""
    install(monkeypatch, tmp_path, "alex", "vgg")
    maps = lpips_maps(grey(255, 7), grey(0, 7))
    assert maps is not None
    assert maps.shape == (2, 6, 8)
    assert maps[0, 3, 3] == pytest.approx(2)
    assert not maps[1].any()


def test_a_pixel_counts_inside_the_mask_of_a_valid_frame() -> None:
    """Kills the mean of the whole window, of all pixels of all frames alike, an invalid frame that
    counts, and 0/0 where a mask is empty."""
    maps = np.arange(3 * 6 * 8, dtype=float).reshape(3, 6, 8)
    mask = np.zeros((3, 6, 8), bool)
    mask[0, 0, :2], mask[1, 0, 0], mask[2] = True, True, True
    valid = np.array([True, True, False])
    assert lpips_inside(maps, mask, valid) == pytest.approx((0.5 + 48) / 2)
    assert np.isnan(lpips_inside(maps, np.zeros((6, 8), bool), valid))


def test_the_column_comes_with_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a column that nobody prints, one of zeros where nothing could judge, and a missing
    library that ends the evaluation."""
    windows = np.random.default_rng(0).integers(0, 255, (2, 40, 48, 3), np.uint8)
    unknown = np.full((478, 2), np.nan)
    truth, made = Seen(list(windows), [unknown] * 2), Seen(list(windows[::-1]), [unknown] * 2)
    everywhere = np.ones((2, 40, 48), bool)
    shot = Shot(truth, {"made": made}, everywhere, [(0, 0)] * 2, np.ones(2, bool))
    install(monkeypatch, tmp_path, "alex")
    found = figures(shot, "made", 25, None)
    maps = lpips_maps(windows[::-1], windows)
    assert maps is not None
    assert found["lower_face"]["lpips"] == pytest.approx(maps.mean())
    assert np.isnan(found["mouth"]["lpips"])
    assert "lpips" in METRICS
    monkeypatch.setitem(sys.modules, "lpips", None)
    assert "lpips" not in figures(shot, "made", 25, None)["lower_face"]
