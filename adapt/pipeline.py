"""Learn an actor from seconds of footage. Read top to bottom, this is the method.

clips ─▶ tracks with one identity ─▶ windows of the lower face ─▶ unprojected texture
      ─▶ fine-tuned prior ─▶ how widely this actor speaks ─▶ actor folder and report
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adapt.actor import SCHEMA, Actor, fingerprint, read_about, style_facts
from adapt.personalise import Personalised, Personalising, held_out_conditions, personalise
from adapt.report import compare, write_actor_report
from adapt.speaking_style import SpeakingStyle, learn_style
from adapt.split import Split, split_frames
from adapt.takes import Take, gathered, joined
from core.device import CPU
from core.errors import InputError
from core.memory import peak_rss_mb
from core.progress import Reporter, Step
from core.serial import save_json
from face3d.models.shelf import OURS, open_face_model
from face3d.morphable import MorphableModel, default_model
from face3d.track import Track
from face3d.tracker import track_clips
from media.clip import Clip
from prior.bank import POSE_METRES, lip_positions
from prior.corpus import MARGIN, Windows
from prior.renderer import RendererPrior, default_prior, untrained
from prior.skin import skin_of
from prior.train_renderer import TrainingClip, training_clip

FIT_FRAMES = 400
"""Frames learned from at most, spread over the footage: more would only cost memory."""

REFERENCES = 140
"""Reference frames kept in an actor: 76 kB each, the widest variety of mouths and poses."""

ENOUGH_SECONDS = 4.0
"""Footage below this length is accepted with a warning."""

REPORT_SECONDS_A_FRAME = 0.3
"""Seconds that a held-out frame costs to measure, kept free of the budget; see `_schedule`."""


@dataclass(frozen=True)
class Adaptation:
    """What to learn from and how long. All takes show the same person; the first one rules."""

    takes: tuple[Take, ...]
    budget_seconds: float = 180.0
    seed: int = 0
    prior: bool = True
    """False learns from nothing but the footage: the baseline the prior is held against."""
    device: torch.device = CPU
    """Where the fine-tuning is computed; tracking stays on the CPU."""


def adapt(job: Adaptation, folder: Path, reporter: Reporter) -> Actor:
    """Learn the actor seen in `job.takes` and write `folder`; an interrupted run goes on.

    Raises InputError for footage without a usable face, DivergedError if learning diverges.
    """
    started = monotonic()
    prior = default_prior() if job.prior else untrained(job.seed)
    ticket = _ticket(job, prior)
    if (done := _finished(folder, ticket)) is not None:
        reporter.say(f"{folder} already holds this actor; nothing to do.")
        return Actor.load(done, prior)
    work = _work_folder(folder, ticket)
    model = default_model()

    tracks = _tracked(job, work, model, reporter)
    takes, clip, track = job.takes, job.takes[0].clip, tracks[0]
    usable = [np.flatnonzero(track.valid.numpy()) + track.start for track in tracks]
    split = split_frames(usable[0], takes[0].seconds)
    seconds = sum(take.seconds for take in takes)
    if seconds < ENOUGH_SECONDS:
        reporter.say(
            f"warning: {seconds:.1f} s of footage are few; with {ENOUGH_SECONDS:.0f} s or more the "
            "mouth has more shapes to learn from."
        )
    learned = _spread([split.fit, *usable[1:]], FIT_FRAMES)
    fit = training_clip(gathered(takes, tracks, model, learned), model, clip.path.stem)
    judged = gathered(takes[:1], tracks[:1], model, [split.held_out])
    judge = training_clip(judged, model, clip.path.stem)

    prepared = monotonic() - started
    schedule = _schedule(job, prepared, len(split.held_out))
    outcome = _personalised(job, fit, judge, model, prior, schedule, work, reporter)

    skin = skin_of(model, clip, track, split.fit - track.start, hidden=False)
    style = _learned_style(takes, tracks, model)
    about = _about(job, ticket, outcome, sum(len(frames) for frames in learned))
    # References of the finished actor: held-out frames have done their duty and join.
    everything = _trimmed(joined([fit.windows, judge.windows]), model)
    actor = Actor(track.identity, outcome.texture, outcome.weights, everything, skin, style, about)
    honest = replace(actor, windows=_trimmed(fit.windows, model))
    seconds = {"prepare": prepared, "learn": schedule.seconds}
    _write_report(honest, model, prior, clip, track, split, outcome, folder, seconds)
    actor.save(folder, prior)
    shutil.rmtree(work)
    return actor


def _ticket(job: Adaptation, prior: RendererPrior) -> str:
    """What makes two runs the same: the files' bytes, ranges, settings and the prior."""
    digest = hashlib.sha256()
    for take in job.takes:
        with take.clip.path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    ranges = [[take.frames.start, take.frames.stop] for take in job.takes]
    settings = [ranges, job.budget_seconds, job.seed, job.prior]
    about = [settings, SCHEMA.version, version("redub"), fingerprint(prior)]
    digest.update(json.dumps(about).encode())
    return digest.hexdigest()


def _finished(folder: Path, ticket: str) -> Path | None:
    try:
        return folder if read_about(folder).get("ticket") == ticket else None
    except InputError:
        return None


def _work_folder(folder: Path, ticket: str) -> Path:
    """Where a run keeps what it needs to go on; another job's leftovers are dropped."""
    work = folder / "work"
    note = work / "ticket.json"
    if not (note.exists() and json.loads(note.read_text()).get("ticket") == ticket):
        shutil.rmtree(work, ignore_errors=True)
        save_json(note, {"ticket": ticket})
    return work


