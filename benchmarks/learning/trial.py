"""One actor learned and judged; a result is kept under a hash of what it was made of."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from adapt.actor import Actor, fingerprint
from adapt.learning import Course, School, fine_tuned, learn
from adapt.lessons import Lessons, kept_references, prepare_lessons
from adapt.personalise import Personalised, Personalising
from adapt.report import reenacted
from adapt.speaking_style import SpeakingStyle
from adapt.takes import Take
from benchmarks.learning.subjects import SECONDS, SUBJECTS, Library, Subject
from benchmarks.learning.variants import (
    ABLATIONS,
    CURVE,
    SHUT,
    SHUT_SECONDS,
    VARIANTS,
    Variant,
    chosen_frames,
    face_model,
    fewer,
    filed,
    starting,
    starting_prior,
)
from core.progress import Silent
from core.serial import atomic_path, save_json
from evaluate.benchmark import Shot, collect, figures
from evaluate.metrics.lips import mouth_opening
from evaluate.report import plain
from evaluate.sheet import spread_indices
from face3d.morphable import default_model
from face3d.track import Track
from media.clip import Clip
from prior.motion.expression import load_driver
from prior.painting.grade import plate_grades
from prior.painting.renderer import RendererPrior, default_prior, untrained
from prior.painting.track_registration import registered_track
from prior.training.train_renderer import RendererTraining

SEEDS = (0, 1, 2)
FIRST = (4.0, 1.0, 16.0)
"""Seconds of footage that say most, and so come first."""

METHOD = 8
"""Raise it when actors are tracked, learned or painted otherwise: older results are void then."""

PICTURES = 8
"""Windows kept of every result, from the most shut to the widest mouth."""


@dataclass(frozen=True)
class Trial:
    """Learn `subject` from `seconds` as the variant says, within `cpu_seconds` of learning."""

    subject: Subject
    seconds: float
    variant: str
    seed: int
    cpu_seconds: float

    def prior(self) -> RendererPrior:
        return default_prior() if VARIANTS[self.variant].prior else untrained(self.seed)

    def path(self, work: Path) -> Path:
        """Where the result is kept."""
        settings = {**vars(VARIANTS[self.variant]), "about": ""}
        budget = self.cpu_seconds if VARIANTS[self.variant].steps else 0
        about = [METHOD, vars(self.subject), self.seconds, settings, self.seed, budget]
        made_of = json.dumps(about) + _print(VARIANTS[self.variant].prior, self.seed)
        digest = hashlib.sha256(made_of.encode()).hexdigest()[:10]
        variant = self.variant.replace(" ", "-")
        name = f"{self.subject.name}.{self.seconds:g}s.{variant}.{self.seed}.{digest}.json"
        return work / "runs" / name


@lru_cache(maxsize=8)
def _print(with_prior: bool, seed: int) -> str:
    return fingerprint(default_prior() if with_prior else untrained(seed))


def in_order(cpu_seconds: float) -> Iterator[Trial]:
    """All trials, the most telling ones first."""

    def cells(seed: int, seconds: tuple[float, ...], variants: tuple[str, ...]) -> Iterator[Trial]:
        for length in seconds:
            for subject in SUBJECTS:
                for variant in variants:
                    if VARIANTS[variant].steps or seed == SEEDS[0]:
                        yield Trial(subject, length, variant, seed, cpu_seconds)

    rest = tuple(length for length in SECONDS if length not in FIRST)
    yield from cells(0, FIRST, CURVE)
    yield from cells(0, FIRST[:1], ABLATIONS[:1])
    yield from cells(0, rest, CURVE)
    for seed in SEEDS[1:]:
        yield from cells(seed, FIRST[:1], CURVE)
    yield from cells(0, FIRST[:1], ABLATIONS[1:])
    yield from cells(0, (SHUT_SECONDS,), SHUT)
    for seed in SEEDS[1:]:
        yield from cells(seed, FIRST[1:] + rest, CURVE)


def run(trial: Trial, library: Library) -> dict[str, Any] | None:
    """The trial's figures, from its file if it is there; None where there is too little footage."""
    path = trial.path(library.work)
    if path.exists():
        return json.loads(path.read_text())
    learned = library.learned(trial.subject, trial.seconds)
    if learned is None:
        return None
    clip, track = learned
    began = process_time()
    variant = VARIANTS[trial.variant]
    course = _course(library, trial.subject, trial.seconds, variant.frames, variant.arcs)
    prepared = process_time()
    lessons, outcome = _learned(trial, course)
    done = process_time()
    actor = _actor(trial, track, lessons, outcome)
    shot, result = _judged(trial, actor, *library.judged(trial.subject, track))
    result |= {
        "frames_learned": len(lessons.fit.windows),
        "footage_seconds": len(track) / float(clip.fps),
        "steps": outcome.steps[-1],
        "held_out_error": outcome.held_out_error[-1],
        "cpu_seconds": {
            "prepare": prepared - began,
            "learn": done - prepared,
            "judge": process_time() - done,
        },
    }
    _keep_pictures(shot, path.with_suffix(".npz"))
    save_json(path, plain(result))
    return plain(result)


