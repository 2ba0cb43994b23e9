"""The clips that an actor is learned from, and their windows brought together.

The first take rules: its light and grade are the actor's, and its last frames judge what was
learned. Further takes are learned from whole, in the first one's grade.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from core.errors import UsageError
from face3d.morphable import MorphableModel
from face3d.track import Motion, Track
from face3d.view import look
from media.clip import Clip
from media.timeline import parse_range
from prior.painting.grade import Grade, fitted_grade
from prior.painting.skin import Skin, normal_chart, skin_of
from prior.training.corpus import MARGIN, Windows, gather_windows

APART_FRAMES = 1000
"""Between the frame numbers of two takes: none is another's neighbour in time."""


@dataclass(frozen=True)
class Take:
    """Some frames of a clip that shows the actor."""

    clip: Clip
    frames: range

    @property
    def seconds(self) -> float:
        return len(self.frames) / float(self.clip.fps)

    def facts(self) -> dict[str, object]:
        return {
            "clip": self.clip.path.name,
            "range": [self.frames.start, self.frames.stop],
            "fps": str(self.clip.fps),
            "seconds": round(self.seconds, 3),
        }


def parse_takes(actors: Sequence[str], span: str | None) -> tuple[Take, ...]:
    """Takes named `CLIP` or `CLIP@A:B`; `span` is the range of the one clip that has none.

    A file whose own name holds an `@` is taken for what it is. Raises UsageError for ranges that
    make no sense, InputError for what is no clip.
    """
    named = [_named(actor) for actor in actors]
    if span is not None and (len(named) > 1 or named[0][1] is not None):
        raise UsageError(
            f"--range {span} cannot tell which --actor it means; write each clip's own range "
            "behind it, as in --actor a.mp4@0s:4s."
        )
    takes = []
    for path, own in named:
        clip = Clip.open(path)
        frames = parse_range(own or span, clip.fps, len(clip), clip.timecode)
        takes.append(Take(clip, frames))
    return tuple(takes)


def _named(actor: str) -> tuple[Path, str | None]:
    path, at, span = actor.rpartition("@")
    if not at or Path(actor).exists():
        return Path(actor), None
    return Path(path), span


def gathered(
    takes: Sequence[Take],
    tracks: Sequence[Track],
    model: MorphableModel,
    frames: Sequence[np.ndarray],
    light: Skin | None = None,
    scale: int = 1,
) -> Windows:
    """Windows, with their margin, of each take's `frames` [N], all in the first take's grade, or in
    that of the skin `light`; cut from crops so many times as fine as the tracks'."""
    parts = []
    grades, firsts = grades_of(takes, tracks, model, light), first_numbers(takes)
    for take, track, wanted, grade, first in zip(
        takes, tracks, frames, grades, firsts, strict=True
    ):
        windows = gather_windows(
            take.clip, track, model, wanted, scale * MARGIN, closely=True, scale=scale
        )
        if grade is not None:
            windows = regraded(windows, model, grade)
        parts.append(replace(windows, frame=windows.frame + first))
    return joined(parts)


def first_numbers(takes: Sequence[Take]) -> list[int]:
    """What each take's frames are counted from, so that no two takes' frames are neighbours."""
    lengths = [len(take.clip) + APART_FRAMES for take in takes]
    return [sum(lengths[:index]) for index in range(len(takes))]


def grades_of(
    takes: Sequence[Take],
    tracks: Sequence[Track],
    model: MorphableModel,
    light: Skin | None = None,
) -> list[Grade | None]:
    """What turns the skin of the first take, or `light`, into each take's; None where they look
    alike."""
    if light is None and len(takes) == 1:
        return [None]
    skins = [
        skin_of(model, take.clip, track, np.flatnonzero(track.valid.numpy()), hidden=False)
        for take, track in zip(takes, tracks, strict=True)
    ]
    normals = normal_chart(model, tracks[0].identity)
    if light is None:
        return [None, *(fitted_grade(skins[0], skin, normals) for skin in skins[1:])]
    return [fitted_grade(light, skin, normals) for skin in skins]


def regraded(windows: Windows, model: MorphableModel, grade: Grade) -> Windows:
    """Windows of a plate in the grade of the actor."""
    images = []
    for i in range(len(windows)):
        seen = look(model, windows.identity, windows.motion[i : i + 1], windows.camera(i))
        colours = windows.images[i : i + 1].float() / 127.5 - 1
        coded = (grade.to_actor(colours, seen.uv).clamp(-1, 1) + 1) * 127.5
        images.append(coded.round().to(torch.uint8))
    return replace(windows, images=torch.cat(images))


def joined(parts: Sequence[Windows]) -> Windows:
    """Windows of one person as one run of them."""
    motions = zip(*(vars(part.motion).values() for part in parts), strict=True)
    return Windows(
        torch.cat([part.images for part in parts]),
        torch.cat([part.corner for part in parts]),
        torch.cat([part.frame for part in parts]),
        Motion(*(torch.cat(column) for column in motions)),
        parts[0].identity,
        tuple(camera for part in parts for camera in part.crop_cameras),
        tuple(one for part in parts for one in part.close_ups or (None,) * len(part)),
        parts[0].scale,
    )
