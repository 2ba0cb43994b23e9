"""Dub one shot, streaming. Read top to bottom, this is the method.

plate ─▶ track (the actor's identity kept), registered to what the actor's renderer paints
      ─▶ performance of the new line
      ─▶ each frame painted and pasted into its own planes ─▶ output and sidecar
"""

import math
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from adapt.actor import Actor, size_of
from adapt.speaking_style import SpeakingStyle, learn_style
from core.ahead import ahead
from core.device import CPU, on_device
from core.errors import InputError
from core.progress import Reporter, reported
from core.serial import check_apart, save_json, unwritable
from dub.direction import Direction, Silence, kept_frames, names_a_file, sounds_of, strength_of
from dub.grain import Grain, plate_grains
from dub.performance import Performance, Said, reenacting, speaking
from dub.sidecar import SCHEMA, clip_facts, file_facts, folder_hash, runs, sidecar_path
from face3d.lips import mouth_opening
from face3d.morphable import MorphableModel, default_model
from face3d.track import Identity, Track
from face3d.tracker import track_clip
from media.audio import Audio, load_audio
from media.clip import Clip
from media.frame import Frame
from media.writer import ClipWriter, check_video
from prior.motion.expression import load_driver
from prior.motion.generator import load_generator, style_of
from prior.painting.composite import pasted
from prior.painting.grade import Grade, plate_grades
from prior.painting.person import Person, paint
from prior.painting.renderer import default_prior
from prior.painting.track_registration import REENACTED, SPOKEN, registered_track
from prior.weights import own_weights
from render.engine import accelerated, best_engine

Quality = Literal["draft", "final"]


@dataclass(frozen=True)
class Dubbing:
    """What to dub: `speech` drives the mouth; without it the plate's own mouth is rendered anew.

    `strength` and `keep` are written as on the command line, see `direction`.
    """

    actor: Path
    plate: Path
    output: Path
    frames: range | None = None
    speech: Path | None = None
    strength: str = "1"
    silence: Silence = "original"
    keep: tuple[str, ...] = ()
    style: Path | None = None
    """A clip of someone whose manner the line is spoken in, the actor's own unless told."""
    takes: int = 1
    """The first is the expected one; the others are drawn, by their number and the seed."""
    seed: int = 0
    words: str | None = None
    """What is said, or a file of its sounds, see `direction.sounds_of`; heard unless told."""
    device: torch.device = CPU
    """Where the mouth is rendered; tracking stays on the CPU."""
    quality: Quality = "final"
    """`draft` leaves the plate's motion as it is tracked, and out the detail that large faces get
    from close-ups."""


def dub_shot(job: Dubbing, reporter: Reporter) -> list[dict[str, Any]]:
    """Write every take and its sidecar; returns the sidecars' documents.

    Frames out are frames in, at the plate's rate; outside the matte every sample is the plate's.
    Raises InputError, UsageError or ResourceError before anything is written where it can.
    """
    clip = Clip.open(job.plate)
    frames = job.frames or range(len(clip))
    speech = None if job.speech is None else load_audio(job.speech)
    direction = directed(job, clip, frames, speech)
    takes = range(1, job.takes + 1)
    if job.takes > 1:
        load_generator().check_taught(load_driver())
    if speech is not None and (encoder := load_driver().encoder):
        encoder.silence()  # what cannot be opened is found out before the shot is tracked
    for take in takes:
        check_output(replace(job, output=take_path(job.output, take)))
    prior = default_prior(size_of(job.actor))
    actor = Actor.load(job.actor, prior)
    model = default_model()
    person = actor.person(model, prior, closely=job.quality == "final")
    style, moves = actor.style, actor.windows.motion.mouth
    if job.style is not None:
        style, moves = style_of_clip(job.style, model, reporter)
    direction = replace(direction, style=style_of(moves))

    began = monotonic()
    track = tracked(clip, frames, actor.identity, reporter)
    tracking = monotonic() - began
    grades = plate_grades(model, person.identity, person.skin, clip, track)
    grains = plate_grains(model, actor.identity, clip, track)
    person, lights = on_device(person, job.device), on_device(grades, job.device)
    if job.device.type == "cpu":
        person = replace(person, renderer=accelerated(person.renderer, best_engine()))
    began = monotonic()
    if job.quality == "final":
        seen = reported(ahead(clip.frames(frames)), reporter, "register", len(frames))
        how = REENACTED if speech is None else SPOKEN
        track = registered_track(person, seen, track, lights, how)
    registering = monotonic() - began
    warnings = [] if speech is None else length_warnings(speech, len(frames) / float(clip.fps))
    warnings += light_warnings(job.plate, grades)

    said = None if speech is None else Said(speech)
    documents = []
    for take in takes:
        began, output = monotonic(), take_path(job.output, take)
        if said is None:
            performance = reenacting(track)
        else:
            uneven = clip.unevenness(frames) > EVEN_SECONDS
            middles = clip.middles(frames) if uneven else None
            asked = replace(direction, take=take)
            performance = speaking(track, said, style.driver(), asked, middles)
        performed_at = monotonic()
        # Decoding, painting and encoding go on side by side.
        plate = ahead(clip.frames(frames))
        dubbed = performed(person, plate, track, performance, lights, grains, job.seed)
        with closing(ahead(dubbed)) as made, ClipWriter(output, clip, speech) as writer:
            for frame in reported(made, reporter, "dub", len(frames)):
                writer.write(frame)
        seconds = {
            "track": tracking,
            "register": registering,
            "perform": performed_at - began,
            "render": monotonic() - performed_at,
        }
        about = describe(job, take, clip, frames, track, performance, grades, seconds, warnings)
        about["grain"] = [None if grain is None else grain.facts() for grain in grains]
        save_json(sidecar_path(output), about)
        documents.append(about)
    for warning in warnings:
        reporter.say(f"warning: {warning}")
    return documents


