"""Train the speech model: one straight loop that can be stopped and goes on where it was.

Every batch, and what dropout drops, follows from the seed and the step, so a resumed run ends in
the weights of an uninterrupted one.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.errors import DivergedError, InputError
from core.progress import Step
from core.serial import Schema, load_tensors, save_tensors
from face3d.lips import mouth_opening, mouth_point_basis
from face3d.morphable import MorphableModel, default_model
from prior.motion.expression import (
    CLOCK,
    CONTEXT,
    LOOK_AHEAD,
    STRIDE,
    Ensemble,
    ExpressionModel,
    ExpressionNetwork,
    ExpressionShape,
    closure_error,
    point_error,
    velocity_error,
)
from prior.motion.manner import average_manner, plain_manner
from prior.training.speech_corpus import NOBODY, Batch, SpeechCorpus, draw_batch

CHECKPOINT = Schema("expression-training", 1)


@dataclass(frozen=True)
class ExpressionConfig:
    """How the speech model is trained; the defaults made the weights that ship."""

    shape: ExpressionShape = ExpressionShape()  # noqa: RUF009  frozen
    members: int = 3
    """Networks of an ensemble; each is a training of its own with the next seed."""
    takes: int = 6
    """Takes of each example beside itself, see `speech_corpus.heard_corpus`."""
    steps: int = 500
    batch: int = 24
    outputs: int = 2 * CLOCK
    """Moments of a window that are learned from."""
    rate: float = 1.5e-3
    warm_up: int = 50
    decay: float = 0.05
    dropout: float = 0.2
    forget_person: float = 0.35
    """Share of windows whose speaker is not told: they teach the average speaker."""
    live: float = 0.2
    """Share of windows whose future is unknown from a random moment on."""
    point: float = 1.0
    velocity: float = 10.0
    closure: float = 3.0
    coefficient: float = 0.1
    """Keeps coefficients that hardly move the lips where the truth has them."""
    equality: float = 0.5
    """Power of how much less than others a person moves with which their errors count more."""
    gradient_limit: float = 1.0
    memory: float = 0.99
    """Share of what the network was before that its running average keeps at each step."""
    save_every: int = 200
    seed: int = 0


class Learner(nn.Module):
    """What training changes: the network, its running average, and each person's manner.

    The average is what ships: it follows people never heard better than any one step's network.
    """

    def __init__(self, config: ExpressionConfig, people: int) -> None:
        super().__init__()
        self.network = ExpressionNetwork(config.shape, config.dropout)
        self.average = ExpressionNetwork(config.shape).requires_grad_(False)
        self.people = nn.Embedding(people, config.shape.style)
        nn.init.normal_(self.people.weight, std=0.3)

    @torch.no_grad()
    def remember(self, memory: float) -> None:
        """Move the average towards the network."""
        pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
        for average, now in pairs:
            average.lerp_(now, 1 - memory)


def train_expression(
    corpus: SpeechCorpus, config: ExpressionConfig, checkpoint: Path
) -> Iterator[Step]:
    """Train on `corpus`, yielding a `Step` after each step, and keep `checkpoint` up to date.

    Goes on from `checkpoint` if it exists. Raises InputError where that holds another training,
    DivergedError where the loss is no longer a number.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        learner = Learner(config, len(corpus.people))
    set_scales(learner.network, corpus)
    learner.average.load_state_dict(learner.network.state_dict())
    optimiser = new_optimiser(learner, config)
    done = 0
    if checkpoint.exists():
        done = load_checkpoint(checkpoint, learner, optimiser, training_of(corpus, config))
    judge = Judge(default_model(), config, equal_say(corpus, config.equality))
    begin = time.monotonic()
    for step in range(done, config.steps):
        seed = config.seed * 1_000_003 + step
        batch = draw_batch(corpus, config.batch, config.outputs, CONTEXT, STRIDE, seed)
        for group in optimiser.param_groups:
            group["lr"] = config.rate * min(1, (step + 1) / config.warm_up)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            told = torch.rand(config.batch, 1) >= config.forget_person
            told &= (batch.person != NOBODY)[:, None]
            style = torch.where(told, learner.people(batch.person.clamp_min(0)), 0.0)
            batch = cut_short(batch, learner.network.mean, config.live)
            predicted = learner.network.train()(batch.heard, style)
        terms = judge.terms(predicted, batch)
        loss = torch.stack(list(terms.values())).sum()
        if not bool(torch.isfinite(loss)):
            worst = next((k for k, v in terms.items() if not bool(torch.isfinite(v))), "sum")
            raise DivergedError(f"training diverged at step {step} in its {worst} term.")
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), config.gradient_limit)
        optimiser.step()
        # A running average would remember for long how the network was initialised.
        learner.remember(min(config.memory, (step + 1) / (step + 10)))
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            save_checkpoint(checkpoint, learner, optimiser, step + 1, training_of(corpus, config))
        figures = {name: float(value.detach()) for name, value in terms.items()}
        yield Step("train speech", step + 1, config.steps, time.monotonic() - begin, figures)


def cut_short(batch: Batch, unknown: Float[Tensor, "D"], share: float) -> Batch:
    """Some windows are live: from a random moment on nothing is known beyond `LOOK_AHEAD`, and
    nothing is asked after it."""
    size, frames, _ = batch.heard.shape
    outputs = batch.known.shape[1]
    live = torch.rand(size) < share
    last = torch.where(live, torch.randint(outputs, (size,)), outputs)
    cut = torch.where(live, CONTEXT + STRIDE * last + LOOK_AHEAD, frames)
    heard = torch.where((torch.arange(frames) > cut[:, None])[..., None], unknown, batch.heard)
    known = batch.known & (torch.arange(outputs) <= last[:, None])
    return replace(batch, heard=heard, known=known)


