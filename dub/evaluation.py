"""`redub evaluate`: an actor measured on a shot it has not learned from, beside baselines.

Driven by the plate's own mouth the renderer is judged alone; driven by the plate's own sound the
audio model as well; both against the plate's true frames. Another's speech has no true frames: then
the output's mouth is held against what the audio model intended, and the plate is the baseline.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import numpy as np
import torch

from adapt.actor import Actor, read_about, size_of
from adapt.cli import without_prior
from adapt.report import reenacted, silenced
from core.memory import peak_rss_mb
from core.progress import Reporter, reported
from dub.direction import Direction
from dub.performance import Performance, Said, reenacting, speaking
from dub.shot import tracked
from evaluate.benchmark import Shot, collect, figures, leak_of, sync_of
from evaluate.metrics.lips import mouth_opening as landmark_opening
from evaluate.metrics.lips import opening_corr
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from face3d.track import Track
from media.audio import Audio, load_audio
from media.clip import Clip
from media.frame import Frame
from prior.motion.alignment import measured_lag
from prior.motion.expression import load_driver
from prior.painting.grade import plate_grades
from prior.painting.person import Person
from prior.painting.renderer import RendererPrior, default_prior, untrained
from prior.painting.track_registration import REENACTED, SPOKEN, Registration, registered_track

CROP = "face crop in which the face is 192 pixels high; windows around the lower face"

Driver = Literal["tracked", "own"] | Path
"""What moves the mouth: the plate's tracked mouth, its own sound, or another's speech."""


@dataclass(frozen=True)
class Evaluation:
    """What to measure on which frames of which plate."""

    actor: Path
    plate: Path
    frames: range
    driver: Driver = "tracked"


def evaluate_actor(job: Evaluation, reporter: Reporter) -> tuple[Shot, dict[str, Any]]:
    """The systems' windows and the contract's figures.

    Raises InputError for a plate without the face, without sound where it is to drive, and for
    what is no actor.
    """
    began = monotonic()
    clip = Clip.open(job.plate)
    actor, prior = load_actor(job.actor)
    model = default_model()
    person = actor.person(model, prior)
    sound = sound_of(job, clip)
    track = tracked(clip, job.frames, actor.identity, reporter)
    grades = plate_grades(model, person.identity, person.skin, clip, track)
    plain = track

    def placed(person: Person, how: Registration, copying: bool = False) -> Track:
        frames = reported(clip.frames(job.frames), reporter, "register", len(plain))
        return registered_track(person, frames, plain, grades, how, copying)

    spoken = placed(person, SPOKEN)
    track = placed(person, REENACTED) if job.driver == "tracked" else spoken
    tracked_at = monotonic()
    late = 0.0
    if sound is not None and isinstance(job.driver, str):
        late = late_by(sound, track)
        sound = replace(sound, start=sound.start - Fraction(late) / clip.fps)
    performance = perform(job, track, actor, sound)
    driven = driven_by(track, performance)
    performed_at = monotonic()

    truth = isinstance(job.driver, str)
    systems: dict[str, Iterator[Frame]] = {
        "redub": reenacted(person, clip, driven, grades),
        "silent": reenacted(person, clip, silenced(spoken, actor.style), grades),
    }
    if truth:
        # The plate's own motion lies, for each system, where that system's painting fits best.
        reenacts = job.driver == "tracked"
        nearest = placed(person, REENACTED, copying=True) if reenacts else driven
        systems["nearest_frame"] = reenacted(person, clip, nearest, grades, copying=True)
        if (other := unlearned(job.actor)) is not None:
            own = placed(other, REENACTED) if reenacts else driven
            systems["no_prior"] = reenacted(other, clip, own, grades)
    else:
        systems["original_frame"] = clip.frames(job.frames)
    plate = reported(clip.frames(job.frames), reporter, "render and measure", len(driven))
    shot = collect(plate, driven, model, systems)
    names = ("nearest_frame", "no_prior") if truth else ("original_frame",)
    heard = from_start(sound)
    measured = {
        name: figures(shot, name, clip.fps, heard)
        for name in ("redub", *names)
        if name in shot.systems
    }
    if not truth:
        measured = {n: by_intent(shot, n, f, performance) for n, f in measured.items()}
    result = measured["redub"] | {
        "leak": leak_of(shot, "silent", clip.fps),
        "baselines": {name: measured.get(name) for name in names},
        "ground_truth": {"sync": sync_of(np.stack(shot.truth.landmarks), clip.fps, heard)},
        "driver": job.driver if truth else Path(job.driver).name,
        "opening_corr_against": "truth" if truth else "intent",
        "sound_late_by_frames": late,
        "plate": clip.path.name,
        "range": [job.frames.start, job.frames.stop],
        "codec": f"none: compared before encoding, in {clip.pix_fmt}",
        "crop": CROP,
        "grades": [None if grade is None else grade.facts() for grade in grades],
        "time": {
            "track": tracked_at - began,
            "perform": performed_at - tracked_at,
            "render_and_measure": monotonic() - performed_at,
        },
        "peak_rss_mb": peak_rss_mb(),
    }
    return shot, result


def load_actor(folder: Path) -> tuple[Actor, RendererPrior]:
    """An actor with the prior that it is a difference to."""
    about, size = read_about(folder), size_of(folder)
    learned = about.get("with_prior", True)
    prior = default_prior(size) if learned else untrained(about["seed"], size)
    return Actor.load(folder, prior), prior


def unlearned(actor: Path) -> Person | None:
    """The same actor adapted without the prior, where `adapt --baseline` made one."""
    folder = without_prior(actor)
    if not folder.exists():
        return None
    other, prior = load_actor(folder)
    return other.person(default_model(), prior)


def sound_of(job: Evaluation, clip: Clip) -> Audio | None:
    """What is heard from the first frame on: the plate's own sound, or the other's speech."""
    if isinstance(job.driver, Path):
        return load_audio(job.driver)
    if job.driver == "tracked" and not clip.has_audio:
        return None
    start, stop = (Fraction(int(edge)) / clip.fps for edge in (job.frames.start, job.frames.stop))
    return replace(load_audio(clip.path).section(start, stop), start=Fraction(0))


def late_by(sound: Audio, track: Track) -> float:
    """By how many frames the plate's sound is late against its lips; 0 where that is not sure."""
    in_place = replace(sound, start=sound.start + Fraction(track.start) / track.fps)
    return measured_lag(in_place, track, load_driver(), default_model()).believed