def take_path(output: Path, take: int) -> Path:
    """Where a take goes: the first to the output itself, the others beside it."""
    return output if take == 1 else output.with_name(f"{output.stem}.take{take}{output.suffix}")


def directed(job: Dubbing, clip: Clip, frames: range, speech: Audio | None) -> Direction:
    """What the job's texts mean on its frames. Raises UsageError or InputError for a wrong one."""
    strength = strength_of(job.strength, clip.fps, clip.timecode, frames)
    kept = kept_frames(job.keep, clip.fps, len(clip), clip.timecode, frames)
    told = job.words is not None and speech is not None
    sounds = sounds_of(job.words, speech) if told else None  # pyright: ignore
    return Direction(strength, job.silence, kept, seed=job.seed, sounds=sounds)


def style_of_clip(
    path: Path, model: MorphableModel, reporter: Reporter
) -> tuple[SpeakingStyle, Float[Tensor, "N M"]]:
    """Manner and mouths of whoever speaks in a clip.

    Raises InputError for one without a face or sound.
    """
    clip = Clip.open(path)
    if not clip.has_audio:
        raise InputError(
            f"--style {path} has no sound, and a manner of speaking is learned from both; "
            "give a clip in which someone is heard."
        )
    seconds = range(min(len(clip), math.ceil(STYLE_SECONDS * clip.fps)))
    track = track_clip(clip, seconds, reporter=reporter)
    return learn_style(clip, track, model), track.motion.mouth[track.valid]


STYLE_SECONDS = 60
"""No more of a style clip is looked at."""

EVEN_SECONDS = 0.002
"""Stamps this near an even rate's are rounded, not uneven."""


def check_output(job: Dubbing) -> None:
    """Refuse an output that cannot be, before any work is done for it."""
    check_video(job.output, job.plate)
    check_apart(job.output, job.speech, job.style)
    folder = job.output.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(job.output, error) from error
    if not os.access(folder, os.W_OK):
        raise unwritable(job.output, PermissionError(13, "Permission denied"))


def length_warnings(speech: Audio, plate_seconds: float) -> list[str]:
    """Film never loops and never stretches: what does not fit is said."""
    end = float(speech.start) + speech.seconds
    if end > plate_seconds + 0.04:
        return [
            f"the speech is {end:.2f} s long and the plate {plate_seconds:.2f} s; "
            f"the last {end - plate_seconds:.2f} s of it drive nothing."
        ]
    return []


def light_warnings(plate: Path, grades: Sequence[Grade | None]) -> list[str]:
    """A plate in other light can be matched, but not as well as it can be learned from."""
    if all(grade is None for grade in grades):
        return []
    return [
        f"{plate.name} is lit or graded otherwise than what the actor was learned from; a few "
        f"seconds of it make a better likeness: adapt --actor {plate.name} --actor FOOTAGE."
    ]


def tracked(clip: Clip, frames: range, identity: Identity, reporter: Reporter) -> Track:
    """The plate's track with the actor's own face. Raises InputError where no frame shows it."""
    track = track_clip(clip, frames, identity=identity, reporter=reporter)
    if not bool(track.valid.any()):
        raise InputError(
            f"{clip.path} shows no face that fits this actor in {len(frames)} frames; "
            "choose a shot in which the actor is seen."
        )
    return track


def performed(
    person: Person,
    frames: Iterator[Frame],
    track: Track,
    performance: Performance,
    grades: tuple[Grade | None, ...],
    grains: tuple[Grain | None, ...],
    seed: int,
) -> Generator[Frame]:
    """The shot's frames with the performance painted in; the others exactly as they were."""
    wanted = replace(track, valid=track.valid & torch.from_numpy(performance.painted))
    for frame, painted in paint(person, frames, wanted, performance.mouth, grades):
        if painted is None:
            yield frame
            continue
        grain = grains[int(track.shot[frame.index - track.start])]
        field = grain and partial(grain.field, key=(seed, frame.index))
        yield pasted(frame, painted, field)


def describe(
    job: Dubbing,
    take: int,
    clip: Clip,
    frames: range,
    track: Track,
    performance: Performance,
    grades: tuple[Grade | None, ...],
    seconds: dict[str, float],
    warnings: list[str],
) -> dict[str, Any]:
    """The sidecar's document."""
    model = default_model()
    return {
        "kind": SCHEMA.kind,
        "schema": SCHEMA.version,
        "redub": version("redub"),
        "plate": clip_facts(clip),
        "range": [frames.start, frames.stop],
        "own_weights": own_weights(),
        "actor": {"folder": job.actor.name, "sha256": folder_hash(job.actor)},
        "speech": job.speech and file_facts(job.speech),
        "settings": {
            "strength": _told(job.strength),
            "silence": job.silence,
            "keep": list(job.keep),
            "take": take,
            "seed": job.seed,
            "quality": job.quality,
            "words": job.words and _told(job.words),
            "style": job.style and file_facts(job.style),
        },
        "frames": len(frames),
        "fps": str(clip.fps),
        "passed_through": runs(performance.reason, frames.start),
        "confidence": [round(float(c), 3) for c in track.confidence],
        "intent_opening_millimetres": [
            round(float(v), 2) for v in mouth_opening(model, performance.intent)
        ],
        "grades": [None if grade is None else grade.facts() for grade in grades],
        "warnings": warnings,
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
    }


def _told(text: str) -> str | dict[str, str]:
    """What a text says, or which file says it."""
    return file_facts(Path(text)) if names_a_file(text) else text
