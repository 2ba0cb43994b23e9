"""Throats: whose formants lie how high, and that what is heard is shifted back."""

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from media.audio import load_audio
from prior.sound.acoustics import cepstra
from prior.sound.hearing import voiced
from prior.sound.speech import RATE, mel_decibels, shifted
from prior.sound.throat import AVERAGE, THROATS, throat_of

LINE = Path(__file__).parents[3] / "scripts/performer/line.flac"


@pytest.fixture(scope="module")
def line() -> np.ndarray:
    return load_audio(LINE, mono=True).mono16k().samples[0]


def told(samples: np.ndarray) -> float:
    return throat_of(samples, voiced(mel_decibels(samples.astype(np.float32))))


def test_a_shorter_throat_is_told_by_its_higher_formants(line: np.ndarray) -> None:
    """Kills a shift the wrong way round, and one that is fitted to level or microphone: a line
    played faster has all of its formants that much higher."""
    slow, fast = (told(resample_poly(line, 100, hundredths)) for hundredths in (94, 106))
    assert 1.06 <= fast / slow <= 1.3
    assert told(0.1 * line) == told(line)


def test_too_little_speech_leaves_the_average_throat(line: np.ndarray) -> None:
    """Kills a throat of silence."""
    assert told(np.zeros(RATE)) == AVERAGE
    assert told(line[: RATE // 5]) == AVERAGE


@pytest.mark.parametrize("throat", [THROATS[0], THROATS[-1]])
def test_shifted_frequencies_keep_their_order_and_ends(throat: float) -> None:
    """Kills formants shifted beyond half the rate, and a step where the line bends."""
    hertz = np.linspace(0, RATE / 2, 4001)
    moved = shifted(hertz, throat)
    assert moved[0] == 0
    assert moved[-1] == pytest.approx(RATE / 2)
    assert np.diff(moved).min() > 0
    assert moved[1000] == pytest.approx(throat * hertz[1000])
    assert np.diff(moved).max() < 6


def test_a_formant_of_a_short_throat_is_heard_where_an_average_one_has_it() -> None:
    """Kills bands or filters that are shifted the wrong way, and one of the two left unshifted."""
    t, throat = np.arange(RATE) / RATE, 1.2

    def tone(hertz: float) -> np.ndarray:
        return (0.1 * np.sin(2 * np.pi * hertz * t)).astype(np.float32)

    own, high = tone(1500), tone(throat * 1500)
    assert mel_decibels(high, throat)[50].argmax() == mel_decibels(own)[50].argmax()
    near = np.abs(cepstra(high, throat)[50, 1:6] - cepstra(own)[50, 1:6]).mean()
    far = np.abs(cepstra(high)[50, 1:6] - cepstra(own)[50, 1:6]).mean()
    assert near < 0.3 * far
