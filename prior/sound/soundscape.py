"""The same words from other throats, in other rooms, over music and other voices.

Sounds are changed before anything listens to them, so that every feature meets what it will meet.
All take and give mono samples at 16 kHz.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.signal import fftconvolve, lfilter, resample_poly

from prior.sound.speech import RATE

Samples = Float[np.ndarray, " N"]

SPEEDS = (0.84, 1.19)
"""Slowest and fastest playing; pitch, vocal tract and tempo change together."""
CURVE_DECIBELS = 3.0
ROOM_SHARE, NOISE_SHARE = 0.4, 0.75
"""How many takes get a room, and how many a second sound."""
QUIETEST_NOISE, LOUDEST_NOISE = 32.0, 4.0
"""Second sounds lie so many decibels below the speech."""


def varied(
    samples: Samples, others: Sequence[Float[np.ndarray, "_"]], random: np.random.Generator
) -> tuple[Float[np.ndarray, " M"], float]:
    """Another take of a line, and by what factor it is faster; babble is mixed from `others`."""
    hundredths = round(100 * random.uniform(*SPEEDS))
    take = resample_poly(samples, 100, hundredths)
    take = coloured(take, random)
    if random.random() < ROOM_SHARE:
        take = reverberated(take, random)
    if random.random() < NOISE_SHARE:
        below = random.uniform(LOUDEST_NOISE, QUIETEST_NOISE)
        take = mixed(take, second_sound(len(take), others, random), below)
    return take, hundredths / 100


def coloured(samples: Samples, random: np.random.Generator) -> Samples:
    """A microphone: a smooth curve of a few decibels over the logarithm of frequency."""
    hertz = np.fft.rfftfreq(512, 1 / RATE)
    place = np.pi * np.log1p(hertz / 700) / np.log1p(RATE / 2 / 700)
    decibels = sum(
        random.normal(0, CURVE_DECIBELS / order**0.5) * np.cos(order * place)
        for order in range(1, 4)
    )
    kernel = np.roll(np.fft.irfft(10 ** (decibels / 20)), 256) * np.hanning(512)
    return fftconvolve(samples, kernel)[256 : 256 + len(samples)]


def reverberated(samples: Samples, random: np.random.Generator) -> Samples:
    """A room: noise that fades by 60 dB in 0.15 to 0.6 s, below the direct sound."""
    fading = random.uniform(0.15, 0.6)
    t = np.arange(int(fading * RATE)) / RATE
    tail = random.standard_normal(len(t)) * 10 ** (-3 * t / fading)
    wet = fftconvolve(samples, tail / np.linalg.norm(tail))[: len(samples)]
    return samples + random.uniform(0.1, 0.5) * wet


def mixed(samples: Samples, other: Samples, decibels_below: float) -> Samples:
    """`other` under `samples`, by powers over the whole take."""
    ratio = (samples**2).mean() / max((other**2).mean(), 1e-12)
    return samples + other * np.sqrt(ratio) * 10 ** (-decibels_below / 20)


def second_sound(
    count: int, others: Sequence[Float[np.ndarray, "_"]], random: np.random.Generator
) -> Samples:
    """Hiss, music or babble."""
    kind = random.choice(("hiss", "music", "babble"))
    if kind == "music":
        return music(count, random)
    return babble(count, others, random) if kind == "babble" else hiss(count, random)


def hiss(count: int, random: np.random.Generator) -> Samples:
    """Noise between white and rumbling."""
    rumble = random.uniform(0, 0.97)
    return np.asarray(lfilter([1.0], [1.0, -rumble], random.standard_normal(count)))


def babble(
    count: int, others: Sequence[Float[np.ndarray, "_"]], random: np.random.Generator
) -> Samples:
    """Three to six voices at once, each from a random moment on."""
    total = np.zeros(count)
    for _ in range(random.integers(3, 7)):
        voice = others[random.integers(len(others))]
        total += np.resize(np.roll(voice, random.integers(len(voice))), count)
    return total


def music(count: int, random: np.random.Generator) -> Samples:
    """Chords of plucked or held tones with harmonics, over a beat of noise."""
    total = np.zeros(count)
    beat = int(RATE * random.uniform(0.25, 0.7))
    held, bright = random.uniform(0.2, 3.0), random.uniform(0.6, 2.0)
    for begin in range(0, count, beat):
        t = np.arange(min(4 * beat, count - begin)) / RATE
        root = 110 * 2 ** (random.integers(0, 24) / 12)
        for interval in random.choice((0, 3, 4, 7, 10, 12), 3, replace=False):
            pitch = root * 2 ** (interval / 12)
            for harmonic in range(1, 9):
                if harmonic * pitch < RATE / 2:
                    tone = np.sin(2 * np.pi * harmonic * pitch * t + random.uniform(0, 6.3))
                    total[begin : begin + len(t)] += tone * np.exp(-t / held) / harmonic**bright
        drum = random.standard_normal(len(t)) * np.exp(-t / 0.05)
        total[begin : begin + len(t)] += random.uniform(0, 0.5) * drum
    return total
