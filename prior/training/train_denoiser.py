"""Train the mask that takes music, hiss and other voices away, on lines known without them.

`redub prior train --model denoiser` on a speech corpus; sounds of more voices, which need no
tracked mouth, may lie in a folder `spoken` beside its corpus.json. Spectra add up as sounds do, so
mixtures are made of spectra that are kept, and every batch is new.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Complex, Float
from scipy.signal import resample_poly
from torch import Tensor

from core.progress import Reporter, reported
from media.audio import load_audio
from prior.sound.denoiser import (
    AHEAD,
    PAST,
    Denoiser,
    DenoiserShape,
    MaskNetwork,
    bands_of_bins,
    bins_of_bands,
    mel_power,
    relative_level,
    spectra_of,
)
from prior.sound.soundscape import ROOM_SHARE, SPEEDS, coloured, hiss, music, reverberated
from prior.sound.speech import FRAME_RATE, RATE, speech_level
from prior.training.fitting import Fitting, fit
from prior.training.speech_corpus import training_examples

STEPS, BATCH, RATE_OF_LEARNING = 1500, 16, 2e-3
OUTPUTS = 150
"""Frames of a window that are learned from."""
FRAMES = PAST + OUTPUTS + AHEAD
RMS = 0.05
MUSIC_PIECES, MUSIC_SECONDS, HISS_SECONDS = 90, 8, 60
TAKES, MANY_SECONDS = 4, 300.0
"""Takes of each line, and the length from which on a person's lines have one each."""
ALONE, SPEECHLESS = 0.2, 0.12
"""Share of windows with speech alone, and with no speech."""
KINDS = {"music": (0.45, 2.0, 25.0), "babble": (0.35, 6.0, 28.0), "hiss": (0.2, 4.0, 35.0)}
"""Shares of the second sounds, and how loud and how quiet they are, decibels below the speech."""
PAUSE_SHARE = 0.3
FLOOR_DECIBELS = -58.0
"""What is so far below the level is not told apart from nothing."""

Spectra = Complex[np.ndarray, "_ 257"]


@dataclass(frozen=True, eq=False)
class Sounds:
    """Spectra of lines by who says them, and of music and hiss; the lines of mean power `RMS`²."""

    speech: Mapping[str, Sequence[Spectra]]
    music: Sequence[Spectra]
    hiss: Spectra

    @property
    def people(self) -> list[str]:
        return sorted(self.speech)


