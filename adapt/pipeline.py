"""Learn an actor from seconds of footage. Read top to bottom, this is the method.

clip ─▶ track ─▶ windows of the lower face ─▶ unprojected texture ─▶ fine-tuned prior
     ─▶ how widely this actor speaks ─▶ actor folder and report
"""

import hashlib
import json
import shutil
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
from adapt.speaking_style import learn_style
from adapt.split import Split, split_frames
from core.errors import InputError
from core.memory import peak_rss_mb
from core.progress import Reporter, Step
from core.serial import save_json
from face3d.models.shelf import OURS, open_face_model
from face3d.morphable import MorphableModel, default_model
from face3d.track import Track
from face3d.tracker import track_clip
from media.clip import Clip
from prior.bank import POSE_METRES, lip_positions
from prior.corpus import MARGIN, Windows, gather_windows
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
    """What to learn from and how long."""

    clip: Path
    frames: range
    budget_seconds: float = 180.0
    seed: int = 0
    prior: bool = True
    """False learns from nothing but the footage: the baseline the prior is held against."""


def adapt(job: Adaptation, folder: Path, reporter: Reporter) -> Actor:
    """Learn the actor seen in `job.clip` and write `folder`; an interrupted run goes on.

    Raises InputError for footage without a usable face, DivergedError if learning diverges.
    """
    started = monotonic()
    clip = Clip.open(job.clip)
    prior = default_prior() if job.prior else untrained(job.seed)
    ticket = _ticket(job, clip, prior)
    if (done := _finished(folder, ticket)) is not None:
        reporter.say(f"{folder} already holds this actor; nothing to do.")
        return Actor.load(done, prior)
    work = _work_folder(folder, ticket)
    model = default_model()

    track = _tracked(clip, job, work, model, reporter)
    usable = np.flatnonzero(track.valid.numpy()) + track.start
    seconds = len(job.frames) / float(clip.fps)
    split = split_frames(usable, seconds)
    if seconds < ENOUGH_SECONDS:
        reporter.say(
            f"warning: {seconds:.1f} s of footage are few; with {ENOUGH_SECONDS:.0f} s or more the "
            "mouth has more shapes to learn from."
        )
    fit = _training_clip(clip, track, model, _spread(split.fit, FIT_FRAMES))
    judge = _training_clip(clip, track, model, split.held_out)

    prepared = monotonic() - started
    schedule = _schedule(job, prepared, len(split.held_out))
    outcome = _personalised(fit, judge, model, prior, schedule, work, reporter)

    skin = skin_of(model, clip, track, split.fit - track.start, hidden=False)
    style = learn_style(clip, track, model)
    about = _about(job, clip, ticket, outcome, split)
    everything = _joined(fit.windows, judge.windows, model)
    actor = Actor(track.identity, outcome.texture, outcome.weights, everything, skin, style, about)
    honest = replace(actor, windows=_trimmed(fit.windows, model))
    seconds = {"prepare": prepared, "learn": schedule.seconds}
    _write_report(honest, model, prior, clip, track, split, outcome, folder, seconds)
    actor.save(folder, prior)
    shutil.rmtree(work)
    return actor


def _ticket(job: Adaptation, clip: Clip, prior: RendererPrior) -> str:
    """What makes two runs the same: the file's bytes, the range, the settings and the prior."""
    digest = hashlib.sha256()
    with clip.path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    settings = [job.frames.start, job.frames.stop, job.budget_seconds, job.seed, job.prior]
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
    clip: Clip, job: Adaptation, work: Path, model: MorphableModel, reporter: Reporter
) -> Track:
    kept = work / "track.safetensors"
    if kept.exists():
        return Track.load(kept)
    track = track_clip(clip, job.frames, model, reporter=reporter)
    track.save(kept)
    return track


def _spread(frames: np.ndarray, limit: int) -> np.ndarray:
    return frames[np.unique(np.linspace(0, len(frames) - 1, min(limit, len(frames))).astype(int))]


def _training_clip(
    clip: Clip, track: Track, model: MorphableModel, frames: np.ndarray
) -> TrainingClip:
    windows = gather_windows(clip, track, model, frames, MARGIN)
    return training_clip(windows, model, {"person": clip.path.stem})


def _schedule(job: Adaptation, prepared: float, held_out: int) -> Personalising:
    """The time left for learning once preparation and report are paid for; at least a few steps."""
    reserve = 6.0 + REPORT_SECONDS_A_FRAME * held_out
    seconds = max(5.0, job.budget_seconds - prepared - reserve)
    # Without a prior the network has everything to learn: it takes the rate that trained the prior.
    rate = 4e-4 if job.prior else 5e-4
    return Personalising(seconds=seconds, seed=job.seed, network_rate=rate)


def _personalised(
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
    for event in personalise(fit, judged, model, prior, schedule, checkpoint):
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


def _joined(fit: Windows, judge: Windows, model: MorphableModel) -> Windows:
    """References of the finished actor: held-out frames have done their duty and join."""
    motion = type(fit.motion)(
        *(torch.cat(pair) for pair in zip(vars(fit.motion).values(), vars(judge.motion).values(),
                                          strict=True))
    )  # fmt: skip
    both = Windows(
        torch.cat([fit.images, judge.images]),
        torch.cat([fit.corner, judge.corner]),
        torch.cat([fit.frame, judge.frame]),
        motion,
        fit.identity,
        fit.crop_cameras + judge.crop_cameras,
    )
    return _trimmed(both, model)


def _about(
    job: Adaptation, clip: Clip, ticket: str, outcome: Personalised, split: Split
) -> dict[str, Any]:
    return {
        "ticket": ticket,
        "redub": version("redub"),
        "clip": clip.path.name,
        "range": [job.frames.start, job.frames.stop],
        "fps": str(clip.fps),
        "seconds_of_footage": round(len(job.frames) / float(clip.fps), 3),
        "frames_fitted": len(split.fit),
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
