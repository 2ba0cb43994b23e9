"""Speech out of music, hiss and other voices: a gain for every mel band, told by a small network.

    samples ─▶ spectra 100 Hz ─▶ mel bands, from the line's level ─▶ gains ─▶ spectra ─▶ samples

Whatever listens next, phones, throat or loudness, hears a line without what lies under it; where
nobody speaks hardly anything is left. Convolutions are unpadded and look far back but hardly ahead,
so that a voice can be followed live.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float, Float32
from torch import Tensor, nn

from core.serial import Schema
from prior.sound.speech import (
    BANDS,
    DECIBELS_A_UNIT,
    FLOOR_DECIBELS,
    FRAME_RATE,
    HOP,
    mel_weights,
    speech_level,
)
from prior.weights import in_use, load_network, save_network

SCHEMA = Schema("denoiser", 1)

WINDOW, TRANSFORM = 3 * HOP, 512
"""Samples under a frame, and of its spectrum."""
STEM = 9
"""Frames under the first kernel, as many before a frame as after it."""
DILATIONS = (1, 2, 4, 8, 16, 32)
AHEAD = STEM // 2
PAST = STEM // 2 + 2 * sum(DILATIONS)
"""Frames after and before its own that a gain depends on: 40 ms and 1.3 s."""
LEAST_GAIN = 0.01
CLEAN_DECIBELS, CROWDED_DECIBELS = 28.0, 20.0
"""Speech so far above what is taken from under it is left as it was recorded, and is heard without
what was taken. Studio and room recordings: 25 to 47 dB; music 10 dB under a voice: 10."""
LISTENED_FRAMES = FRAME_RATE // 2
SPEAKING_DECIBELS = -12.0
"""Where less than this is left of the last half second, nobody speaks: of music alone -16 dB and
less are left in 95 % of frames, of speech 5 dB above its music -6 dB and more while it lasts."""
EXPANSION = 3.0
"""What is left there is turned down by so many decibels for each that is missing."""
RUMBLE_BIN = 2
"""What lies below its 62 Hz belongs to no voice."""
BLOCK = 20 * FRAME_RATE
"""Frames computed at once: memory for spectra does not grow with the line."""


@dataclass(frozen=True)
class DenoiserShape:
    """Size of the network."""

    width: int = 96


class PastBlock(nn.Module):
    """Residual: normalise each frame, look back twice `dilation` frames, mix channels."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.past = 2 * dilation
        self.norm = nn.LayerNorm(width)
        self.look = nn.Conv1d(width, width, 3, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x: Float[Tensor, "B C T"]) -> Float[Tensor, "B C S"]:
        hidden = self.look(self.norm(x.transpose(1, 2)).transpose(1, 2))
        return x[..., self.past :] + self.mix(nn.functional.gelu(hidden))