def gathered(corpus: Path, seed: int, reporter: Reporter) -> Sounds:
    """Takes of the corpus's training lines and of the voices in `spoken`."""
    random = np.random.default_rng(seed)
    spoken = [path for path in sorted((corpus / "spoken").glob("*")) if path.suffix != ".txt"]
    lines = [(e.sound, e.person) for e in training_examples(corpus)]
    lines += [(path, "spoken") for path in spoken]
    speech: dict[str, list[Spectra]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    for path, person in reported(lines, reporter, "hear the corpus", len(lines)):
        sound = load_audio(path, mono=True).mono16k()
        seconds[person] += sound.seconds
        for _ in range(TAKES if seconds[person] < MANY_SECONDS else 1):
            speech[person].append(spectra_of(take(sound.samples[0], random)))
    pieces = [scaled(music(MUSIC_SECONDS * RATE, random)) for _ in range(MUSIC_PIECES)]
    noise = scaled(hiss(HISS_SECONDS * RATE, random))
    return Sounds(dict(speech), [spectra_of(p) for p in pieces], spectra_of(noise))


def take(samples: Float[np.ndarray, " N"], random: np.random.Generator) -> Float[np.ndarray, " _"]:
    """A line faster or slower, by another microphone, perhaps in a room."""
    played = resample_poly(samples, 100, round(100 * random.uniform(*SPEEDS)))
    played = coloured(played.astype(np.float64), random)
    return scaled(reverberated(played, random) if random.random() < ROOM_SHARE else played)


def scaled(samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    return samples * (RMS / max(float(samples.std()), 1e-9))


class MaskLoss:
    """Distance in decibels between masked mixtures and the speech in them."""

    def __init__(self, network: MaskNetwork, sounds: Sounds, batch: int) -> None:
        self.network, self.sounds, self.batch = network, sounds, batch
        roots = np.sqrt([sum(map(len, sounds.speech[p])) for p in sounds.people])
        self.share = roots / roots.sum()
        self.bins = torch.from_numpy(bins_of_bands())
        self.bands = torch.from_numpy(bands_of_bins())

    def __call__(self, seed: int) -> Mapping[str, Tensor]:
        random = np.random.default_rng(seed)
        rows = [self.window(random) for _ in range(self.batch)]
        relative, mixed, wanted, floor = map(torch.stack, zip(*rows, strict=True))
        masked = (self.network(relative) @ self.bins).square() * mixed
        far = decibels(masked @ self.bands, floor) - decibels(wanted @ self.bands, floor)
        return {"decibels": far.abs().mean()}

    def window(self, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the network sees, the mixture's and the speech's power by bin, and the floor."""
        person = self.sounds.people[random.choice(len(self.share), p=self.share)]
        speech = self.paused(even(piece(self.sounds.speech[person], random)), random)
        other = np.zeros_like(speech)
        if random.random() >= ALONE:
            kind = str(random.choice(list(KINDS), p=[share for share, _, _ in KINDS.values()]))
            below = random.uniform(*KINDS[kind][1:])
            other = 10 ** (-below / 20) * even(self.second(kind, random))
            if kind != "babble" and random.random() < SPEECHLESS / (1 - ALONE):
                speech = np.zeros_like(speech)
        gain = RMS * 10 ** (random.uniform(-25, 25) / 20)
        speech, mixture = gain * speech, gain * (speech + other)
        heard = 10 * np.log10(np.maximum(mel_power(mixture), 1e-12)).astype(np.float32)
        level = speech_level(heard) + random.normal(0, 1.5)
        inner = slice(PAST, PAST + OUTPUTS)
        mixed, wanted = (
            torch.from_numpy(np.square(np.abs(part[inner])).astype(np.float32))
            for part in (mixture, speech)
        )
        floor = torch.tensor(10 ** ((level + FLOOR_DECIBELS) / 10), dtype=torch.float32)
        return torch.from_numpy(relative_level(heard, level)), mixed, wanted, floor

    def second(self, kind: str, random: np.random.Generator) -> Spectra:
        if kind == "music":
            return piece(self.sounds.music, random)
        if kind == "hiss":
            falling = 1 / (1 + random.uniform(0, 30) * np.arange(257) / 257)
            return piece([self.sounds.hiss], random) * falling ** random.uniform(0, 1.2)
        people = random.choice(self.sounds.people, random.integers(3, 8))
        return np.sum([even(piece(self.sounds.speech[str(p)], random)) for p in people], 0)

    def paused(self, speech: Spectra, random: np.random.Generator) -> Spectra:
        """Sometimes the speaker stops for a while."""
        if random.random() < PAUSE_SHARE:
            begin = random.integers(FRAMES)
            part = slice(begin, begin + random.integers(FRAME_RATE // 5, 6 * FRAME_RATE // 5))
            speech = speech.copy()
            speech[part] *= 10 ** (-random.uniform(20, 60) / 20)
        return speech


def decibels(power: Float[Tensor, "B T 80"], floor: Float[Tensor, " B"]) -> Tensor:
    return 10 * (power + floor[:, None, None]).log10()


def piece(pool: Sequence[Spectra], random: np.random.Generator) -> Spectra:
    """`FRAMES` frames of one of the pool, or of several in a row where they are short."""
    parts, count = [], 0
    while count < FRAMES:
        whole = pool[random.integers(len(pool))]
        begin = random.integers(max(len(whole) - FRAMES // 2, 1))
        parts.append(whole[begin : begin + FRAMES - count])
        count += len(parts[-1])
    return np.concatenate(parts)


def even(spectra: Spectra) -> Spectra:
    """Of mean power 1."""
    return spectra / np.sqrt(np.square(np.abs(spectra)).mean() + 1e-20)


def train_denoiser(corpus: Path, output: Path, seed: int, reporter: Reporter) -> Path:
    """Weights in `output`, which holds the checkpoint too; an interrupted training goes on."""
    sounds = gathered(corpus, seed, reporter)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MaskNetwork(DenoiserShape())
    fitting = Fitting(steps=STEPS, rate=RATE_OF_LEARNING, seed=seed)
    loss = MaskLoss(network, sounds, BATCH)
    training = {"fitting": asdict(fitting), "people": sounds.people}
    for step in fit(
        "train denoiser", network, loss, fitting, output / "denoiser.checkpoint", training
    ):
        reporter.step(step)
    path = output / "denoiser.safetensors"
    Denoiser(network.eval(), {"people": sounds.people, "seed": seed}).save(path)
    return path
