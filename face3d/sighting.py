"""What a detector sees of one person in a run of frames, in one pass over the clip."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from core.ahead import ahead
from core.errors import InputError
from core.progress import Reporter, Silent, reported
from face3d.evidence import Evidence, Examiner
from face3d.follower import Follower
from face3d.landmarks import COUNT, Landmarks
from face3d.likeness import (
    SAME_PERSON_MILLIMETRES,
    STRANGE_MILLIMETRES,
    Likeness,
    likeness,
    unlikeness,
)
from media.clip import Clip
from media.frame import Frame
from media.shots import find_cuts

MANY_FRAMES = 5
"""Frames from which on a face's median shape is better known than a single frame's."""


@dataclass(frozen=True)
class Sighting:
    """Landmarks of frames `start` to `start + T` of a clip; `cuts` count from `start`.

    Landmarks that come from elsewhere bring no evidence of their own.
    """

    start: int
    landmarks: Landmarks
    cuts: tuple[int, ...] = ()
    evidence: Evidence | None = None

    def __len__(self) -> int:
        return len(self.landmarks)

    def shots(self) -> list[slice]:
        return shots_of(self.cuts, len(self))


def shots_of(cuts: tuple[int, ...], frames: int) -> list[slice]:
    """Runs of frames between cuts."""
    return [slice(first, stop) for first, stop in pairwise([0, *cuts, frames])]


def sight(
    clip: Clip, frames: range, reporter: Reporter | None = None, known: Likeness | None = None
) -> Sighting:
    """Find a person in `frames` of a clip: the `known` one, or whoever is seen most and largest.

    Raises InputError where no frame shows a face.
    """
    xy = np.full((len(frames), COUNT, 2), np.nan, np.float32)
    depth = np.full((len(frames), COUNT), np.nan, np.float16)  # a thousandth of the face is enough
    with closing(Follower(known)) as follower, closing(Examiner(len(frames))) as examiner:

        def followed() -> Generator[tuple[Frame, np.ndarray | None]]:
            with closing(ahead(clip.frames(frames))) as decoded:
                for frame in decoded:
                    yield frame, follower.follow(frame)

        def watched() -> Generator[Frame]:
            for index, (frame, points) in enumerate(stream):
                if points is not None:
                    xy[index], depth[index] = points[:, :2], points[:, 2]
                examiner.examine(frame, points)
                yield frame

        # One decoding serves all: the search for cuts pulls the frames past the two detectors.
        with closing(ahead(followed())) as stream:
            counted = reported(watched(), reporter or Silent(), "find the face", len(frames))
            cuts = tuple(cut - frames.start for cut in find_cuts(clip, counted))
        evidence = examiner.evidence(shots_of(cuts, len(frames)))
    found = Sighting(frames.start, Landmarks(xy, depth), cuts, evidence)
    if not found.landmarks.found.any():
        raise InputError(
            f"{clip.path} shows no face in {len(frames)} frames; "
            "give a range in which the actor's face is seen."
        )
    return without_strangers(found, known)


def without_strangers(seen: Sighting, known: Likeness | None = None) -> Sighting:
    """The sighting with nobody found in shots that show another person.

    The person is who looks most like the `known` face; without one, whoever fills most of the
    picture for most of the time.
    """
    shots = [shot for shot in seen.shots() if seen.landmarks[shot].found.any()]
    looks = [likeness(seen.landmarks[shot]) for shot in shots]
    if known is None:
        right = np.argmax([_presence(seen.landmarks[shot]) for shot in shots])
    else:
        right = np.argmin([unlikeness(look, known) for look in looks])
    strangers = np.zeros(len(seen), bool)
    for shot, look in zip(shots, looks, strict=True):
        many = seen.landmarks[shot].found.sum() >= MANY_FRAMES
        limit = SAME_PERSON_MILLIMETRES if many else STRANGE_MILLIMETRES
        if unlikeness(look, looks[int(right)]) > limit:
            strangers[shot] = True
    if not strangers.any():
        return seen
    xy = np.where(strangers[:, None, None], np.nan, seen.landmarks.xy)
    depth = np.where(strangers[:, None], np.nan, seen.landmarks.depth)
    return replace(seen, landmarks=Landmarks(xy, depth))


def _presence(landmarks: Landmarks) -> float:
    """Frames times the face's height in pixels."""
    y = landmarks.xy[..., 1]
    return float(np.nansum(y.max(1) - y.min(1)))