class MaskNetwork(nn.Module):
    """Mel bands in units of 20 dB from the line's level to their gains; shorter by `PAST` frames
    at the beginning and `AHEAD` at the end."""

    def __init__(self, shape: DenoiserShape) -> None:
        super().__init__()
        self.shape = shape
        self.stem = nn.Conv1d(BANDS, shape.width, STEM)
        self.blocks = nn.ModuleList([PastBlock(shape.width, d) for d in DILATIONS])
        self.norm = nn.LayerNorm(shape.width)
        self.gain = nn.Linear(shape.width, BANDS)
        nn.init.constant_(self.gain.bias, 2.0)  # begins by leaving nearly everything

    def forward(self, mel: Float[Tensor, "B K 80"]) -> Float[Tensor, "B T 80"]:
        x = self.stem((mel + 1.5).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        open_share = self.gain(self.norm(x.transpose(1, 2))).sigmoid()
        return LEAST_GAIN + (1 - LEAST_GAIN) * open_share


@dataclass(frozen=True, eq=False)
class Denoiser:
    """A trained mask."""

    network: MaskNetwork
    about: dict[str, Any]

    def __call__(
        self, samples: Float32[np.ndarray, " N"], level: float | None = None
    ) -> Float32[np.ndarray, " N"]:
        """As many samples at 16 kHz, what is no speech turned down.

        `level` is that of the whole line, see `speech_level`, where these are a part of one.
        """
        spectra = spectra_of(samples)
        decibels = 10 * np.log10(np.maximum(mel_power(spectra), 1e-12)).astype(np.float32)
        relative = relative_level(decibels, speech_level(decibels) if level is None else level)
        kept = spectra * self.gains(relative)
        return resounded(kept * belief(kept, spectra)[:, None], len(samples))

    @torch.no_grad()
    def gains(self, relative: Float32[np.ndarray, "K 80"]) -> Float32[np.ndarray, "K 257"]:
        """By frame and bin; before the sound and after it there is its mirror image."""
        mel = np.pad(relative, ((PAST, AHEAD), (0, 0)), mode="symmetric")
        parts = [
            self.network(torch.from_numpy(mel[None, first : first + BLOCK + PAST + AHEAD]))[0]
            for first in range(0, len(relative), BLOCK)
        ]
        return (torch.cat(parts) @ torch.from_numpy(bins_of_bands())).numpy()

    def save(self, path: Path) -> None:
        save_network(path, SCHEMA, self.network, self.network.shape, self.about)

    @staticmethod
    def load(path: Path) -> "Denoiser":
        """Raises InputError for a file that is not a denoiser of this schema."""
        return Denoiser(*load_network(path, SCHEMA, lambda **s: MaskNetwork(DenoiserShape(**s))))


@cache
def load_denoiser() -> Denoiser:
    """The one in use (`weights.in_use`). Raises AssetError where it is missing or damaged."""
    return in_use("denoiser.safetensors", Denoiser.load)


def cleanness(kept: float, taken: float) -> float:
    """From the energies of the speech and of what was taken out: 1 where a recording holds next to
    nothing but speech, 0 where something else is heard beside it."""
    decibels = 10 * np.log10(max(kept, 1e-9) / max(taken, 1e-9))
    share = (decibels - CROWDED_DECIBELS) / (CLEAN_DECIBELS - CROWDED_DECIBELS)
    return float(np.clip(share, 0, 1))


def belief(
    kept: Complex[np.ndarray, "K 257"], heard: Complex[np.ndarray, "K 257"]
) -> Float32[np.ndarray, " K"]:
    """Gains of frames by how much was kept of what was heard lately: 1 while somebody speaks."""
    window, seen = np.ones(LISTENED_FRAMES), slice(AHEAD, AHEAD + len(kept))
    lately = [np.convolve(energy(part), window)[seen] for part in (kept, heard)]
    kept_energy, heard_energy = (np.maximum(part, 1e-12) for part in lately)
    missing = (SPEAKING_DECIBELS - 10 * np.log10(kept_energy / heard_energy)).clip(0)
    return (10 ** (-EXPANSION * missing / 20)).astype(np.float32)


def energy(spectra: Complex[np.ndarray, "K 257"]) -> Float[np.ndarray, " K"]:
    """Of each frame, rumble aside."""
    above = spectra[:, RUMBLE_BIN:]
    return (above.real**2 + above.imag**2).sum(1)


@cache
def analysis_window() -> Float32[np.ndarray, "512"]:
    return np.pad(np.hanning(WINDOW + 1)[:-1], (TRANSFORM - WINDOW) // 2).astype(np.float32)


def spectra_of(samples: Float[np.ndarray, " N"]) -> Complex[np.ndarray, "K 257"]:
    """Frame k is centred on sample k · HOP."""
    count = len(samples) // HOP + 1
    padded = np.pad(samples.astype(np.float32), (TRANSFORM // 2, TRANSFORM))
    frames = np.lib.stride_tricks.sliding_window_view(padded, TRANSFORM)[::HOP][:count]
    return np.fft.rfft(frames * analysis_window()).astype(np.complex64)


def resounded(spectra: Complex[np.ndarray, "K 257"], count: int) -> Float32[np.ndarray, " _"]:
    """`count` samples of spectra; unchanged spectra give what they were of (Griffin and Lim 1984,
    equation 6)."""
    window = analysis_window()
    frames = np.fft.irfft(spectra, TRANSFORM).astype(np.float32) * window
    weights = overlapped(np.broadcast_to(window**2, frames.shape))
    return (overlapped(frames) / np.maximum(weights, 1e-3))[:count]


def overlapped(frames: Float32[np.ndarray, "K 512"]) -> Float32[np.ndarray, " _"]:
    """Frames added up, each around its own centre, to a little more than they are the middle of."""
    steps = -(-TRANSFORM // HOP)
    rows = np.pad(frames, ((0, steps), (0, steps * HOP - TRANSFORM))).reshape(-1, steps, HOP)
    added = sum(np.roll(rows[:, step], step, axis=0) for step in range(steps))
    return np.asarray(added).reshape(-1)[TRANSFORM // 2 :]


def mel_power(spectra: Complex[np.ndarray, "K 257"]) -> Float[np.ndarray, "K 80"]:
    """A full-scale sine has about 1 in its loudest band."""
    return (spectra.real**2 + spectra.imag**2) @ bands_of_bins()


@cache
def bands_of_bins() -> Float32[np.ndarray, "257 80"]:
    """Power in bins to power in mel bands."""
    return (mel_weights().T / (analysis_window().sum() / 2) ** 2).astype(np.float32)


def relative_level(
    decibels: Float32[np.ndarray, "K 80"], level: float
) -> Float32[np.ndarray, "K 80"]:
    """Units of 20 dB from the level, held within what matters."""
    return (np.maximum(decibels - level, FLOOR_DECIBELS) / DECIBELS_A_UNIT).astype(np.float32)


@cache
def bins_of_bands() -> Float32[np.ndarray, "80 257"]:
    """A bin's gain is the mean of the bands' that hear it; bins below and above take their
    neighbours'."""
    weights = mel_weights().copy()
    heard = np.flatnonzero(weights.sum(0) > 0)
    weights[0, : heard[0]] = 1
    weights[-1, heard[-1] + 1 :] = 1
    return (weights / weights.sum(0)).astype(np.float32)