@lru_cache(maxsize=2)
def _course(library: Library, subject: Subject, seconds: float, frames: str, arcs: bool) -> Course:
    learned = library.learned(subject, seconds)
    assert learned is not None, "asked for before"
    clip, track = learned
    model = face_model(Variant("", arcs=arcs))
    track = chosen_frames(track, model, frames)
    take = Take(clip, range(track.start, track.start + len(track)))
    return Course((take,), (track,), prepare_lessons([take], [track], model))


def _learned(trial: Trial, course: Course) -> tuple[Lessons, Personalised]:
    variant = VARIANTS[trial.variant]
    schedule = Personalising(
        seconds=trial.cpu_seconds if variant.steps else 0.0,
        clock=process_time,
        seed=trial.seed,
        network_rate=4e-4 if variant.prior else 5e-4,
        checkpoint_seconds=float("inf"),
        loss=RendererTraining(lips=variant.lips),
    )
    model, prior = face_model(variant), starting_prior(trial.prior(), variant)

    def lessons_of(tracks: Sequence[Track]) -> Lessons:
        lessons = prepare_lessons(course.takes, tracks, model)
        return replace(lessons, fit=starting(lessons.fit, variant))

    course = replace(
        course, lessons=replace(course.lessons, fit=starting(course.lessons.fit, variant))
    )
    school = School(model, prior, schedule, None, Silent())
    if not variant.steps:
        return course.lessons, fine_tuned(course.lessons, school)
    course, outcome = learn(course, school, lessons_of)
    return course.lessons, outcome


def _actor(trial: Trial, track: Track, lessons: Lessons, outcome: Personalised) -> Actor:
    windows = kept_references(lessons.fit.windows, default_model())
    windows = fewer(windows, VARIANTS[trial.variant].references)
    style = SpeakingStyle(load_driver().manner, "does not speak here")
    face = replace(track.identity, teeth=lessons.fit.windows.identity.teeth)
    return Actor(face, outcome.texture, outcome.weights, windows, lessons.skin, style)


def _judged(trial: Trial, actor: Actor, clip: Clip, track: Track) -> tuple[Shot, dict[str, Any]]:
    variant = VARIANTS[trial.variant]
    person = filed(actor.person(face_model(variant), trial.prior()), variant)
    grades = plate_grades(person.model, person.identity, person.skin, clip, track)
    frames = range(track.start, track.start + len(track))
    placed = registered_track(person, clip.frames(frames), track, grades, copying=variant.copying)
    systems = {"made": reenacted(person, clip, placed, grades, variant.copying)}
    shot = collect(clip.frames(frames), track, person.model, systems)
    return shot, figures(shot, "made", clip.fps, None)


def _keep_pictures(shot: Shot, path: Path) -> None:
    opening = mouth_opening(np.stack(shot.truth.landmarks))
    known = np.flatnonzero(shot.valid & np.isfinite(opening))
    order = known[np.argsort(opening[known])]
    pick = order[spread_indices(len(order), PICTURES)]
    made, truth = (np.stack(seen.windows)[pick] for seen in (shot.systems["made"], shot.truth))
    with atomic_path(path) as temporary:
        np.savez(temporary, made=made, truth=truth, frame=pick)
