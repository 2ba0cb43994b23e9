"""Learn an actor from seconds of footage. Read top to bottom, this is the method.

clips ─▶ tracks with one identity ─▶ windows of the lower face ─▶ unprojected texture
      ─▶ fine-tuned prior, the tracks registered to what it paints on the way
      ─▶ how widely this actor speaks ─▶ actor folder and report
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import torch

from adapt.actor import SCHEMA, Actor, fingerprint, read_about, style_facts
from adapt.learning import Course, School, learn
from adapt.lessons import Lessons, kept_references, prepare_lessons
from adapt.personalise import Personalised, Personalising
from adapt.report import compare, write_actor_report
from adapt.speaking_style import SpeakingStyle, learn_style
from adapt.split import Split
from adapt.takes import Take, joined
from core.device import CPU
from core.errors import InputError
from core.memory import peak_rss_mb
from core.progress import Reporter
from core.serial import save_json
from core.size import Size
from face3d.models.shelf import OURS, open_face_model
from face3d.morphable import MorphableModel, default_model
from face3d.track import Track
from face3d.tracker import track_clip, track_clips
from media.clip import Clip
from prior.painting.renderer import RendererPrior, default_prior, untrained

ENOUGH_SECONDS = 4.0
"""Footage below this length is accepted with a warning."""

REPORT_SECONDS_A_FRAME = 0.25
"""Processor time that a held-out frame costs to measure, kept free of the budget."""

ENDING_SECONDS = 6.0
"""Processor time of what else comes after learning: the manner, the last judging, files, the page.
"""

SHORTEST_LEARNING = 5.0
"""Seconds of learning that every actor gets, whatever the budget."""


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
    base: Path | None = None
    """An actor to go on from: its face, light and references stay, the takes are learned on top."""
    size: Size = "light"
    """Of the renderer; that of `base`, if there is one."""
    began: float = field(default_factory=monotonic)
    """When the job was asked for, by `monotonic`: the budget counts from there."""


def adapt(job: Adaptation, folder: Path, reporter: Reporter) -> Actor:
    """Learn the actor seen in `job.takes` and write `folder`; an interrupted run goes on.

    Raises InputError for footage without a usable face, DivergedError if learning diverges.
    """
    prior = default_prior(job.size) if job.prior else untrained(job.seed, job.size)
    base = None if job.base is None else Actor.load(job.base, prior)
    ticket = _ticket(job, prior, base and base.about["ticket"])
    if _finished(job, folder, prior, ticket):
        reporter.say(f"{folder} already holds this actor; nothing to do.")
        return Actor.load(folder, prior)
    work = _work_folder(folder, ticket)
    model = default_model()

    tracks = _tracked(job, base, work, model, reporter)
    takes, clip, track = job.takes, job.takes[0].clip, tracks[0]
    seconds = sum(take.seconds for take in takes)
    if seconds < ENOUGH_SECONDS and base is None:
        reporter.say(
            f"warning: {seconds:.1f} s of footage are few; with {ENOUGH_SECONDS:.0f} s or more the "
            "mouth has more shapes to learn from."
        )

    def lessons_of(tracks: Sequence[Track]) -> Lessons:
        return prepare_lessons(takes, tracks, model, base, prior.config.scale)

    course = Course(takes, tracks, lessons_of(tracks))
    split = course.lessons.split
    prepared = monotonic() - job.began
    schedule = _schedule(job, prepared, len(split.held_out), reporter)
    school = School(model, prior, schedule, work, reporter, job.device)
    course, outcome = learn(course, school, lessons_of, base)
    lessons, fit = course.lessons, course.lessons.fit
    style = _style(takes, course.tracks, model, base)

    about = _about(job, ticket, outcome, len(fit.windows), base)
    # References of the finished actor: held-out frames have done their duty and join.
    everything = kept_references(joined([fit.windows, lessons.judge.windows]), model)
    skin, texture, weights = lessons.skin, outcome.texture, outcome.weights
    face = replace(track.identity, teeth=fit.windows.identity.teeth)
    actor = Actor(face, texture, weights, everything, skin, style, about)
    honest = replace(actor, windows=kept_references(fit.windows, model))
    spent = {"prepare": prepared, "learn": schedule.seconds}
    _write_report(honest, model, prior, clip, course.tracks[0], split, outcome, folder, spent)
    actor.save(folder, prior)
    shutil.rmtree(work)
    return actor


def _ticket(job: Adaptation, prior: RendererPrior, base: str | None = None) -> str:
    """What makes two runs the same: the files' bytes, ranges, settings, the prior, and the ticket
    of the actor that is refined."""
    digest = hashlib.sha256()
    for take in job.takes:
        with take.clip.path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    ranges = [[take.frames.start, take.frames.stop] for take in job.takes]
    settings = [ranges, job.budget_seconds, job.seed, job.prior]
    about = [settings, SCHEMA.version, version("redub"), fingerprint(prior), base]
    digest.update(json.dumps(about).encode())
    return digest.hexdigest()


def _finished(job: Adaptation, folder: Path, prior: RendererPrior, ticket: str) -> bool:
    """Whether the folder already holds what the job asks for.

    An actor that was refined in its own folder no longer is what it was refined from, but knows it.
    """
    try:
        about = read_about(folder)
    except InputError:
        return False
    if job.base is not None and job.base.resolve() == folder.resolve():
        ticket = _ticket(job, prior, about.get("refined_from"))
        return "refined_from" in about and about["ticket"] == ticket
    return about.get("ticket") == ticket


def _work_folder(folder: Path, ticket: str) -> Path:
    """Where a run keeps what it needs to go on; another job's leftovers are dropped."""
    work = folder / "work"
    note = work / "ticket.json"
    if not (note.exists() and json.loads(note.read_text()).get("ticket") == ticket):
        shutil.rmtree(work, ignore_errors=True)
        save_json(note, {"ticket": ticket})
    return work


