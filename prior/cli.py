"""`redub prior prepare|train|card`: make the generic weights, and say what they know."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from core.command import Verb
from core.duration import parse_seconds
from core.errors import UsageError
from core.progress import Reporter, Silent
from core.size import Size

if TYPE_CHECKING:
    from prior.training.train_renderer import RendererTraining


@dataclass(frozen=True, kw_only=True)
class Prepare(Verb):
    """Track a folder of clips and keep what the rendering prior, or speech, is learned from;
    resumable."""

    footage: Path
    """A folder of videos; its manifest.csv, if any, names person, rights and split."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The corpus folder."""
    split: str | None = None
    """Take only the manifest's rows of this split."""
    without: tuple[str, ...] = ()
    """Names (file stems) of clips to leave out."""
    speech: bool = False
    """Keep tracks and where the sound lies: a corpus for the speech model and its judges."""
    shard_size: int | None = None
    """Megabytes that a file of a corpus of pictures may have; 256 unless told."""
    quality: int | None = None
    """1 to 100 keeps pictures as lossy WebP (95: a fifth of the size, 45 dB); lossless unless told.
    """
    size: Size | None = None
    """Of the renderer that is to learn from it: light (faces 192 pixels high) unless told, or full
    (384)."""

    def run(self) -> int:
        from prior.training.corpus import LOSSLESS
        from prior.training.prepare import list_sources, prepare
        from prior.training.prepare_speech import prepare_speech

        if self.speech:
            refuse(self, "shard_size", "quality", "size", to="--speech, which keeps no pictures")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"--quality {self.quality} is not in 1 to 100; leave it out.")
        size = 256 if self.shard_size is None else self.shard_size
        if size < 1:
            raise UsageError(f"--shard-size {size} holds nothing; give 1 MB or more.")
        sources = list_sources(self.footage, self.split, self.without)
        if self.speech:
            steps = prepare_speech(sources, self.output)
        else:
            quality, of = self.quality or LOSSLESS, self.size or "light"
            steps = prepare(sources, self.output, size << 20, quality, of)
        for step in steps:
            self.reporter.say(f"{step.job} ({step.index}/{step.total})")
        print(self.output / "corpus.json")
        return 0


def refuse(verb: Verb, *flags: str, to: str) -> None:
    """Raises UsageError where a flag is given that means nothing to what is asked."""
    for flag in flags:
        value = getattr(verb, flag)
        if value is not None and value is not False:  # 0 is something
            name = flag.replace("_", "-")
            raise UsageError(f"--{name} {value} does not apply to {to}; leave it out.")


SpeechPart = Literal[
    "denoiser", "contact-ear", "expression", "sync-expert", "sync-judge", "movement", "generator"
]