def _tracked(
    job: Adaptation, work: Path, model: MorphableModel, reporter: Reporter
) -> tuple[Track, ...]:
    """A track a take, with one identity. Raises InputError where a take shows no usable face."""
    kept = [work / f"track_{index}.safetensors" for index in range(len(job.takes))]
    if all(path.exists() for path in kept):
        return tuple(Track.load(path) for path in kept)
    footage = [(take.clip, take.frames) for take in job.takes]
    tracks = track_clips(footage, model, reporter=reporter)
    for take, track in zip(job.takes[1:], tracks[1:], strict=True):
        if not bool(track.valid.any()):
            raise InputError(
                f"{take.clip.path} shows nobody that the mesh fits in {len(track)} frames; leave "
                "it out or give a range in which the actor is seen."
            )
    for path, track in zip(kept, tracks, strict=True):
        track.save(path)
    return tracks


def _spread(frames: Sequence[np.ndarray], limit: int) -> list[np.ndarray]:
    """At most about `limit` of all takes' frames, each take in proportion."""
    share = min(1.0, limit / sum(len(take) for take in frames))
    return [
        take[np.unique(np.linspace(0, len(take) - 1, max(1, round(share * len(take)))).astype(int))]
        for take in frames
    ]


def _learned_style(
    takes: tuple[Take, ...], tracks: tuple[Track, ...], model: MorphableModel
) -> SpeakingStyle:
    """The manner of the take that shows the most speech: the longest one with sound."""
    heard = [i for i, take in enumerate(takes) if take.clip.has_audio] or [0]
    longest = max(heard, key=lambda i: int(tracks[i].valid.sum()))
    return learn_style(takes[longest].clip, tracks[longest], model)


def _schedule(job: Adaptation, prepared: float, held_out: int) -> Personalising:
    """The time left for learning once preparation and report are paid for; at least a few steps."""
    reserve = 6.0 + REPORT_SECONDS_A_FRAME * held_out
    seconds = max(5.0, job.budget_seconds - prepared - reserve)
    # Without a prior the network has everything to learn: it takes the rate that trained the prior.
    rate = 4e-4 if job.prior else 5e-4
    return Personalising(seconds=seconds, seed=job.seed, network_rate=rate)


def _personalised(
    job: Adaptation,
    fit: TrainingClip,
    judge: TrainingClip,
    model: MorphableModel,
    prior: RendererPrior,
    schedule: Personalising,
    work: Path,
    reporter: Reporter,
) -> Personalised:
    judged = held_out_conditions(fit, judge, model)
    checkpoint = work / "checkpoint.safetensors"
    for event in personalise(fit, judged, model, prior, schedule, checkpoint, job.device):
        if isinstance(event, Step):
            reporter.step(event)
        else:
            return event
    raise AssertionError("personalise ends with its result")


def _trimmed(windows: Windows, model: MorphableModel) -> Windows:
    """The windows worth keeping as references, without the margin that training shifts in."""
    feature = torch.cat(
        [lip_positions(model, windows.motion.mouth), POSE_METRES * windows.motion.rotation], 1
    )
    pick = farthest_points(feature, REFERENCES)
    inner = slice(MARGIN, -MARGIN)
    return Windows(
        windows.images[pick][..., inner, inner].contiguous(),
        windows.corner[pick] + MARGIN,
        windows.frame[pick],
        windows.motion[pick],
        windows.identity,
        tuple(windows.crop_cameras[i] for i in pick.tolist()),
    )


def farthest_points(points: Tensor, count: int) -> Tensor:
    """Indices, rising, of at most `count` points chosen so that each adds the most variety."""
    if len(points) <= count:
        return torch.arange(len(points))
    chosen = [int((points - points.mean(0)).norm(dim=1).argmin())]
    nearest = (points - points[chosen[0]]).norm(dim=1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).norm(dim=1))
    return torch.tensor(sorted(chosen))


def _about(
    job: Adaptation, ticket: str, outcome: Personalised, frames_fitted: int
) -> dict[str, Any]:
    return {
        "ticket": ticket,
        "redub": version("redub"),
        "takes": [take.facts() for take in job.takes],
        "seconds_of_footage": round(sum(take.seconds for take in job.takes), 3),
        "frames_fitted": frames_fitted,
        "budget_seconds": job.budget_seconds,
        "steps": outcome.steps[-1],
        "seed": job.seed,
        "with_prior": job.prior,
        "face_model": open_face_model(OURS).facts,
    }


def _write_report(
    actor: Actor,
    model: MorphableModel,
    prior: RendererPrior,
    clip: Clip,
    track: Track,
    split: Split,
    outcome: Personalised,
    folder: Path,
    seconds: dict[str, float],
) -> None:
    """Held-out frames rendered by an actor whose references hold none of them."""
    begin = monotonic()
    first, last = int(split.held_out[0]), int(split.held_out[-1])
    run = track[first - track.start : last + 1 - track.start]
    shot, result = compare(actor.person(model, prior), actor.style, clip, run)
    result |= {
        "held_out": f"frames {first} to {last} of {clip.path.name}",
        "style": style_facts(actor.style),
        "peak_rss_mb": peak_rss_mb(),
        "time": {**seconds, "report": monotonic() - begin},
        **{key: value for key, value in actor.about.items() if key != "ticket"},
    }
    curves = {
        "Learning: loss on fitted frames, error of held-out frames (mouth counts four times)": {
            "fit": outcome.fit_loss,
            "held out": outcome.held_out_error,
        }
    }
    write_actor_report(folder / "report", clip.path.stem, result, shot, curves)
