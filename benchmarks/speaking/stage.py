"""Actors on plates, ready to be given lines, and what is seen of their lips when they are dubbed.

Tracks and landmarks are worked out once: a dub is known by its mouths and its actor's weights, so
that only what a change of the speech model changes is rendered again.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from adapt.report import reenacted
from adapt.speaking_style import learn_style
from benchmarks.six_clips import CASES, Case
from core.progress import Silent
from core.serial import Schema, load_tensors, save_tensors
from dub.direction import Direction
from dub.evaluation import driven_by, load_actor
from dub.performance import Performance, Said, speaking
from dub.shot import tracked
from evaluate.metrics.lips import LIPS
from face3d.landmarks import COUNT, FaceMesh
from face3d.morphable import default_model
from face3d.track import Identity, Track
from face3d.view import crop_image
from media.audio import Audio
from media.clip import Clip
from media.timeline import parse_range
from prior.motion.expression import ExpressionModel
from prior.painting.grade import Grade, plate_grades
from prior.painting.person import Person
from prior.sound.phonemes import Phoneme

PLATES = {
    "aoc_sad": "4s:8s",
    "cnn_dfrf": "4s:9s",
    "german_mt": "10s:15s",
    "mead_W036": "0:76",
    "mead_M026": "0:118",
    "obama_st2": "0s:5s",
}
"""Frames that are dubbed. The two MEAD clips are so short that half of the plate was learned."""
SHOWN_SECONDS = 3
"""So much of a plate speaks: enough for the judge, and all that one of them has."""
LEARNED_SECONDS = 10
"""No more of the footage teaches the manner of speaking."""
MOUTH_WIDTH, MOUTH_HEIGHT = 112, 80
"""Pixels of a face crop that are kept for pictures."""
DUB = Schema("dub-lips", 1)


@dataclass(frozen=True, eq=False)
class Stage:
    """An actor before the camera: person, plate with its track and light, and manner."""

    name: str
    person: Person
    clip: Clip
    track: Track
    grades: tuple[Grade | None, ...]
    driver: ExpressionModel
    weights: str

    @property
    def seconds(self) -> float:
        return len(self.track) / float(self.track.fps)


@dataclass(frozen=True, eq=False)
class Dubbed:
    """A rendered line: landmarks in crop pixels (NaN: no face), mouths as pictures, and the
    performance that was asked for."""

    performance: Performance
    landmarks: Float[np.ndarray, "T 478 2"]
    pictures: UInt8[np.ndarray, "T 80 112 3"]

    @property
    def spoken(self) -> Bool[np.ndarray, " T"]:
        """Frames that show the line's mouth and nothing else, and a face."""
        seen = np.isfinite(self.landmarks).all((1, 2))
        return seen & self.performance.painted & (self.performance.share == 1)


def stages(actors: Path, footage: Path, work: Path) -> Iterator[Stage]:
    """Every actor of `benchmarks/six_clips.py` that lies in `actors`.

    Raises InputError for actors of another prior.
    """
    for case in CASES:
        for folder in sorted(actors.glob(f"{case.clip}.*.actor")):
            yield stage(case, folder, footage, work)


def stage(case: Case, folder: Path, footage: Path, work: Path) -> Stage:
    model = default_model()
    actor, prior = load_actor(folder)
    person = actor.person(model, prior)
    plate, learned = (Clip.open(footage / f"{name}.mp4") for name in (case.plate, case.clip))
    track = kept_track(work / "plates", plate, PLATES[case.plate], actor.identity)
    taught = kept_track(work / "learned", learned, case.learn, actor.identity)
    style = learn_style(learned, taught[: round(LEARNED_SECONDS * taught.fps)], model)
    track = track[: round(SHOWN_SECONDS * track.fps)]
    grades = plate_grades(model, person.identity, person.skin, plate, track)
    weights = hashlib.sha256((folder / "renderer.safetensors").read_bytes()).hexdigest()
    return Stage(case.clip, person, plate, track, grades, style.driver(), weights)


def kept_track(folder: Path, clip: Clip, frames: str, identity: Identity) -> Track:
    """The clip's track under the actor's own skin, made once."""
    path = folder / f"{clip.path.stem}.track"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shown = parse_range(frames, clip.fps, len(clip), clip.timecode)
        tracked(clip, shown, identity, Silent()).save(path)
    return Track.load(path)


def performed(stage: Stage, said: Said, sounds: tuple[Phoneme, ...] | None = None) -> Performance:
    """A line spoken on the stage, lips shut before and after it; closures by ear unless told."""
    return speaking(stage.track, said, stage.driver, Direction(silence="closed", sounds=sounds))


def silent(stage: Stage, audio: Audio, work: Path) -> Dubbed:
    """What the stage shows while nobody speaks in `audio`."""
    mouth = stage.driver.mouth(audio, stage.track.fps, len(stage.track))
    share = stage.track.valid.numpy().astype(float)
    return rendered(stage, Performance(mouth, mouth, share, tuple(stage.track.reasons())), work)


def rendered(stage: Stage, performance: Performance, work: Path) -> Dubbed:
    """The performance's lips, rendered once."""
    key = hashlib.sha256(stage.weights.encode() + performance.mouth.numpy().tobytes()).hexdigest()
    path = work / "dubs" / f"{stage.name}.{key[:16]}.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(path, DUB, lips_of(stage, performance), {})
    kept, _ = load_tensors(path, DUB)
    return Dubbed(performance, kept["landmarks"].numpy(), kept["pictures"].numpy())


def lips_of(stage: Stage, performance: Performance) -> dict[str, Tensor]:
    """Rendered, pasted into the plate, and looked at in the plate's face crops."""
    driven = driven_by(stage.track, performance)
    frames = reenacted(stage.person, stage.clip, driven, stage.grades)
    mesh = FaceMesh()
    landmarks, pictures = [], []
    for i, frame in enumerate(frames):
        crop = crop_image(frame.rgb, driven.crop(i))
        found = mesh.detect(crop)
        points = np.full((COUNT, 2), np.nan) if found is None else found[:, :2].astype(float)
        landmarks.append(points)
        pictures.append(mouth_picture(crop, points))
    mesh.close()
    stacked = np.stack(landmarks), np.stack(pictures)
    return dict(zip(("landmarks", "pictures"), map(torch.from_numpy, stacked), strict=True))


def mouth_picture(
    crop: UInt8[np.ndarray, "P P 3"], points: Float[np.ndarray, "478 2"]
) -> UInt8[np.ndarray, "80 112 3"]:
    """The lips and what is around them; black without a face."""
    if not np.isfinite(points).all():
        return np.zeros((MOUTH_HEIGHT, MOUTH_WIDTH, 3), np.uint8)
    middle = points[list(LIPS)].mean(0).astype(np.float32)
    return cv2.getRectSubPix(crop, (MOUTH_WIDTH, MOUTH_HEIGHT), middle.tolist())


def room_tone(seconds: float, rate: int) -> Audio:
    """Noise at −60 dBFS, in which nobody speaks."""
    random = np.random.default_rng(0)
    noise = 1e-3 * random.normal(size=(1, round(seconds * rate)))
    return Audio(noise.astype(np.float32), rate, Fraction(0))