def from_start(sound: Audio | None) -> Audio | None:
    """The sound from the first frame on, as the measure of sync takes it."""
    if sound is None:
        return None
    end = sound.start + Fraction(sound.samples.shape[1], sound.rate)
    return replace(sound.section(0, max(end, Fraction(0))), start=Fraction(0))


def perform(job: Evaluation, track: Track, actor: Actor, sound: Audio | None) -> Performance:
    """The mouth that is to be rendered."""
    if job.driver == "tracked":
        return reenacting(track)
    assert sound is not None, "whoever drives is heard"
    return speaking(track, Said(sound), actor.style.driver(), Direction())


def driven_by(track: Track, performance: Performance) -> Track:
    """The track with the performance's mouth, valid where it is painted."""
    painted = torch.from_numpy(performance.painted)
    return replace(
        track, motion=track.motion.with_mouth(performance.mouth), valid=track.valid & painted
    )


def by_intent(
    shot: Shot, name: str, measured: Mapping[str, Any], performance: Performance
) -> dict[str, Any]:
    """Figures without those that need true frames; the mouth is held against the intent."""
    seen = landmark_opening(np.stack(shot.systems[name].landmarks))
    meant = mouth_opening(default_model(), performance.intent).numpy().astype(float)
    spoken = np.where(performance.share == 1, meant, np.nan)  # ramps are neither's mouth
    nothing = {"psnr": None, "ssim": None, "gmsd": None, "sharpness_ratio": None}
    return dict(measured) | {
        "lower_face": nothing,
        "mouth": nothing,
        "open_mouth": nothing,
        "landmarks": {
            "lmd_px256": None,
            "opening_corr": opening_corr(seen, spoken),
            "opening_mae_px256": None,
        },
    }