def training_of(corpus: SpeechCorpus, config: ExpressionConfig) -> dict[str, Any]:
    """What a checkpoint must agree on to be gone on with."""
    return {"config": asdict(config), "people": list(corpus.people)}


def new_optimiser(learner: Learner, config: ExpressionConfig) -> torch.optim.AdamW:
    changed = [p for p in learner.parameters() if p.requires_grad]
    return torch.optim.AdamW(changed, config.rate, weight_decay=config.decay)


def set_scales(network: ExpressionNetwork, corpus: SpeechCorpus) -> None:
    """Mean and deviation of each heard number over the corpus."""
    heard = torch.cat([u.features.section(0, len(u.features)) for u in corpus.utterances])
    network.mean.copy_(heard.mean(0))
    network.scale.copy_(heard.std(0).clamp_min(0.1))


@torch.no_grad()
def equal_say(corpus: SpeechCorpus, equality: float) -> Float[Tensor, "P"]:
    """Weights of people's errors, 1 on average: less for who opens the mouth wider than others."""
    basis = mouth_point_basis(default_model())
    seen: dict[int, list[Tensor]] = defaultdict(list)
    for u in corpus.recorded():
        seen[u.person].append(u.mouth[u.known])
    moved = []
    for person in range(len(corpus.people)):
        mouths = torch.cat(seen[person])
        mean = mouths.mean(0).expand_as(mouths)
        moved.append(point_error(mouths[None], mean[None], basis).mean())
    weights = torch.stack(moved).clamp_min(1e-3) ** -equality
    return weights / weights.mean()


@dataclass(frozen=True, eq=False)
class Judge:
    """Weighs the losses of a batch; each person's errors by their `say`, nobody's by 1."""

    model: MorphableModel
    config: ExpressionConfig
    say: Float[Tensor, "P"]

    def terms(self, predicted: Float[Tensor, "B T M"], batch: Batch) -> dict[str, Tensor]:
        """Each weighted term, averaged over the moments whose truth is known."""
        basis = mouth_point_basis(self.model)
        heard, seen = (mouth_opening(self.model, m) for m in (predicted, batch.mouth))
        speaks = batch.person != NOBODY
        say = torch.where(speaks, self.say[batch.person.clamp_min(0)], 1.0)[:, None]
        known = batch.known * say
        both = (batch.known[:, 1:] & batch.known[:, :-1]) * say
        apart = (predicted - batch.mouth).square()
        c = self.config
        return {
            "point": c.point * _mean(point_error(predicted, batch.mouth, basis), known),
            "velocity": c.velocity * _mean(velocity_error(predicted, batch.mouth, basis), both),
            "closure": c.closure * _mean(closure_error(heard, seen), known),
            "coefficient": c.coefficient * _mean(apart.mean(-1), known),
        }


def _mean(values: Float[Tensor, "B T"], weights: Float[Tensor, "B T"]) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp_min(1e-3)


def save_checkpoint(
    path: Path,
    learner: Learner,
    optimiser: torch.optim.Optimizer,
    step: int,
    training: dict[str, Any],
) -> None:
    """Weights and the optimiser's memory after `step` steps."""
    tensors = {f"learner.{name}": value for name, value in learner.state_dict().items()}
    for number, memory in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in memory.items()}
    save_tensors(path, CHECKPOINT, tensors, {"step": step, "training": training})


def load_checkpoint(
    path: Path, learner: Learner, optimiser: torch.optim.Optimizer, training: dict[str, Any]
) -> int:
    """Restore what `save_checkpoint` kept; returns the number of steps done."""
    tensors, header = load_tensors(path, CHECKPOINT)
    if header["training"] != training:
        raise InputError(
            f"{path} belongs to a training with another configuration or other people; "
            "choose another folder or remove it."
        )
    parts: dict[str, dict[str, Tensor]] = {"learner": {}, "optimiser": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    learner.load_state_dict(parts["learner"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimiser"].items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    return header["step"]


def load_learner(path: Path, config: ExpressionConfig, corpus: SpeechCorpus) -> Learner:
    """The learner that a checkpoint holds."""
    learner = Learner(config, len(corpus.people))
    optimiser = new_optimiser(learner, config)
    load_checkpoint(path, learner, optimiser, training_of(corpus, config))
    return learner.eval()


@torch.no_grad()
def finished(
    learners: Sequence[Learner], corpus: SpeechCorpus, about: dict[str, Any]
) -> ExpressionModel:
    """The trained networks with the average manner of the people of `corpus` as recorded."""
    face = default_model()
    network = Ensemble([learner.average.eval() for learner in learners])
    plain = ExpressionModel(network, plain_manner(face), about)
    heard: dict[int, list[Tensor]] = defaultdict(list)
    seen: dict[int, list[Tensor]] = defaultdict(list)
    for u in corpus.recorded():
        truth, known = u.mouth[::STRIDE], u.known[::STRIDE]
        outputs = torch.cat(list(plain.on_clock(u.features, 0, len(truth))))
        heard[u.person].append(outputs[known])
        seen[u.person].append(truth[known])
    people = sorted(heard)
    parts = ([torch.cat(mouths[p]) for p in people] for mouths in (heard, seen))
    return replace(plain, manner=average_manner(face, *parts))
