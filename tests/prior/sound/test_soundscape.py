"""Takes of a line by other throats, in other rooms, over other sounds."""

import numpy as np
import pytest

from prior.sound.soundscape import babble, coloured, hiss, mixed, music, reverberated, varied

RATE = 16000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tone(seconds: float, hertz: float = 440.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def test_a_faster_take_is_shorter_and_higher() -> None:
    """Kills a speed that is told the wrong way round: truth would drift away from the sound."""
    samples = tone(1.0)
    for seed in range(6):
        take, speed = varied(samples, [samples], rng(seed))
        assert len(take) == pytest.approx(len(samples) / speed, abs=2)
    middle = coloured(samples, rng())[4000:12000]
    assert np.abs(np.fft.rfft(middle)).argmax() == 220


@pytest.mark.parametrize("change", [coloured, reverberated])
def test_microphones_and_rooms_delay_nothing(change) -> None:  # type: ignore[no-untyped-def]
    """Kills a filter's own delay: lips would come early."""
    click = np.zeros(4000)
    click[2000] = 1.0
    assert np.abs(change(click, rng())).argmax() == 2000


@pytest.mark.parametrize("below", [0.0, 10.0, 30.0])
def test_a_second_sound_lies_as_far_below_as_asked(below: float) -> None:
    """Kills amplitudes for powers, and the sign of decibels."""
    samples, other = 0.1 * tone(1.0), 5 * hiss(RATE, rng())
    added = mixed(samples, other, below) - samples
    ratio = 10 * np.log10((samples**2).mean() / (added**2).mean())
    assert ratio == pytest.approx(below, abs=1e-6)


def test_second_sounds_fill_the_take() -> None:
    """Kills babble that ends with its shortest voice, and music that stops."""
    voices = [tone(0.2), tone(0.7, 300)]
    for sound in (hiss(RATE, rng()), music(RATE, rng()), babble(RATE, voices, rng())):
        assert len(sound) == RATE
        assert np.isfinite(sound).all()
        assert np.abs(sound[-4000:]).max() > 0
