"""Speech as a network hears it: log-mel frames, 100 a second, measured from the line's own level.

Level is taken out twice over: decibels count from the loudness of the spoken part alone, so
neither a quiet recording nor a long pause changes how far a mouth opens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from media.audio import Audio

RATE = 16000
HOP = 160
FRAME_RATE = RATE // HOP
"""Mel frames a second; frame k is centred on sample k · HOP."""
BANDS = 80
WINDOW, TRANSFORM = 400, 512
BLOCK_FRAMES = 60 * FRAME_RATE
"""Mel frames transformed at once: memory for spectra does not grow with the line."""

FLOOR_DECIBELS = -70.0
"""Silence, below the speech level."""
DECIBELS_A_UNIT = 20.0
QUIETEST_SPEECH_DBFS = -30.0
"""A line without anything louder is room tone: it is not turned up until it sounds like speech."""
AUDIBLE_DBFS = -70.0
"""What is quieter is no sound at all."""


@dataclass(frozen=True)
class SpeechFeatures:
    """Log-mel frames in units of 20 dB from the speech level, −3.5 (silence) upwards.

    Frame k is heard `start + k / 100` seconds after picture 0.
    """

    mel: Float[Tensor, "K 80"]
    start: Fraction

    def __len__(self) -> int:
        return len(self.mel)

    def section(self, first: int, stop: int) -> Float[Tensor, "N 80"]:
        """Frames `first` to `stop`, either of which may lie outside the sound: silence there."""
        silence = FLOOR_DECIBELS / DECIBELS_A_UNIT
        inside = self.mel[max(first, 0) : max(stop, 0)]
        before = min(max(-first, 0), stop - first)
        after = stop - first - before - len(inside)
        return torch.nn.functional.pad(inside, (0, 0, before, after), value=silence)


def speech_features(audio: Audio) -> SpeechFeatures:
    """Features of one line. A line without speech is silence, however it is amplified."""
    decibels = mel_decibels(audio.mono16k().samples[0])
    relative = np.maximum(decibels - speech_level(decibels), FLOOR_DECIBELS) / DECIBELS_A_UNIT
    return SpeechFeatures(torch.from_numpy(relative.astype(np.float32)), audio.start)


def mel_decibels(
    samples: Float32[np.ndarray, " N"], throat: float = 1.0
) -> Float32[np.ndarray, "K 80"]:
    """Power in 80 mel bands (Slaney's scale, 0 to 8 kHz) of 25 ms around every 10 ms, in dB, heard
    as if the `throat` were an average one (see `throat`).

    A full-scale sine has about 0 dB in its loudest band.
    """
    count = len(samples) // HOP + 1
    blocks = [
        10 * np.log10(np.maximum(power, 1e-12))
        for power in _mel_power_blocks(samples, count, throat)
    ]
    return np.concatenate(blocks).astype(np.float32)


def _mel_power_blocks(
    samples: Float32[np.ndarray, " N"], count: int, throat: float
) -> Iterator[Float[np.ndarray, "K 80"]]:
    padded = np.pad(samples, (TRANSFORM // 2, TRANSFORM))
    frames = np.lib.stride_tricks.sliding_window_view(padded, TRANSFORM)[::HOP][:count]
    window = np.pad(np.hanning(WINDOW + 1)[:-1], (TRANSFORM - WINDOW) // 2)
    weights = mel_weights(throat).T / (window.sum() / 2) ** 2
    for first in range(0, count, BLOCK_FRAMES):
        spectrum = np.fft.rfft(frames[first : first + BLOCK_FRAMES] * window)
        yield np.abs(spectrum) ** 2 @ weights


@cache
def mel_weights(throat: float = 1.0) -> Float[np.ndarray, "80 257"]:
    """Triangles, one high, on Slaney's scale (Auditory Toolbox, 1998): even steps of 200/3 Hz up
    to 1 kHz, and of a 27th of ln 6.4 in log-frequency above; shifted for this throat."""
    step, corner, log_step = 200 / 3, 1000.0, np.log(6.4) / 27
    top = corner / step + np.log(RATE / 2 / corner) / log_step
    mels = np.linspace(0, top, BANDS + 2)
    above = corner * np.exp(log_step * (mels - corner / step))
    edges = shifted(np.where(mels * step < corner, mels * step, above), throat)
    hertz = np.linspace(0, RATE / 2, TRANSFORM // 2 + 1)
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rise, fall))


STRAIGHT_HERTZ = 5200.0


def shifted(hertz: Float[np.ndarray, " N"], throat: float) -> Float[np.ndarray, " N"]:
    """Where a throat `throat` times as short as the average one puts the average one's formants.

    Proportional up to `STRAIGHT_HERTZ`, then straight to half the sample rate (Eide and Gish 1996).
    """
    top = RATE / 2
    beyond = (hertz - STRAIGHT_HERTZ) / (top - STRAIGHT_HERTZ)
    high = throat * STRAIGHT_HERTZ + beyond * (top - throat * STRAIGHT_HERTZ)
    return np.where(hertz < STRAIGHT_HERTZ, throat * hertz, high)


def loudness(decibels: Float32[np.ndarray, "K 80"]) -> Float[np.ndarray, " K"]:
    """Power of all bands together, in dB."""
    return 10 * np.log10((10.0 ** (decibels.astype(np.float64) / 10)).sum(1))


def speech_level(decibels: Float32[np.ndarray, "K 80"]) -> float:
    """Loudness of the spoken part in dB: the gated mean of ITU-R BS.1770.

    Frames more than 10 dB below the mean of the audible ones are pauses and do not count.
    """
    level = loudness(decibels)
    audible = level[level > AUDIBLE_DBFS]
    if not len(audible):
        return QUIETEST_SPEECH_DBFS
    spoken = audible[audible > _mean_decibels(audible) - 10]
    return max(_mean_decibels(spoken), QUIETEST_SPEECH_DBFS)


def _mean_decibels(level: Float[np.ndarray, " K"]) -> float:
    return float(10 * np.log10((10.0 ** (level / 10)).mean()))