@dataclass(frozen=True, kw_only=True)
class Train(Verb):
    """Train what a corpus is made for: renderer, speech model or its judges; resumable."""

    corpus: Path
    """A folder made by `prior prepare`, or one whose corpus.json lists speech examples."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder for checkpoints and the finished weights."""
    model: SpeechPart = "expression"
    """What to learn from a speech corpus."""
    encoder: Path | None = None
    """A folder with wav2vec 2.0, HuBERT, WavLM or Whisper as `transformers` has it: the expression
    model hears through it, too (`pip install transformers`)."""
    encoder_layer: int | None = None
    """Which of its layers is heard; the one two thirds up unless told."""
    start: Path | None = None
    """Weights of a renderer to go on from; from nothing unless told."""
    size: Size | None = None
    """Of the renderer: light unless told, or full, for GPUs. The corpus must be of the same."""
    budget: str | None = None
    """Wall-clock time of the renderer's training, 50m unless told; speech takes fixed steps."""
    steps: int | None = None
    """The renderer's budget in steps instead: the same weights however fast the machine."""
    batch: int | None = None
    """Samples of a step of the renderer, in each process; 4 unless told."""
    hold: int | None = None
    """Clips that the renderer's training holds in memory (0.1 GB each, of the full size 0.4); 40
    unless told."""
    device: Literal["auto", "cpu", "cuda"] | None = None
    """Where the renderer is trained; auto unless told. One GPU a process: start several with
    `torchrun --nproc-per-node N --no-python redub prior train ...`."""
    tensorboard: bool = False
    """Also write the renderer's curves and pictures for TensorBoard (`pip install .[curves]`)."""
    perceptual: bool = False
    """Also ask LPIPS, or else bare features of VGG-16, how alike the renderer's pictures look:
    needs torchvision's VGG-16 weights in torch's cache (`redub doctor` says whether they are)."""
    seed: int = 0
    """Seed of everything random."""

    def run(self) -> int:
        if corpus_kind(self.corpus) == "speech-corpus":
            return self._train_speech()
        refuse(self, "encoder", "encoder_layer", to="a corpus of pictures")
        from core.device import resolve_device
        from prior.painting.renderer import RendererPrior, stem_of
        from prior.perception import teacher
        from prior.training.curves import Curves
        from prior.training.ranks import joined
        from prior.training.train_renderer import Grid, train_renderer

        config = self._renderer_config()
        start = RendererPrior.load(self.start) if self.start else None
        with joined(resolve_device(self.device or "auto").torch) as ranks:
            if config.perceptual:
                teacher(ranks.device)  # what is missing is told at once
            reporter = self.reporter if ranks.leads else Silent()
            curves = Curves(self.output, self.tensorboard) if ranks.leads else None
            for event in train_renderer(self.corpus, self.output, config, ranks, start):
                if curves:
                    curves.add(event)
                if not isinstance(event, Grid):
                    reporter.step(event)
            if curves:
                curves.close()
                print(self.output / f"{stem_of(config.renderer.size)}.safetensors")
        return 0

    def _renderer_config(self) -> "RendererTraining":
        from prior.training.train_renderer import PERCEPTUAL, RendererTraining
        from render.deferred import RENDERERS

        if self.budget and self.steps:
            raise UsageError("--budget and --steps are two budgets; give one of them.")
        for flag, number in (("steps", self.steps), ("batch", self.batch), ("hold", self.hold)):
            if number is not None and number < 1:
                raise UsageError(f"--{flag} {number} trains nothing; give 1 or more.")
        changes: dict[str, Any] = {
            "steps": self.steps, "batch": self.batch, "hold": self.hold, "seed": self.seed,
            "renderer": self.size and RENDERERS[self.size],
        }  # fmt: skip
        if self.perceptual:
            changes["perceptual"] = PERCEPTUAL
        if self.budget:
            changes["seconds"] = parse_seconds(self.budget)
        return replace(
            RendererTraining(), **{name: v for name, v in changes.items() if v is not None}
        )

    def _train_speech(self) -> int:
        flags = ("start", "size", "budget", "steps", "batch", "hold", "device", "tensorboard",
                 "perceptual")  # fmt: skip
        refuse(self, *flags, to="a speech corpus, which is trained for a fixed number of steps")
        if self.model != "expression":
            refuse(self, "encoder", "encoder_layer", to=f"--model {self.model}")
            print(judge_trainer(self.model)(self.corpus, self.output, self.seed, self.reporter))
            return 0
        from prior.motion.expression import ExpressionShape
        from prior.sound.encoder import SpeechEncoder
        from prior.sound.hearing import WIDTH
        from prior.training.speech_corpus import heard_corpus, taught_by, training_examples
        from prior.training.train_expression import (
            ExpressionConfig,
            finished,
            load_learner,
            train_expression,
        )

        reporter = self.reporter
        if not self.encoder:
            refuse(self, "encoder_layer", to="a training without --encoder")
        encoder = SpeechEncoder.of(self.encoder, self.encoder_layer) if self.encoder else None
        shape = ExpressionShape(inputs=WIDTH + (len(encoder.silence()) if encoder else 0))
        config = ExpressionConfig(shape, seed=self.seed)
        taught = training_examples(self.corpus)
        corpus = heard_corpus(taught, config.takes, self.seed, reporter, encoder)
        learners = []
        for member in range(config.members):
            own = replace(config, seed=config.seed + member)
            checkpoint = self.output / f"checkpoint.{member}.safetensors"
            for step in train_expression(corpus, own, checkpoint):
                reporter.step(step)
            learners.append(load_learner(checkpoint, own, corpus))
        about = {
            "steps": config.steps,
            "members": config.members,
            "people": len(corpus.people),
            "seed": config.seed,
            "lags": {e.track.stem: e.lag_frames for e in taught if e.lag_frames},
        } | taught_by(taught)
        weights = self.output / "expression.safetensors"
        replace(finished(learners, corpus, about), encoder=encoder).save(weights)
        print(weights)
        return 0


@dataclass(frozen=True, kw_only=True)
class Card(Verb):
    """Print the model card: which clips and people the weights have seen, under which rights."""

    weights: Path | None = None
    """A weight file; those in use unless told."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from prior.card import card_of, cards_in_use, markdown, pages_in_use

        cards = card_of(self.weights) if self.weights else cards_in_use()
        page = markdown(cards) if self.weights else pages_in_use()
        print(json.dumps(cards, indent=2) if self.json else page)
        return 0


def judge_trainer(model: str) -> Callable[[Path, Path, int, Reporter], Path]:
    """What trains one of the networks beside the speech model, and returns its weights' path."""
    from prior.training import (
        train_contact_ear,
        train_denoiser,
        train_generator,
        train_movement,
        train_sync,
    )

    return {
        "denoiser": train_denoiser.train_denoiser,
        "contact-ear": train_contact_ear.train_contact_ear,
        "sync-expert": train_sync.train_expert,
        "generator": train_generator.train_generator,
        "sync-judge": train_sync.train_judge,
        "movement": train_movement.train_movement,
    }[model]


def corpus_kind(folder: Path) -> str:
    """What a corpus folder holds, by its corpus.json; "" where it does not tell."""
    try:
        return json.loads((folder / "corpus.json").read_text()).get("kind", "")
    except (OSError, ValueError, AttributeError):
        return ""
