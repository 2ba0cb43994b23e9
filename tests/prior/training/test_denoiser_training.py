"""Mixtures that a mask is learned from, and that it is learned."""

import numpy as np
import pytest
import torch

from prior.sound.denoiser import AHEAD, PAST, DenoiserShape, MaskNetwork, spectra_of
from prior.sound.speech import RATE
from prior.training.fitting import Fitting, fit
from prior.training.train_denoiser import OUTPUTS, MaskLoss, Sounds, even, scaled


@pytest.fixture(scope="module")
def sounds() -> Sounds:
    """Two speakers that are chirps, music that is a held tone."""
    random, t = np.random.default_rng(0), np.arange(4 * RATE) / RATE
    speech = {
        name: [spectra_of(scaled(np.sin(high * np.sin(9 * t)) * (np.sin(5 * t) > 0)))]
        for name, high in (("a", 400.0), ("b", 600.0))
    }
    tone = spectra_of(scaled(np.sin(2 * np.pi * 440 * t)))
    return Sounds(speech, [tone], spectra_of(scaled(random.normal(size=len(t)))))


def test_windows_hold_what_lies_over_and_under_each_other(sounds: Sounds) -> None:
    """Kills targets of other moments than the mixture's, and speech louder than the whole."""
    torch.manual_seed(0)
    loss = MaskLoss(MaskNetwork(DenoiserShape(width=8)), sounds, 4)
    for seed in range(8):
        seen, mixed, wanted, floor = loss.window(np.random.default_rng(seed))
        assert seen.shape == (PAST + OUTPUTS + AHEAD, 80)
        assert mixed.shape == wanted.shape == (OUTPUTS, 257)
        assert float(floor) > 0
        if wanted.any():
            both = torch.stack([mixed.sum(1).log1p(), wanted.sum(1).log1p()])
            assert float(torch.corrcoef(both)[0, 1]) > 0.5 or float(wanted.std()) == 0
    assert float(np.square(np.abs(even(sounds.music[0]))).mean()) == pytest.approx(1)


def test_a_mask_is_learned(sounds: Sounds, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Kills a loss that no gain lowers, or that does not reach the network: one batch by heart."""
    torch.manual_seed(0)
    network = MaskNetwork(DenoiserShape(width=16))
    loss = MaskLoss(network, sounds, 4)
    steps = fit(
        "denoiser",
        network,
        lambda seed: loss(1),
        Fitting(steps=50, rate=1e-2, warm_up=5),
        tmp_path / "checkpoint",
        {},
    )
    decibels = [step.terms["decibels"] for step in steps]
    assert decibels[-1] < 0.7 * decibels[0]
