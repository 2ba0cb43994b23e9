"""What the sections measure on: tracked people that no system was taught by, sound put in step."""

import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from core.progress import Reporter, reported
from core.serial import save_json
from face3d.landmarks import Landmarks
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from face3d.track import Track
from media.audio import Audio, load_audio
from media.clip import Clip
from prior.motion.alignment import Lag, estimate_lag
from prior.motion.expression import load_driver
from prior.sync.evidence import Offset
from prior.sync.judge import kept_landmarks, load_judge
from prior.training.speech_corpus import HELD_OUT, TRAIN, SpeechExample, load_examples

BELIEVED = 0.15
"""Margin of the judge below which an offset may be chance. It is believed all the same where the
regressor finds the same to a frame; else the sound counts as in step."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """A line, who says it, and by how many frames of the track its sound is late."""

    example: SpeechExample
    track: Track
    audio: Audio
    late_frames: float
    believed: bool

    @property
    def name(self) -> str:
        return self.example.sound.stem

    @property
    def person(self) -> str:
        return self.example.person

    @property
    def stranger(self) -> bool:
        """Nothing of this person was ever trained on."""
        return self.example.split != HELD_OUT

    @property
    def start_seconds(self) -> Fraction:
        """Where on the sound's clock the track's first frame begins."""
        return (Fraction(self.track.start) + Fraction(self.late_frames)) / self.track.fps

    @property
    def truth(self) -> Float[Tensor, "T M"]:
        return self.track.motion.mouth


@dataclass(frozen=True)
class Place:
    """A speech corpus with held-out and test examples, and a folder for what is worked out once.

    Rendered dubs need `actors` of `benchmarks/six_clips.py` and the `footage` they were made of.
    """

    corpus: Path
    work: Path
    reporter: Reporter
    actors: Path | None = None
    footage: Path | None = None

    @cached_property
    def examples(self) -> list[SpeechExample]:
        return load_examples(self.corpus)

    @cached_property
    def training(self) -> list[SpeechExample]:
        return [e for e in self.examples if e.split == TRAIN]

    @cached_property
    def lines(self) -> list[Spoken]:
        """Every example outside the training, its lag told by the judge."""
        unseen = [e for e in self.examples if e.split != TRAIN]
        watched = reported(unseen, self.reporter, "put sound in step", len(unseen))
        return [self._spoken(example) for example in watched]

    @property
    def strangers(self) -> list[Spoken]:
        return [line for line in self.lines if line.stranger]

    def landmarks(self, example: SpeechExample) -> Landmarks:
        """Landmarks of the example's whole video, detected once."""
        folder = self.work / "landmarks"
        folder.mkdir(parents=True, exist_ok=True)
        return kept_landmarks(
            Clip.open(example.sound), folder / f"{example.sound.stem}.safetensors"
        )

    def offset(self, example: SpeechExample) -> Offset:
        """What the judge says of the whole example, worked out once for each judge."""
        kept = self.work / "offsets" / f"{example.sound.stem}.json"
        judge = load_judge()
        key = judge.about.get("steps"), judge.about.get("seed"), judge.about.get("minutes")
        if kept.exists() and (document := json.loads(kept.read_text()))["judge"] == list(key):
            return Offset(**document["offset"])
        track, audio = Track.load(example.track), load_audio(example.sound, mono=True)
        found = judge.offset(self.landmarks(example).xy, track.fps, audio)
        save_json(kept, {"judge": key, "offset": vars(found)})
        return found

    def _spoken(self, example: SpeechExample) -> Spoken:
        track, audio = Track.load(example.track), load_audio(example.sound, mono=True)
        if example.split == HELD_OUT:
            return Spoken(example, track, audio, example.lag_frames, True)
        offset = self.offset(example)
        late = float(offset.seconds * track.fps)
        believed = offset.margin >= BELIEVED or abs(regressed_lag(track, audio).frames - late) <= 1
        return Spoken(example, track, audio, late if believed else 0.0, believed)


def regressed_lag(track: Track, audio: Audio) -> Lag:
    """By how many frames the shipped regressor finds the sound late."""
    start = Fraction(track.start) / track.fps
    mouths = load_driver().mouth(audio, track.fps, len(track), start), track.motion.mouth
    heard, seen = (mouth_opening(default_model(), mouth).numpy() for mouth in mouths)
    return estimate_lag(heard, seen, track.fps)


def still(line: Spoken) -> Float[Tensor, "T M"]:
    """The clip's own mean mouth, which no error should exceed."""
    return line.truth.mean(0).expand_as(line.truth)


def known(line: Spoken, mouth: Float[Tensor, "T M"]) -> Float[Tensor, "N M"]:
    """The frames that show a face."""
    return mouth[line.track.valid]
