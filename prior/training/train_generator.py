"""Train the velocity field that draws takes, on what the regressor makes of the corpus.

`redub prior train --model generator` on the corpus that the speech model was trained on.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.progress import Reporter
from prior.motion.expression import CLOCK, STRIDE, ExpressionModel, load_driver
from prior.motion.generator import Generator, GeneratorShape, VelocityNetwork, style_of
from prior.motion.movement import RATE, Movement, load_movement
from prior.training.fitting import Fitting, fit
from prior.training.speech_corpus import (
    NOBODY,
    SpeechCorpus,
    heard_corpus,
    taught_by,
    training_examples,
)
from prior.training.train_expression import ExpressionConfig

WINDOW = 128
"""Moments of a window: 2.56 s."""
STYLE_MOMENTS = 200
"""Moments a person's style is taken of, at most."""
WITHOUT_STYLE = 0.2
"""Share of windows that must do with the average style."""
STYLE_NOISE = 0.2
"""Deviations by which styles are blurred: there are few people to learn from."""
MOVEMENT_WEIGHT, MOVEMENT_FROM = 0.05, 0.6
"""The identity loss and the flow's time from which on its estimate is good enough for one."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """An utterance as the generator meets it, 50 moments a second."""

    understood: Float[Tensor, "T U"]
    expected: Float[Tensor, "T M"]
    mouth: Float[Tensor, "T M"]
    known: Bool[Tensor, "T"]
    person: int


@torch.no_grad()
def prompts_of(model: ExpressionModel, corpus: SpeechCorpus) -> list[Prompt]:
    """What the regressor understands and expects of each utterance that fills a window."""
    made = []
    for u in corpus.utterances:
        mouth, known = u.mouth[::STRIDE], u.known[::STRIDE]
        if len(mouth) < WINDOW:
            continue
        understood = torch.cat(list(model.understood_on_clock(u.features, 0, len(mouth))))
        expected = model.network.shown(understood[None])[0]
        made.append(Prompt(understood, expected, mouth, known, u.person))
    return made


class GeneratorLoss:
    """Flow matching and the identity loss of batches of windows."""

    def __init__(
        self, network: VelocityNetwork, prompts: Sequence[Prompt], movement: Movement, batch: int
    ) -> None:
        self.network, self.movement, self.batch = network, movement, batch
        self.by_person: dict[int, list[Prompt]] = defaultdict(list)
        for prompt in prompts:
            self.by_person[prompt.person].append(prompt)
        self.people = sorted(self.by_person)
        moments = [sum(len(p.mouth) for p in self.by_person[person]) for person in self.people]
        self.share = np.sqrt(moments) / np.sqrt(moments).sum()

    def __call__(self, seed: int) -> Mapping[str, Tensor]:
        random = np.random.default_rng(seed)
        rows = [self.window(person, random) for person in self.drawn(random)]
        understood, expected, mouth, known, style = map(torch.stack, zip(*rows, strict=True))
        x1 = (mouth - expected) / self.network.spread
        x0 = torch.randn_like(x1)
        time = torch.rand(len(rows))
        x = torch.lerp(x0, x1, time[:, None, None])
        velocity = self.network(x, time, understood, expected, style)
        flow = ((velocity - (x1 - x0)).square().mean(-1) * known).sum() / known.sum().clamp_min(1)
        estimate = expected + self.network.spread * (x + (1 - time[:, None, None]) * velocity)
        with torch.no_grad():
            code = self.movement.network(mouth[:, :: CLOCK // RATE])
        late = (time > MOVEMENT_FROM) & known.all(1)
        far = self.movement.distance(estimate[:, :: CLOCK // RATE], code)
        return {"flow": flow, "movement": MOVEMENT_WEIGHT * (far * late).sum() / len(rows)}

    def drawn(self, random: np.random.Generator) -> list[int]:
        return [self.people[i] for i in random.choice(len(self.people), self.batch, p=self.share)]

    def window(self, person: int, random: np.random.Generator) -> tuple[Tensor, ...]:
        """A window of one of a person's utterances, and their style from any of them."""
        prompts = self.by_person[person]
        p, other = (prompts[random.integers(len(prompts))] for _ in range(2))
        begin = random.integers(len(p.mouth) - WINDOW + 1)
        part = slice(begin, begin + WINDOW)
        style = self.network.style_mean
        if person != NOBODY and random.random() > WITHOUT_STYLE:
            first = random.integers(max(len(other.mouth) - STYLE_MOMENTS, 0) + 1)
            seen = slice(first, first + STYLE_MOMENTS)
            blur = torch.from_numpy(random.normal(0, STYLE_NOISE, len(style))).float()
            style = style_of(other.mouth[seen]) + blur * self.network.style_scale
        return p.understood[part], p.expected[part], p.mouth[part], p.known[part], style


def set_scales(network: VelocityNetwork, prompts: Sequence[Prompt]) -> None:
    """Spread of what the regressor misses, and of the styles of those who speak."""
    spoken = [p for p in prompts if p.person != NOBODY]
    missed = torch.cat([(p.mouth - p.expected)[p.known] for p in spoken])
    network.spread.copy_(missed.square().mean(0).sqrt().clamp_min(1e-3))
    styles = torch.stack([style_of(p.mouth[:STYLE_MOMENTS]) for p in spoken])
    network.style_mean.copy_(styles.mean(0))
    network.style_scale.copy_(styles.std(0).clamp_min(1e-2))


def train_generator(corpus: Path, output: Path, seed: int, reporter: Reporter) -> Path:
    """Weights in `output`, which holds the checkpoint too; an interrupted training goes on."""
    examples = training_examples(corpus)
    model = load_driver()
    heard = heard_corpus(examples, ExpressionConfig().takes, seed, reporter, model.encoder)
    prompts = prompts_of(model, heard)
    about = {"seed": seed, "speech_model": model.stamp} | taught_by(examples)
    network = new_network(seed, prompts)
    fitting = Fitting(steps=GENERATOR_STEPS, rate=1e-3, seed=seed)
    loss = GeneratorLoss(network, prompts, load_movement(), GENERATOR_BATCH)
    training = {"fitting": asdict(fitting), "people": list(heard.people)}
    for step in fit(
        "train generator", network, loss, fitting, output / "generator.checkpoint", training
    ):
        reporter.step(step)
    path = output / "generator.safetensors"
    Generator(network.eval(), about).save(path)
    return path


GENERATOR_STEPS, GENERATOR_BATCH = 1500, 16


def new_network(seed: int, prompts: Sequence[Prompt]) -> VelocityNetwork:
    """An untrained network that knows the prompts' sizes and scales."""
    shape = GeneratorShape(
        understood=prompts[0].understood.shape[1], mouth=prompts[0].mouth.shape[1]
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = VelocityNetwork(shape)
    set_scales(network, prompts)
    return network
