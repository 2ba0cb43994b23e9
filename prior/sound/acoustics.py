"""Which sound is being made, whoever makes it: a hidden Markov model of English phones.

    samples ─▶ cepstra 100 Hz ─▶ scores of 126 states (Gaussian mixtures) ─▶ forward, backward ─▶
    posteriors

The mixtures are those of pocketsphinx's American English model, which its wheel carries: taught by
hundreds of hours of many voices, they know sounds that a few minutes of tracked lips cannot teach.
Phones follow each other as in the words of the CMU dictionary beside it. A phone has three states
in a row; state s of phone p is number 3 · p + s, phones in the order of `PHONES`.
"""

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float, Float32, Float64
from pocketsphinx import get_model_path
from scipy.special import logsumexp

from core.errors import AssetError
from prior.sound.phones import PHONES, STATES
from prior.sound.speech import HOP, RATE, shifted

WINDOW, TRANSFORM = 410, 512
"""Samples under a frame (25.6 ms, Hamming) and of its spectrum."""
FILTERS, LOWEST_HERTZ, HIGHEST_HERTZ = 25, 130.0, 6800.0
CEPSTRA, LIFTER, EMPHASIS = 13, 22, 0.97
"""The front end that the model was taught with (its feat.params)."""
QUANTUM = 1 / 32768
"""Amplitude of one step of 16-bit sound: digital silence is heard as noise of that size, as in the
recordings that taught the model."""

STREAMS, DENSITIES = 3, 128
"""Cepstra, their velocity and their acceleration each have their own codebook, one a phone."""
NATS_A_WEIGHT = 1024 * float(np.log(1.0001))
"""Mixture weights are stored as negative logarithms to the base 1.0001, divided by 1024."""

TRUST = 0.25
"""Power of the likelihoods: neighbouring frames and the three streams say nearly the same thing."""
STAY = 0.6
"""Chance that a state lasts another frame: 2.5 frames a state, 75 ms a phone."""
SILENCE = PHONES.index("SIL")
NOISES = (PHONES.index("+NSN+"), PHONES.index("+SPN+"))


@dataclass(frozen=True, eq=False)
class AcousticModel:
    """Diagonal Gaussians by phone, stream and density, and each state's weights of them."""

    mean: Float32[np.ndarray, "42 3 128 13"]
    precision: Float32[np.ndarray, "42 3 128 13"]
    constant: Float32[np.ndarray, "42 3 128"]
    """Logarithm of each density at its mean."""
    weight: Float32[np.ndarray, "42 3 128 3"]
    """By phone, stream, density and state; they sum to about one over the densities."""
    follows: Float64[np.ndarray, "42 42"]
    """Chance that the second phone comes next after the first; rows sum to one."""

    def scores(self, cepstra: Float[np.ndarray, "K 13"]) -> Float32[np.ndarray, "K 126"]:
        """Log-likelihood of every frame in every state, in nats. The cepstra's mean is the room's
        and the microphone's: take it out before."""
        values = with_motion(cepstra).astype(np.float32)
        total = np.zeros((len(values), len(PHONES), STATES), np.float32)
        for stream in range(STREAMS):
            x = values[:, stream]
            for phone in range(len(PHONES)):
                mean, precision = self.mean[phone, stream], self.precision[phone, stream]
                far = x**2 @ precision.T - 2 * x @ (mean * precision).T
                density = self.constant[phone, stream] - 0.5 * (far + (mean**2 * precision).sum(1))
                peak = density.max(1, keepdims=True)
                mixed = np.exp(density - peak) @ self.weight[phone, stream]
                total[:, phone] += np.log(np.maximum(mixed, 1e-30)) + peak
        return total.reshape(len(values), -1)

    def plausibility(self, cepstra: Float[np.ndarray, "K 13"]) -> float:
        """Mean log-likelihood, in nats, of frames by themselves, whatever phone they are."""
        x = cepstra.astype(np.float32)
        mean, precision = self.mean[:, 0], self.precision[:, 0]
        far = x**2 @ precision.transpose(0, 2, 1) - 2 * x @ (mean * precision).transpose(0, 2, 1)
        density = self.constant[:, 0, None] - 0.5 * (far + (mean**2 * precision).sum(-1)[:, None])
        weight = np.log(self.weight[:, 0].mean(-1) + 1e-30)[:, None]
        return float(np.mean(logsumexp(density + weight, axis=(0, 2))))

    def posteriors(self, scores: Float[np.ndarray, "K 126"]) -> Float64[np.ndarray, "K 126"]:
        """Probability of each state in each frame, given all frames; rows sum to one."""
        trusted = TRUST * scores.astype(np.float64)
        likelihood = np.exp(trusted - trusted.max(1, keepdims=True, initial=-np.inf))
        return forward_backward(likelihood, self.follows, STAY)


