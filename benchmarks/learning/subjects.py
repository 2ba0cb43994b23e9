"""People of the `test` split: what each is learned from, and the unseen seconds that judge."""

from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from core.progress import Silent
from face3d.track import Identity, Track
from face3d.tracker import track_clip
from media.clip import Clip

SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Footage that actors are learned from."""

ENOUGH = 0.85
"""A clip of this share of the seconds stands for them: 27 s for 30."""


@dataclass(frozen=True)
class Subject:
    """Learned from the beginning of `learn`, judged on `judge` (seconds) of `plate`."""

    name: str
    learn: str
    plate: str
    judge: tuple[float, float]


SUBJECTS = (
    Subject("cnn", "cnn_dfrf", "cnn_dfrf", (40.0, 43.0)),
    Subject("german", "german_mt", "german_mt", (16.4, 19.4)),
    Subject("obama", "obama_st2", "obama_st1", (0.0, 3.0)),
    Subject("andrew", "andrew_st2", "andrew_st1", (0.0, 3.0)),
    Subject("ads", "ads_selfie2", "ads_selfie2", (45.0, 48.0)),
    Subject("feifei", "feifei_st2", "feifei_st1", (0.0, 3.0)),
)


@dataclass(frozen=True)
class Library:
    """The footage, and where its tracks are kept: they are made once."""

    footage: Path
    work: Path

    def clip(self, name: str) -> Clip:
        """Raises InputError where the footage lacks the clip."""
        for path in (self.footage / f"{name}.mp4", self.footage / "clips" / f"{name}.mp4"):
            if path.exists():
                return Clip.open(path)
        raise InputError(f"{self.footage} holds no {name}.mp4; give the folder that does.")

    def learned(self, subject: Subject, seconds: float) -> tuple[Clip, Track] | None:
        """The first seconds of the footage, tracked; None where there are not as many."""
        clip = self.clip(subject.learn)
        frames = round(seconds * clip.fps)
        if frames > len(clip) and len(clip) < ENOUGH * frames:
            return None
        frames = min(frames, len(clip))
        if subject.learn == subject.plate and frames > round(subject.judge[0] * clip.fps):
            return None
        return clip, self._tracked(clip, range(frames), f"{subject.learn}.0-{frames}", None)

    def judged(self, subject: Subject, learned: Track) -> tuple[Clip, Track]:
        """The seconds that judge, tracked with the face that was learned."""
        clip = self.clip(subject.plate)
        first, stop = (round(edge * clip.fps) for edge in subject.judge)
        name = f"{subject.plate}.{first}-{stop}.as.{subject.learn}.0-{len(learned)}"
        return clip, self._tracked(clip, range(first, stop), name, learned.identity)

    def _tracked(self, clip: Clip, frames: range, name: str, face: Identity | None) -> Track:
        path = self.work / "tracks" / f"{name}.safetensors"
        if not path.exists():
            track_clip(clip, frames, identity=face, reporter=Silent()).save(path)
        return Track.load(path)
