"""`redub prior prepare|train|card`: make the generic weights, and say what they know."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from core.command import Verb
from core.duration import parse_seconds
from core.errors import UsageError
from core.progress import Reporter


@dataclass(frozen=True, kw_only=True)
class Prepare(Verb):
    """Track a folder of clips and keep what the rendering prior learns from; resumable."""

    footage: Path
    """A folder of videos; its manifest.csv, if any, names person, rights and split."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The corpus folder."""
    split: str | None = None
    """Take only the manifest's rows of this split."""
    without: tuple[str, ...] = ()
    """Names (file stems) of clips to leave out."""

    def run(self) -> int:
        from prior.prepare import list_sources, prepare

        sources = list_sources(self.footage, self.split, self.without)
        for step in prepare(sources, self.output):
            self.reporter.say(f"{step.job} ({step.index}/{step.total})")
        print(self.output / "corpus.json")
        return 0


SpeechPart = Literal["expression", "sync-expert", "sync-judge", "movement"]


@dataclass(frozen=True, kw_only=True)
class Train(Verb):
    """Train what a corpus is made for: renderer, speech model or its judges; resumable."""

    corpus: Path
    """A folder made by `prior prepare`, or one whose corpus.json lists speech examples."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder for checkpoints and the finished weights."""
    model: SpeechPart = "expression"
    """What to learn from a speech corpus."""
    budget: str | None = None
    """Wall-clock time of the renderer's training, 50m unless told; speech takes fixed steps."""
    seed: int = 0
    """Seed of everything random."""

    def run(self) -> int:
        if corpus_kind(self.corpus) == "speech-corpus":
            return self._train_speech()
        from prior.train_renderer import RendererTraining, train_renderer

        config = RendererTraining(parse_seconds(self.budget or "50m"), seed=self.seed)
        reporter = self.reporter
        for step in train_renderer(self.corpus, self.output, config):
            reporter.step(step)
        print(self.output / "renderer.safetensors")
        return 0

    def _train_speech(self) -> int:
        if self.budget:
            raise UsageError(
                f"--budget {self.budget} does not apply to a speech corpus, which is trained for "
                "a fixed number of steps; leave it out."
            )
        if self.model != "expression":
            print(judge_trainer(self.model)(self.corpus, self.output, self.seed, self.reporter))
            return 0
        from prior.speech_corpus import TRAIN, load_examples, prepare_expression
        from prior.train_expression import (
            ExpressionConfig,
            finished,
            load_learner,
            train_expression,
        )

        reporter, config = self.reporter, ExpressionConfig(seed=self.seed)
        examples = load_examples(self.corpus / "corpus.json")
        corpus = prepare_expression(examples, reporter).part(TRAIN)
        checkpoint = self.output / "checkpoint.safetensors"
        for step in train_expression(corpus, config, checkpoint):
            reporter.step(step)
        about = {
            "steps": config.steps,
            "people": len(corpus.people),
            "trained_on": [e.sound.stem for e in examples if e.split == TRAIN],
            "seed": config.seed,
            "lags": {e.sound.stem: e.lag_frames for e in examples if e.lag_frames},
        }
        weights = self.output / "expression.safetensors"
        finished(load_learner(checkpoint, config, corpus), corpus, about).save(weights)
        print(weights)
        return 0


@dataclass(frozen=True, kw_only=True)
class Card(Verb):
    """Print the model card: which clips and people the weights have seen, under which rights."""

    weights: Path | None = None
    """A weight file; those that ship with redub unless told."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from prior.card import card_of, markdown, shipped_cards, shipped_pages

        cards = card_of(self.weights) if self.weights else shipped_cards()
        page = markdown(cards) if self.weights else shipped_pages()
        print(json.dumps(cards, indent=2) if self.json else page)
        return 0


def judge_trainer(model: str) -> Callable[[Path, Path, int, Reporter], Path]:
    """What trains one of the networks that judge speech, and returns its weights' path."""
    from prior import train_movement, train_sync

    return {
        "sync-expert": train_sync.train_expert,
        "sync-judge": train_sync.train_judge,
        "movement": train_movement.train_movement,
    }[model]


def corpus_kind(folder: Path) -> str:
    """What a corpus folder holds, by its corpus.json; "" where it does not tell."""
    try:
        return json.loads((folder / "corpus.json").read_text()).get("kind", "")
    except (OSError, ValueError, AttributeError):
        return ""
