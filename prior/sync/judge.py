"""The judge that reports: are these lips, seen in a picture, in sync with this sound?

It shares no input with the expert that trains: phones of another's acoustic model instead of mel
bands, landmarks detected afresh instead of tracked coefficients; and it learned from the other half
of who has spoken for long, from another seed, with smaller towers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.progress import Reporter, reported
from core.serial import Schema, load_tensors, save_tensors
from face3d.landmarks import Landmarks, detect_landmarks
from media.audio import Audio, load_audio
from media.clip import Clip
from prior.motion.lip_shapes import MEASURES, lip_changes
from prior.sound.phones import PHONES, phone_scores
from prior.sound.speech import speech_features
from prior.sync.evidence import (
    CLOCK,
    HOP,
    REACH,
    Offset,
    SyncClip,
    SyncNetwork,
    Tower,
    Windows,
    find_offset,
)
from prior.training.speech_corpus import SpeechExample
from prior.weights import in_use, load_network, save_network

SCHEMA = Schema("sync-judge", 1)
LANDMARKS = Schema("landmarks", 1)

TEMPER = 0.1
"""Scores of single frames are too sure of themselves by about this factor."""
TEMPERS = (0.6, 1.6)
LOUDNESS_NOISE, SCORE_NOISE, LIP_GAIN, LIP_NOISE = 0.2, 0.1, 0.2, 0.15
UNHEARD_SHARE = 0.1
"""Share of phones that a training window does without."""


@dataclass(frozen=True)
class JudgeShape:
    """Sizes of the towers."""

    width: int = 48
    code: int = 24
    dropout: float = 0.2


class JudgeNetwork(SyncNetwork):
    """Towers over phone scores with loudness, and over `lip_shapes.MEASURES`."""

    def __init__(self, shape: JudgeShape) -> None:
        super().__init__()
        self.shape = shape
        sizes = shape.width, shape.code, shape.dropout
        self.sound = Tower(len(PHONES) + 1, HOP, (1, 2, 4), *sizes)
        self.lips = Tower(len(MEASURES), 1, (1, 2, 4), *sizes)

    def hear(self, sound: Float[Tensor, "B K 43"]) -> Float[Tensor, "B T D"]:
        posterior = (TEMPER * sound[..., :-1]).log_softmax(-1)
        return self.sound(torch.cat([(posterior + 3).clamp(-2, 3), sound[..., -1:]], -1))

    def see(self, lips: Float[Tensor, "B T L"]) -> Float[Tensor, "B T D"]:
        return self.lips(lips)

    def vary(self, windows: Windows, random: np.random.Generator) -> Windows:
        """Surer and less sure ears that miss some phones; larger, smaller and noisier lips."""
        count, _, phones = windows.sound.shape
        phones -= 1
        temper = torch.from_numpy(random.uniform(*TEMPERS, (count, 1, 1))).float()
        missed = torch.from_numpy(random.random((count, 1, phones)) < UNHEARD_SHARE)
        scores = temper * windows.sound[..., :-1]
        scores = scores + normal(random, SCORE_NOISE / TEMPER, scores.shape)
        scores = torch.where(missed, scores.mean(-1, keepdim=True), scores)
        loudness = windows.sound[..., -1:] + normal(random, LOUDNESS_NOISE, (count, 1, 1))
        gain = normal(random, LIP_GAIN, (count, 1, windows.lips.shape[2])).exp()
        lips = windows.lips * gain + normal(random, LIP_NOISE, windows.lips.shape)
        return Windows(torch.cat([scores, loudness], -1), lips, windows.known)


def normal(
    random: np.random.Generator, deviation: float, shape: Sequence[int]
) -> Float[Tensor, "..."]:
    return torch.from_numpy(random.normal(0, deviation, tuple(shape))).float()


def judge_sound(audio: Audio) -> Float[Tensor, "K 43"]:
    """Scores of all phones and the loudness in units of 20 dB below the line's speech level."""
    mel = speech_features(audio).mel
    loudness = torch.log10((100.0**mel).sum(1, keepdim=True)) / 2
    return torch.cat([phone_scores(audio), loudness], 1)


def judge_clip(
    xy: Float[np.ndarray, "T 478 2"], fps: Fraction, audio: Audio, person: str = "",
    lag_frames: float = 0.0,
) -> SyncClip:  # fmt: skip
    """Lips and sound on one clock, which begins with the sound.

    Frame i shows the lips at its middle, (i + ½ + `lag_frames`) / fps after picture 0 of the clock
    that `audio.start` counts on. Frames without a face are NaN.
    """
    changes, known = lip_changes(xy, fps)
    seen = (np.arange(len(xy)) + 0.5 + lag_frames) / float(fps) - float(audio.start)
    sound = judge_sound(audio)
    moments = len(sound) // HOP
    clock = np.arange(moments) / CLOCK
    lips = np.stack([np.interp(clock, seen, column) for column in changes.T], 1)
    sure = np.interp(clock, seen, known.astype(float), left=0, right=0) > 0.99
    return SyncClip(
        sound[: HOP * moments], torch.from_numpy(lips).float(), torch.from_numpy(sure), person
    )


def judge_clips(
    examples: Sequence[SpeechExample], folder: Path, reporter: Reporter
) -> list[SyncClip]:
    """The examples' videos as the judge takes them; landmarks are kept in `folder`.

    Raises InputError for a video that cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for example in reported(examples, reporter, "look at the corpus", len(examples)):
        clip = Clip.open(example.sound)
        landmarks = kept_landmarks(clip, folder / f"{example.sound.stem}.safetensors")
        audio = load_audio(example.sound, mono=True)
        clips.append(judge_clip(landmarks.xy, clip.fps, audio, example.person, example.lag_frames))
    return clips


def kept_landmarks(clip: Clip, path: Path) -> Landmarks:
    """Landmarks of a whole clip, detected once and kept in `path`."""
    if not path.exists():
        found = detect_landmarks(frame.rgb for frame in clip.frames())
        tensors = {name: torch.from_numpy(value) for name, value in vars(found).items()}
        save_tensors(path, LANDMARKS, tensors, {"clip": clip.path.name})
    tensors, _ = load_tensors(path, LANDMARKS)
    return Landmarks(**{name: value.numpy() for name, value in tensors.items()})


@dataclass(frozen=True, eq=False)
class SyncJudge:
    """The trained network, frozen."""

    network: JudgeNetwork
    about: dict[str, Any]

    def offset(
        self, xy: Float[np.ndarray, "T 478 2"], fps: Fraction, audio: Audio, reach: int = REACH
    ) -> Offset:
        """How late a sound is whose `start` counts from the first of the frames."""
        return find_offset(self.network, judge_clip(xy, fps, audio), reach)

    def save(self, path: Path) -> None:
        save_network(path, SCHEMA, self.network, self.network.shape, self.about)

    @staticmethod
    def load(path: Path) -> "SyncJudge":
        """Raises InputError for a file that is not a sync judge of this schema."""
        return SyncJudge(*load_network(path, SCHEMA, lambda **s: JudgeNetwork(JudgeShape(**s))))


@cache
def load_judge() -> SyncJudge:
    """The judge in use (`weights.in_use`). Raises AssetError where it is missing or damaged."""
    return in_use("sync_judge.safetensors", SyncJudge.load)
