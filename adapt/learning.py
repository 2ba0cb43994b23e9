"""An actor learned in three strides: a sketch, the footage registered to it, and the actor.

What the tracker has a pixel beside its place blurs what is learned. So a sketch of the actor is
learned first, within seconds; the footage's motion is registered to what the sketch paints; and
learning goes on from the sketch, on footage that lies where it belongs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from adapt.actor import Actor, going_on, person_of
from adapt.lessons import Lessons, kept_references
from adapt.personalise import Personalised, Personalising, held_out_conditions, personalise
from adapt.takes import Take, first_numbers, grades_of
from core.device import CPU, on_device
from core.progress import Reporter, Step, reported
from core.serial import Schema, load_tensors, save_tensors
from face3d.morphable import MorphableModel
from face3d.track import Track
from prior.painting.person import Person
from prior.painting.renderer import RendererPrior
from prior.painting.track_registration import FOOTAGE, registered_track

SKETCH = Schema("sketch", 1)

SKETCH_SHARE, SKETCH_SECONDS = 0.25, 12.0
"""What a sketch may take of the time for learning, and at most."""

REGISTERED_FRAMES = 100
"""Frames of the footage that are registered, about; the others change as those around them."""


@dataclass(frozen=True)
class Course:
    """The takes of an actor, their tracks, and the lessons made of them."""

    takes: tuple[Take, ...]
    tracks: tuple[Track, ...]
    lessons: Lessons


@dataclass(frozen=True)
class School:
    """What every stride needs: the face model, what learning starts from, how long it takes, where
    unfinished work is kept (None: nowhere), where it is computed, and who watches."""

    model: MorphableModel
    prior: RendererPrior
    config: Personalising
    work: Path | None
    reporter: Reporter
    device: torch.device = CPU


def learn(
    course: Course,
    school: School,
    lessons_of: Callable[[Sequence[Track]], Lessons],
    base: Actor | None = None,
) -> tuple[Course, Personalised]:
    """The course with its tracks registered, and the best state found.

    `lessons_of` makes lessons of tracks; `base` is an actor to go on from, and so the sketch.
    What is finished lies in the work folder; a later run goes on. Raises DivergedError.
    """
    clock = school.config.clock
    began = clock()
    if base is not None:
        sketch, start = None, base.as_start(school.prior)
        person = base.person(school.model, school.prior, closely=False)
    else:
        sketch = _sketched(course.lessons, school)
        start = going_on(school.prior, sketch.weights, sketch.texture)
        person = person_of(
            school.model,
            school.prior,
            sketch.weights,
            sketch.texture,
            kept_references(course.lessons.fit.windows, school.model),
            course.lessons.skin,
        )
    tracks = _registered(course, school, person, base)
    course = replace(course, tracks=tracks, lessons=lessons_of(tracks))
    # What the texture knows by now is more than what a few frames unproject to.
    fit = course.lessons.fit
    fit = replace(fit, seen=torch.zeros_like(fit.seen))
    left = max(0.0, school.config.seconds - (clock() - began))
    config = replace(school.config, seconds=left)
    lessons = replace(course.lessons, fit=fit)
    outcome = fine_tuned(lessons, replace(school, prior=start, config=config))
    return course, outcome if sketch is None else after(sketch, outcome)


def fine_tuned(lessons: Lessons, school: School) -> Personalised:
    """One stride of learning."""
    judged = held_out_conditions(lessons.fit, lessons.judge, school.model)
    checkpoint = (school.work or Path("nowhere")) / "checkpoint.safetensors"
    for event in personalise(
        lessons.fit, judged, school.model, school.prior, school.config, checkpoint, school.device
    ):
        if isinstance(event, Step):
            school.reporter.step(event)
        else:
            return event
    raise AssertionError("personalise ends with its result")


def after(sketch: Personalised, outcome: Personalised) -> Personalised:
    """The outcome with the sketch's steps before its own."""
    first = sketch.steps[-1]
    return replace(
        outcome,
        steps=sketch.steps + [first + step for step in outcome.steps],
        fit_loss=sketch.fit_loss + outcome.fit_loss,
        held_out_error=sketch.held_out_error + outcome.held_out_error,
    )


def _sketched(lessons: Lessons, school: School) -> Personalised:
    kept = school.work and school.work / "sketch.safetensors"
    if kept and kept.exists():
        tensors, curves = load_tensors(kept, SKETCH)
        told = (curves[name] for name in ("steps", "fit", "held_out"))
        return Personalised(tensors.pop("texture"), tensors, *told)
    share = min(SKETCH_SHARE * school.config.seconds, SKETCH_SECONDS)
    config = replace(school.config, seconds=share, stage="sketch")
    folder = school.work and school.work / "sketch"
    sketch = fine_tuned(lessons, replace(school, config=config, work=folder))
    if kept:
        curves = {"steps": sketch.steps, "fit": sketch.fit_loss, "held_out": sketch.held_out_error}
        save_tensors(kept, SKETCH, sketch.weights | {"texture": sketch.texture}, curves)
    return sketch


def _registered(
    course: Course, school: School, person: Person, base: Actor | None
) -> tuple[Track, ...]:
    """The takes' tracks registered to what a person paints, who was learned from them unless there
    is a base."""
    kept = school.work and [
        school.work / f"registered_{index}.safetensors" for index in range(len(course.takes))
    ]
    if kept and all(path.exists() for path in kept):
        return tuple(Track.load(path) for path in kept)
    person = on_device(person, school.device)
    light = None if base is None else base.skin
    grades = grades_of(course.takes, course.tracks, school.model, light)
    valid = sum(int(track.valid.sum()) for track in course.tracks)
    how = replace(FOOTAGE, every=max(1, round(valid / REGISTERED_FRAMES)))
    result = []
    for take, track, grade, first in zip(
        course.takes, course.tracks, grades, first_numbers(course.takes), strict=True
    ):
        frames = reported(take.clip.frames(take.frames), school.reporter, "register", len(track))
        numbers = None if base else first + track.start + torch.arange(len(track))
        lights = (on_device(grade, school.device),) * len(track.crops)
        result.append(registered_track(person, frames, track, lights, how, numbers=numbers))
    for path, track in zip(kept or [], result, strict=bool(kept)):
        track.save(path)
    return tuple(result)
