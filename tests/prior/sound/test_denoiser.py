"""Speech out of what lies under it: what is left, what is taken, and when."""

from pathlib import Path

import numpy as np
import pytest
import torch

from media.audio import load_audio
from prior.sound.denoiser import (
    AHEAD,
    PAST,
    Denoiser,
    DenoiserShape,
    MaskNetwork,
    belief,
    bins_of_bands,
    cleanness,
    load_denoiser,
    mel_power,
    resounded,
    spectra_of,
)
from prior.sound.soundscape import hiss, mixed, music

LINE = Path(__file__).parents[3] / "scripts/performer/line.flac"


@pytest.fixture(scope="module")
def line() -> np.ndarray:
    return load_audio(LINE, mono=True).mono16k().samples[0]


@pytest.mark.parametrize("count", [1, 159, 160, 2001])
def test_unchanged_spectra_are_the_sound_again(count: int) -> None:
    """Kills windows that do not add up, frames set down a step aside, and lost ends."""
    samples = np.random.default_rng(0).normal(size=count).astype(np.float32)
    np.testing.assert_allclose(resounded(spectra_of(samples), count), samples, atol=1e-4)


def test_a_bin_takes_the_gain_of_the_bands_that_hear_it() -> None:
    """Kills a mask turned upside down, and bins that no band hears going silent."""
    bins = bins_of_bands()
    np.testing.assert_allclose(bins.sum(0), 1, atol=1e-6)
    tone = np.sin(2 * np.pi * 1000 * np.arange(4000) / 16000).astype(np.float32)
    loudest = mel_power(spectra_of(tone))[10].argmax()
    assert bins[loudest, 32] > 0.3
    assert mel_power(spectra_of(tone))[10, loudest] == pytest.approx(1, rel=0.5)


def test_gains_look_back_and_hardly_ahead() -> None:
    """Kills a live voice that would wait: what comes 50 ms later changes nothing now."""
    torch.manual_seed(0)
    network = MaskNetwork(DenoiserShape(width=8)).eval()
    mel = torch.randn(1, PAST + 1 + AHEAD + 5, 80)
    changed = mel.clone()
    changed[:, PAST + AHEAD + 1 :] += 1
    with torch.no_grad():
        before, after = network(mel), network(changed)
    assert before.shape == (1, 6, 80)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])


def test_long_lines_are_cleaned_in_blocks(line: np.ndarray, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Kills blocks that forget what was before them, and gaps between them."""
    whole = load_denoiser()(line)
    monkeypatch.setattr("prior.sound.denoiser.BLOCK", 70)
    np.testing.assert_allclose(load_denoiser()(line), whole, atol=1e-5)


def test_speech_stays_and_what_lies_under_it_goes(line: np.ndarray) -> None:
    """Kills a mask that turns speech down with the noise, or leaves both."""
    clean, random = load_denoiser(), np.random.default_rng(0)

    def bands(samples: np.ndarray) -> np.ndarray:
        return 10 * np.log10(mel_power(spectra_of(samples)) + 1e-8)

    wanted = bands(line)
    assert np.abs(bands(clean(line)) - wanted).mean() < 3
    for other in (music, hiss):
        under = mixed(line, other(len(line), random), 10.0).astype(np.float32)
        left, before = (np.abs(bands(s) - wanted).mean() for s in (clean(under), under))
        assert left < 0.85 * before  # measured: 0.75 and less


def test_music_alone_nearly_vanishes() -> None:
    """Kills lips that sing along with an instrument."""
    samples = music(3 * 16000, np.random.default_rng(1))
    samples = (0.03 * samples / samples.std()).astype(np.float32)
    left = load_denoiser()(samples)
    assert np.square(left).mean() < 1e-3 * np.square(samples).mean()  # the mask by itself: 0.01


def test_remnants_are_believed_only_beside_speech() -> None:
    """Kills a voice that is cut off as it begins, one judged by frames alone, decibels counted
    once where they count threefold, and gains above one."""
    heard = np.ones((200, 257), np.complex64)
    kept = heard * np.float32(0.1)
    assert np.allclose(belief(heard / 2, heard), 1)
    assert np.allclose(belief(kept, heard)[60:], 10 ** (-3 * 8 / 20), rtol=1e-4)
    kept[100:110] = 2 * heard[100:110]
    believed = belief(kept, heard)
    assert (believed[100 - AHEAD : 140] == 1).all()
    assert believed[:95].max() < 0.1
    assert believed[160:].max() < 0.1


def test_weights_come_back_as_they_were_saved(tmp_path: Path) -> None:
    """Kills a size or a number that the file forgets."""
    torch.manual_seed(0)
    made = Denoiser(MaskNetwork(DenoiserShape(width=8)).half().float().eval(), {"seed": 3})
    made.save(tmp_path / "denoiser.safetensors")
    kept = Denoiser.load(tmp_path / "denoiser.safetensors")
    samples = np.random.default_rng(0).normal(size=3200).astype(np.float32)
    np.testing.assert_array_equal(made(samples), kept(samples))
    assert kept.about == {"seed": 3}


def test_what_is_taken_says_how_clean_a_recording_is() -> None:
    """Kills decibels of amplitudes, a share that falls with cleanness, and silence that divides."""
    assert cleanness(1.0, 10**-2.8) == 1
    assert cleanness(1.0, 10**-2.0) == 0
    assert abs(cleanness(10.0, 10**-1.4) - 0.5) < 1e-6
    assert 0 <= cleanness(0.0, 0.0) <= 1
