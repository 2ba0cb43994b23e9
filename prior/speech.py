"""Speech as a network hears it: log-mel frames, 100 a second, measured from the line's own level.

Level is taken out twice over: decibels count from the loudness of the spoken part alone, so
neither a quiet recording nor a long pause changes how far a mouth opens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import librosa
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


def mel_decibels(samples: Float32[np.ndarray, " N"]) -> Float32[np.ndarray, "K 80"]:
    """Power in 80 mel bands (Slaney's scale, 0 to 8 kHz) of 25 ms around every 10 ms, in dB.

    A full-scale sine has about 0 dB in its loudest band.
    """
    count = len(samples) // HOP + 1
    blocks = [
        librosa.power_to_db(power, ref=1.0, amin=1e-12, top_db=None).T
        for power in _mel_power_blocks(samples, count)
    ]
    return np.concatenate(blocks).astype(np.float32)


def _mel_power_blocks(
    samples: Float32[np.ndarray, " N"], count: int
) -> Iterator[Float32[np.ndarray, "80 K"]]:
    padded = np.pad(samples, (TRANSFORM // 2, TRANSFORM))
    full_scale = (np.hanning(WINDOW).sum() / 2) ** 2
    for first in range(0, count, BLOCK_FRAMES):
        frames = min(BLOCK_FRAMES, count - first)
        block = padded[first * HOP : (first + frames - 1) * HOP + TRANSFORM]
        power = librosa.feature.melspectrogram(
            y=block, sr=RATE, n_fft=TRANSFORM, win_length=WINDOW, hop_length=HOP,
            n_mels=BANDS, center=False, norm=None,
        )  # fmt: skip
        yield power / full_scale


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
