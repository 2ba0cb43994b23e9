"""Train the movement extractor: supervised contrast between people, real and made.

A few dozen people are too few to learn how people differ. Each batch therefore invents its own:
somebody's motion with every coefficient stretched and all of them mixed a little, alike in all of
that invented person's windows. Only windows of one such person count as the same.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.progress import Reporter, Step
from face3d.track import Track
from prior.motion.movement import RATE, Movement, MovementNetwork, MovementShape
from prior.training.fitting import Fitting, fit
from prior.training.speech_corpus import SpeechExample, taught_by, training_examples

STEPS = 300
LENGTHS = (32, 48, 64, 96)
"""Mouths in a training window."""
SPEED = 0.1
STRETCH, MIXING = 0.35, 0.07
"""Deviations of the logarithm of an invented person's stretches, and of their mixing."""
NOISE = 0.12
"""Largest deviation of what tracking adds to a coefficient."""
TEMPERATURE = 0.1


@dataclass(frozen=True)
class MovementTraining:
    """How the extractor is trained; the defaults made the weights that ship."""

    fitting: Fitting = Fitting(STEPS, warm_up=30)  # noqa: RUF009  frozen
    people: int = 24
    windows: int = 3
    """Of each person, in a batch."""


Motions = Mapping[str, Sequence[Float[np.ndarray, "_ M"]]]
"""Each person's stretches of mouths, 25 a second."""


def mouths_of(track: Track) -> Float[np.ndarray, "T M"]:
    """A track's mouths 25 times a second; frames without a face are bridged."""
    return resampled(track.motion.mouth.numpy(), track.valid.numpy(), float(track.fps))


def resampled(
    mouth: Float[np.ndarray, "T M"], valid: Bool[np.ndarray, " T"], fps: float
) -> Float[np.ndarray, "N M"]:
    """Mouths 25 times a second, linearly between valid frames."""
    frames = np.flatnonzero(valid)
    seconds = frames / fps
    clock = np.arange(seconds[0], seconds[-1], 1 / RATE)
    return np.stack([np.interp(clock, seconds, column) for column in mouth[frames].T], 1)


def supervised_contrast(
    codes: Float[Tensor, "N D"], person: Int[Tensor, "N"]
) -> Float[Tensor, "N"]:
    """Khosla et al. 2020 (arXiv 2004.11362), L_out: the mean over a window's positives of the
    negative log-probability of picking them among all other windows, in nats."""
    similarity = codes @ codes.T / TEMPERATURE
    other = ~torch.eye(len(codes), dtype=torch.bool)
    chosen = similarity.masked_fill(~other, -torch.inf).log_softmax(1)
    same = (person[:, None] == person) & other
    return -chosen.where(same, 0.0).sum(1) / same.sum(1)


def draw_people(
    motions: Motions, config: MovementTraining, random: np.random.Generator
) -> tuple[Float[Tensor, "N T M"], Int[Tensor, "N"]]:
    """Windows of invented people, each made of one that is drawn by the root of their seconds."""
    names = sorted(motions)
    share = np.sqrt([sum(map(len, motions[name])) for name in names])
    length = int(random.choice(LENGTHS))
    windows, owners = [], []
    for person in range(config.people):
        theirs = motions[names[random.choice(len(names), p=share / share.sum())]]
        size = theirs[0].shape[1]
        mixing = np.eye(size) + MIXING * random.normal(size=(size, size))
        manner = np.exp(random.normal(0, STRETCH, size))[:, None] * mixing
        for _ in range(config.windows):
            window = _window(theirs[random.integers(len(theirs))], length, random) @ manner
            noise = random.normal(0, random.uniform(0, NOISE), window.shape)
            windows.append(window + noise)
            owners.append(person)
    return torch.from_numpy(np.stack(windows)).float(), torch.tensor(owners)


def _window(
    mouths: Float[np.ndarray, "T M"], length: int, random: np.random.Generator
) -> Float[np.ndarray, "L M"]:
    """A random stretch at a random speed; one that is too short is played to and fro."""
    span = length * random.uniform(1 - SPEED, 1 + SPEED)
    start = random.uniform(0, max(len(mouths) - span, 0))
    there_and_back = (start + span / length * np.arange(length)) % (2 * len(mouths) - 2)
    places = np.minimum(there_and_back, 2 * len(mouths) - 2 - there_and_back)
    below = np.floor(places).astype(int).clip(0, len(mouths) - 2)
    share = (places - below)[:, None]
    return (1 - share) * mouths[below] + share * mouths[below + 1]


def fit_movement(
    network: MovementNetwork, motions: Motions, config: MovementTraining, checkpoint: Path,
    training: Mapping[str, Any],
) -> Iterator[Step]:  # fmt: skip
    """Train on `motions`; see `fitting.fit` for what is yielded, raised and gone on with."""

    def loss(seed: int) -> dict[str, Tensor]:
        windows, owners = draw_people(motions, config, np.random.default_rng(seed))
        return {"nats": supervised_contrast(network(windows), owners).mean()}

    return fit("train movement", network, loss, config.fitting, checkpoint, training)


def train_movement(corpus: Path, output: Path, seed: int, reporter: Reporter) -> Path:
    """Train on the tracks of a speech corpus; returns the weights' path. Resumable in `output`."""
    examples = training_examples(corpus)
    motions = motions_of(examples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MovementNetwork(MovementShape())
    config = MovementTraining(Fitting(STEPS, warm_up=30, seed=seed))
    training = {"config": asdict(config), "people": sorted(motions)}
    checkpoint = output / "movement.checkpoint"
    for step in fit_movement(network, motions, config, checkpoint, training):
        reporter.step(step)
    about = {
        "steps": config.fitting.steps,
        "seed": seed,
        "people": len(motions),
    } | taught_by(examples)
    path = output / "movement.safetensors"
    Movement(network, about).save(path)
    return path


def motions_of(examples: Sequence[SpeechExample]) -> Motions:
    """Mouths of every example, by person."""
    motions: dict[str, list[np.ndarray]] = defaultdict(list)
    for example in examples:
        motions[example.person].append(mouths_of(Track.load(example.track)))
    return motions