@numba.njit(cache=True)
@no_type_check
def forward_backward(likelihood, follows, stay):
    """State posteriors [K 3·P] (Rabiner 1989, eq. 27) for `likelihood` [K 3·P], phones in a row of
    three states that last with probability `stay` and then go on, the last one to the phones that
    `follows` [P P]. The line begins and may end anywhere."""
    frames, phones = len(likelihood), len(follows)
    states = 3 * phones
    forward = np.zeros((frames, states))
    now = np.full(states, 1.0 / states)
    for t in range(frames):
        if t > 0:
            before = forward[t - 1]
            for p in range(phones):
                entering = 0.0
                for q in range(phones):
                    entering += before[3 * q + 2] * follows[q, p]
                now[3 * p] = stay * before[3 * p] + (1 - stay) * entering
                now[3 * p + 1] = stay * before[3 * p + 1] + (1 - stay) * before[3 * p]
                now[3 * p + 2] = stay * before[3 * p + 2] + (1 - stay) * before[3 * p + 1]
        forward[t] = now * likelihood[t] + 1e-12
        forward[t] /= forward[t].sum()
    backward = np.ones(states)
    posterior = np.zeros((frames, states))
    for t in range(frames - 1, -1, -1):
        posterior[t] = forward[t] * backward
        posterior[t] /= posterior[t].sum()
        after = backward * likelihood[t]
        for q in range(phones):
            leaving = 0.0
            for p in range(phones):
                leaving += follows[q, p] * after[3 * p]
            backward[3 * q] = stay * after[3 * q] + (1 - stay) * after[3 * q + 1]
            backward[3 * q + 1] = stay * after[3 * q + 1] + (1 - stay) * after[3 * q + 2]
            backward[3 * q + 2] = stay * after[3 * q + 2] + (1 - stay) * leaving
        backward /= backward.sum()
    return posterior


def cepstra(samples: Float[np.ndarray, " N"], throat: float = 1.0) -> Float64[np.ndarray, "K 13"]:
    """Liftered cepstra of sound at 16 kHz (Davis and Mermelstein 1980), pocketsphinx's variant,
    heard as if the `throat` were an average one (see `throat`).

    Frame k is centred on sample k · HOP.
    """
    frames = windows(samples)
    blocks = [
        cepstra_of(frames[first : first + 1000], throat) for first in range(0, len(frames), 1000)
    ]
    return np.concatenate(blocks)


