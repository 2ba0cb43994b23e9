"""Sounds under a dialogue: music, and a room full of people."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from media.audio import Audio
from prior.sound.speech import RATE

CHORDS_HERTZ = ((220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6))
BEAT_SECONDS = 0.45
VOICES = 6


def mixed(line: Audio, other: Float32[np.ndarray, " N"], decibels: float) -> Audio:
    """`line` at 16 kHz with `other` under it, `decibels` from its own power (−10: 10 dB below)."""
    speech = line.mono16k()
    under = np.resize(other, speech.samples.shape[1])
    ratio = np.square(speech.samples).mean() / max(float(np.square(under).mean()), 1e-12)
    gain = np.sqrt(ratio) * 10 ** (decibels / 20)
    return Audio((speech.samples + gain * under).astype(np.float32), RATE, speech.start)


def music(seconds: float, seed: int = 0) -> Float32[np.ndarray, " N"]:
    """A bass, held chords, and a drum on every second beat."""
    random = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    beat = (t / BEAT_SECONDS).astype(int)
    since = t - beat * BEAT_SECONDS
    pitches = np.array(CHORDS_HERTZ)[(beat // 4) % len(CHORDS_HERTZ)]
    chord = sum(
        np.sin(2 * np.pi * k * pitches[:, n] * t) / k for n in range(3) for k in range(1, 7)
    )
    bass = np.sign(np.sin(np.pi * pitches[:, 0] * t)) * np.exp(-since / 0.3)
    drum = random.normal(size=len(t)) * np.exp(-since / 0.06) * (beat % 2)
    return (chord * (0.6 + 0.4 * np.exp(-since / 0.5)) + 0.7 * bass + drum).astype(np.float32)


def babble(voices: Sequence[Audio], seconds: float, seed: int = 0) -> Float32[np.ndarray, " N"]:
    """`VOICES` voices of equal power at once, each from a random moment on."""
    random = np.random.default_rng(seed)
    total = np.zeros(int(seconds * RATE), np.float32)
    for n in range(VOICES):
        voice = voices[n % len(voices)].mono16k().samples[0]
        voice = np.resize(np.roll(voice, random.integers(len(voice))), len(total))
        total += voice / np.sqrt(np.square(voice).mean() + 1e-12)
    return total