def _tracked(
    job: Adaptation, base: Actor | None, work: Path, model: MorphableModel, reporter: Reporter
) -> tuple[Track, ...]:
    """A track a take, with one identity. Raises InputError where a take shows no usable face."""
    kept = [work / f"track_{index}.safetensors" for index in range(len(job.takes))]
    if all(path.exists() for path in kept):
        return tuple(Track.load(path) for path in kept)
    footage = [(take.clip, take.frames) for take in job.takes]
    if base is None:
        tracks = track_clips(footage, model, reporter=reporter)
    else:
        tracks = tuple(
            track_clip(clip, frames, model, identity=base.identity, reporter=reporter)
            for clip, frames in footage
        )
    for take, track in zip(job.takes[1:], tracks[1:], strict=True):
        if not bool(track.valid.any()):
            raise InputError(
                f"{take.clip.path} shows nobody that the mesh fits in {len(track)} frames; leave "
                "it out or give a range in which the actor is seen."
            )
    for path, track in zip(kept, tracks, strict=True):
        track.save(path)
    return tracks


def _style(
    takes: tuple[Take, ...],
    tracks: tuple[Track, ...],
    model: MorphableModel,
    base: Actor | None,
) -> SpeakingStyle:
    """The manner of the take that shows the most speech: the longest one with sound.

    One that was learned before stays until a longer take is heard.
    """
    heard = [i for i, take in enumerate(takes) if take.clip.has_audio] or [0]
    longest = max(heard, key=lambda i: int(tracks[i].valid.sum()))
    if base is not None:
        known = [t["seconds"] for t in base.about["takes"] if t["clip"] == base.style.source]
        if known and (max(known) >= takes[longest].seconds or not takes[longest].clip.has_audio):
            return base.style
    return learn_style(takes[longest].clip, tracks[longest], model)


def _schedule(job: Adaptation, prepared: float, held_out: int, reporter: Reporter) -> Personalising:
    """The time left for learning once preparation and report are paid for; at least a few steps.

    What the report will take is told by its processor time and by how much longer than its own
    processor time this process has taken so far: on a busy machine everything lasts longer.
    """
    crowded = max(1.0, prepared / process_time())
    reserve = crowded * (ENDING_SECONDS + REPORT_SECONDS_A_FRAME * held_out)
    left = job.budget_seconds - prepared - reserve
    if left < SHORTEST_LEARNING:
        reporter.say(
            f"warning: of {job.budget_seconds:.0f} s, {prepared:.0f} s went to preparation and "
            f"{reserve:.0f} s are needed for the report; learning takes {SHORTEST_LEARNING:.0f} s "
            "beyond them. Give a longer --budget or a shorter range."
        )
    # Without a prior the network has everything to learn: it takes the rate that trained the prior.
    rate = 4e-4 if job.prior else 5e-4
    seconds = max(SHORTEST_LEARNING, left)
    return Personalising(seconds=seconds, seed=job.seed, network_rate=rate)


def _about(
    job: Adaptation, ticket: str, outcome: Personalised, frames_fitted: int, base: Actor | None
) -> dict[str, Any]:
    """Where the actor comes from: with `base`, the takes and steps of both."""
    before = {} if base is None else base.about
    takes = [*before.get("takes", []), *(take.facts() for take in job.takes)]
    origin = {} if base is None else {"refined_from": before["ticket"]}
    return {
        "ticket": ticket,
        **origin,
        "redub": version("redub"),
        "takes": takes,
        "seconds_of_footage": round(sum(take["seconds"] for take in takes), 3),
        "frames_fitted": frames_fitted,
        "budget_seconds": job.budget_seconds,
        "steps": outcome.steps[-1] + before.get("steps", 0),
        "seed": job.seed,
        "with_prior": job.prior,
        "size": job.size,
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