def windows(samples: Float[np.ndarray, " N"]) -> Float64[np.ndarray, "K 410"]:
    """What lies under each frame, its high frequencies raised; a view."""
    x = samples.astype(np.float64) / QUANTUM
    x = x - EMPHASIS * np.concatenate([[0.0], x[:-1]])
    padded = np.pad(x, (WINDOW // 2, TRANSFORM))
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: len(x) // HOP + 1]


def cepstra_of(frames: Float64[np.ndarray, "K 410"], throat: float) -> Float64[np.ndarray, "K 13"]:
    """Cepstra of some `windows`."""
    window, bank = np.hamming(WINDOW), filter_bank(throat)
    power = np.abs(np.fft.rfft(frames * window, TRANSFORM)) ** 2
    hiss = (window**2).sum() / 12 * (1 + EMPHASIS**2) * bank.sum(1)
    return np.log(power @ bank.T + hiss) @ cosines().T


@cache
def filter_bank(throat: float = 1.0) -> Float64[np.ndarray, "25 257"]:
    """Triangles of equal area, in equal steps of 2595 log10(1 + f / 700), for this throat."""
    lowest, highest = (2595 * np.log10(1 + f / 700) for f in (LOWEST_HERTZ, HIGHEST_HERTZ))
    edges = 700 * (10 ** (np.linspace(lowest, highest, FILTERS + 2) / 2595) - 1)
    edges = shifted(edges, throat)
    hertz = np.arange(TRANSFORM // 2 + 1) * RATE / TRANSFORM
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    return np.minimum(rise, fall).clip(0) * (2 / (edges[2:] - edges[:-2]))[:, None]


@cache
def cosines() -> Float64[np.ndarray, "13 25"]:
    """Orthonormal DCT-II of the logarithms, lifted by a half sine over 22 cepstra."""
    order = np.arange(CEPSTRA)[:, None]
    basis = np.sqrt(2 / FILTERS) * np.cos(np.pi * order * (np.arange(FILTERS) + 0.5) / FILTERS)
    basis[0] *= np.sqrt(0.5)
    return basis * (1 + LIFTER / 2 * np.sin(np.pi * order / LIFTER))


def with_motion(cepstra: Float[np.ndarray, "K 13"]) -> Float[np.ndarray, "K 3 13"]:
    """Cepstra, their change over four frames, and the change of that over two; ends are held."""
    padded = np.pad(cepstra, ((3, 3), (0, 0)), mode="edge")
    count = len(cepstra)

    def shifted(by: int) -> Float[np.ndarray, "K 13"]:
        return padded[3 + by : 3 + by + count]

    velocity = shifted(2) - shifted(-2)
    acceleration = (shifted(3) - shifted(-1)) - (shifted(1) - shifted(-3))
    return np.stack([cepstra, velocity, acceleration], 1)


@cache
def load_acoustics() -> AcousticModel:
    """The model in pocketsphinx's wheel. Raises AssetError where it is missing or another one."""
    folder = Path(get_model_path("en-us/en-us"))
    try:
        mean, variance = (_gaussians(folder / name) for name in ("means", "variances"))
        senones = (folder / "sendump").read_bytes()
        dictionary = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text()
    except (OSError, ValueError, struct.error) as error:
        raise AssetError(
            f"pocketsphinx's acoustic model cannot be read ({error}) and speech is heard with it; "
            "install redub's dependencies again."
        ) from error
    variance = np.maximum(variance, 1e-4)
    logs = np.log(variance).sum(-1) + CEPSTRA * np.log(2 * np.pi)
    return AcousticModel(
        mean,
        1 / variance,
        (-0.5 * logs).astype(np.float32),
        _weights(senones),
        successions(dictionary),
    )


def _gaussians(path: Path) -> Float32[np.ndarray, "42 3 128 13"]:
    """One of the two files of Gaussians: a header in text, counts, lengths, then all numbers."""
    content = path.read_bytes()
    at = content.index(b"endhdr\n") + len(b"endhdr\n") + 4
    phones, streams, densities = struct.unpack_from("<3i", content, at)
    at += 4 * (3 + streams + 1)
    shape = (phones, streams, densities, CEPSTRA)
    if shape[:3] != (len(PHONES), STREAMS, DENSITIES):
        raise ValueError(f"{path.name} has shape {shape}")
    return np.frombuffer(content, "<f4", int(np.prod(shape)), at).reshape(shape)


def _weights(senones: bytes) -> Float32[np.ndarray, "42 3 128 3"]:
    """Weights of the states without context, which come first of all tied states.

    Bytes by stream, density and state follow a header, a zero, and the last two counts.
    """
    header = struct.pack("<2i", 0, DENSITIES)
    at = senones.index(header, senones.index(b"feature_count")) + len(header)
    (states,) = struct.unpack_from("<i", senones, at)
    table = np.frombuffer(senones, np.uint8, STREAMS * DENSITIES * states, at + 4)
    logs = table.reshape(STREAMS, DENSITIES, states)[:, :, : len(PHONES) * STATES]
    weights = np.exp(-NATS_A_WEIGHT * logs.astype(np.float32))
    by_state = weights.reshape(STREAMS, DENSITIES, len(PHONES), STATES)
    return np.ascontiguousarray(by_state.transpose(2, 0, 1, 3))


PAUSE_BETWEEN_WORDS = 0.05
"""Share of words that a pause follows, so that a sentence runs on."""
UNSEEN = 0.3
"""Successions that no word has count as often as this: other languages make them."""


def successions(dictionary: str) -> Float64[np.ndarray, "42 42"]:
    """How often each phone follows each other one, from words and their phones, one a line.

    A word's last phone goes on to any word's first; noises follow and are followed as silence is,
    only more rarely. No phone follows itself: a state that lasts is the same phone.
    """
    number = {phone: n for n, phone in enumerate(PHONES)}
    spelled = [
        [number[symbol] for symbol in line.split()[1:] if symbol in number]
        for line in dictionary.splitlines()
    ]
    words = [word for word in spelled if word]
    first, last = (np.bincount([w[end] for w in words], minlength=len(PHONES)) for end in (0, -1))
    counts = np.full((len(PHONES), len(PHONES)), UNSEEN)
    for word in words:
        np.add.at(counts, (word[:-1], word[1:]), 1)
    counts += np.outer(last, first / first.sum())
    counts[SILENCE] += first * PAUSE_BETWEEN_WORDS
    counts[:, SILENCE] += last * PAUSE_BETWEEN_WORDS
    for noise in NOISES:
        counts[noise] = counts[SILENCE]
        counts[:, noise] = counts[:, SILENCE] * 0.1
    np.fill_diagonal(counts, 0)
    return counts / counts.sum(1, keepdims=True)
