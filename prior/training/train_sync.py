"""Train the sync expert and the sync judge, each on its own half of who has spoken for long."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.progress import Reporter, Step
from prior.sync.evidence import CLOCK, HOP, REACH, SyncClip, SyncNetwork, Windows, evidence
from prior.sync.expert import ExpertNetwork, ExpertShape, SyncExpert, expert_clips, set_scales
from prior.sync.judge import JudgeNetwork, JudgeShape, SyncJudge, judge_clips
from prior.training.fitting import Fitting, fit
from prior.training.speech_corpus import (
    SpeechExample,
    prepare_expression,
    taught_by,
    training_examples,
)

EDGE = 20
"""Moments at a window's ends whose codes see its border; training leaves them out."""
LENGTHS = (16, 32, 50, 100)
"""Moments of evidence in a training window."""
SPEED = 0.22
"""Lines are played up to this share slower or faster."""
MANY = 20
"""People with so many examples are shared out between expert and judge."""


def contrast(
    weighed: Float[Tensor, "B N S"], known: Bool[Tensor, "B N"], tolerance: float = 1.0
) -> Float[Tensor, "B"]:
    """Cross entropy in nats of shift 0 under the windows' summed evidence.

    Labels are soft, Gaussian with a deviation of `tolerance` moments: lags are known to about that.
    """
    reach = weighed.shape[2] // 2
    near = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / tolerance) ** 2)
    total = (weighed * known[..., None]).sum(1)
    return -(total.log_softmax(1) * (near / near.sum())).sum(1)


def draw_windows(
    clips: Sequence[SyncClip], size: int, moments: int, random: np.random.Generator
) -> Windows:
    """Random stretches at random speeds; people are drawn by the root of their seconds."""
    by_person: dict[str, list[SyncClip]] = defaultdict(list)
    for clip in clips:
        by_person[clip.person].append(clip)
    people = sorted(by_person)
    share = np.sqrt([sum(len(c.lips) for c in by_person[p]) for p in people])
    rows = []
    for person in random.choice(len(people), size, p=share / share.sum()):
        theirs = by_person[people[person]]
        rows.append(_stretch(theirs[random.integers(len(theirs))], moments, random))
    return Windows(*(torch.stack(part) for part in zip(*rows, strict=True)))


def _stretch(
    clip: SyncClip, moments: int, random: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    speed = random.uniform(1 - SPEED, 1 + SPEED)
    count, span = len(clip.lips), moments * speed
    margin = REACH + EDGE
    start = random.uniform(-margin, max(count - span + margin, 1 - margin))
    places = start + speed * np.arange(moments)
    inside = torch.from_numpy((places >= 0) & (places <= count - 1))
    below = torch.from_numpy(places.clip(0, count - 1)).long()
    known = clip.known[below] & clip.known[(below + 1).clamp_max(count - 1)] & inside
    heard = HOP * start + speed * np.arange(HOP * moments)
    return read(clip.sound, heard), read(clip.lips, places), known


def read(rows: Float[Tensor, "N C"], places: Float[np.ndarray, " T"]) -> Float[Tensor, "T C"]:
    """Rows between rows, linearly; the ends are held."""
    at = torch.from_numpy(places.clip(0, len(rows) - 1))
    below = at.floor().long().clamp_max(max(len(rows) - 2, 0))
    above = (below + 1).clamp_max(len(rows) - 1)
    return torch.lerp(rows[below], rows[above], (at - below).float()[:, None])


@dataclass(frozen=True)
class SyncTraining:
    """How a network is trained to tell shifts apart; the defaults made the weights that ship."""

    fitting: Fitting = Fitting(700)  # noqa: RUF009  frozen
    batch: int = 32


def train_sync(
    network: SyncNetwork, clips: Sequence[SyncClip], config: SyncTraining, checkpoint: Path,
    training: Mapping[str, Any],
) -> Iterator[Step]:  # fmt: skip
    """Train on `clips`; see `fitting.fit` for what is yielded, raised and gone on with."""

    def loss(seed: int) -> dict[str, Tensor]:
        random = np.random.default_rng(seed)
        moments = int(random.choice(LENGTHS)) + 2 * (REACH + EDGE)
        windows = network.vary(draw_windows(clips, config.batch, moments, random), random)
        inner = slice(EDGE, moments - EDGE)
        heard, seen = network.hear(windows.sound)[:, inner], network.see(windows.lips)[:, inner]
        known = windows.known[:, EDGE + REACH : moments - EDGE - REACH]
        return {"nats": contrast(evidence(heard, seen), known).mean()}

    return fit("train sync", network, loss, config.fitting, checkpoint, training)


def shared_out(examples: Sequence[SpeechExample], half: int) -> list[SpeechExample]:
    """Examples to train on: every second one, beginning with `half`, of people with many; all of
    the others."""
    by_person: dict[str, list[SpeechExample]] = defaultdict(list)
    for example in examples:
        by_person[example.person].append(example)
    halves = (rows[half::2] if len(rows) >= MANY else rows for rows in by_person.values())
    return [example for rows in halves for example in rows]


def train_expert(corpus: Path, output: Path, seed: int, reporter: Reporter) -> Path:
    """Train on a speech corpus; returns the weights' path. Resumable in `output`."""
    examples = shared_out(training_examples(corpus), half=0)
    clips = expert_clips(prepare_expression(examples, reporter))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ExpertNetwork(ExpertShape())
    set_scales(network, clips)
    about = _trained(network, clips, examples, seed, output / "sync_expert.checkpoint", reporter)
    path = output / "sync_expert.safetensors"
    SyncExpert(network, about).save(path)
    return path


def train_judge(corpus: Path, output: Path, seed: int, reporter: Reporter) -> Path:
    """The same for the judge, whose landmarks are detected first and kept in `output`."""
    examples = shared_out(training_examples(corpus), half=1)
    clips = judge_clips(examples, output / "landmarks", reporter)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        network = JudgeNetwork(JudgeShape())
    about = _trained(network, clips, examples, seed + 1, output / "sync_judge.checkpoint", reporter)
    path = output / "sync_judge.safetensors"
    SyncJudge(network, about).save(path)
    return path


def _trained(
    network: SyncNetwork,
    clips: Sequence[SyncClip],
    examples: Sequence[SpeechExample],
    seed: int,
    checkpoint: Path,
    reporter: Reporter,
) -> dict[str, Any]:
    """Train `network` in place; what its card says."""
    config = SyncTraining(Fitting(SyncTraining().fitting.steps, seed=seed))
    people = sorted({e.person for e in examples})
    training = {"config": asdict(config), "people": people}
    for step in train_sync(network, clips, config, checkpoint, training):
        reporter.step(step)
    return {
        "steps": config.fitting.steps,
        "seed": seed,
        "people": len(people),
        "minutes": round(sum(float(c.known.sum()) for c in clips) / CLOCK / 60, 1),
    } | taught_by(examples)
