"""What the mouth does in every frame of a shot: the new line, the plate's own, or rest.

Head, eyes and brows stay the plate's. Where the new line is silent before its first and after its
last word, the direction decides: `original` leaves the plate's frames as they are, `closed` shuts
the mouth. Changes between the plate's mouth and the line's are ramped. Lips meet on m, b and p,
however strong the direction wants the rest.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import librosa
import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from core.errors import InputError
from dub.closures import Contact, brought_together, heard_contacts, told_contacts
from dub.direction import Direction
from face3d.track import Track
from media.audio import Audio
from prior.motion.expression import ExpressionModel, read_at
from prior.motion.generator import load_generator
from prior.sound.hearing import Hearings, hear_in_doubt

RAMP_FRAMES = 4
"""Frames over which the mouth passes between the plate's own and the line's (film practice)."""

LEAD_SECONDS = 0.12
"""Lips prepare a sound before it is heard, and rest after it: the spoken span grows by this."""

QUIET_DECIBELS = 40.0
"""Below the line's loudest part, sound counts as silence."""

FINE = 512
"""Samples at 16 kHz that loudness is taken over: 32 ms, less than a frame of film."""


@dataclass(frozen=True)
class Performance:
    """`mouth` to show and `intent` of the audio model [T M]; `share` [T] of the line in the mouth.

    Frames whose share is 0 are left as they are; `reason` says why, "" for frames to paint.
    """

    mouth: Float[Tensor, "T M"]
    intent: Float[Tensor, "T M"]
    share: Float[np.ndarray, " T"]
    reason: tuple[str, ...]

    @property
    def painted(self) -> Bool[np.ndarray, " T"]:
        return np.array([not reason for reason in self.reason])


@dataclass(frozen=True, eq=False)
class Said:
    """A line's sound and what is heard of it: once, however many takes of it are made."""

    audio: Audio

    @cached_property
    def heard(self) -> Hearings:
        return hear_in_doubt(self.audio)

    @cached_property
    def contacts(self) -> tuple[Contact, ...]:
        """Where lips are heard to meet."""
        return heard_contacts(self.heard)


def reenacting(track: Track) -> Performance:
    """The plate's own mouth, rendered anew: the renderer's ceiling."""
    own = track.motion.mouth
    valid = track.valid.numpy()
    reason = tuple(track.reasons())
    return Performance(own, own, valid.astype(float), reason)


def speaking(
    track: Track,
    said: Said,
    driver: ExpressionModel,
    direction: Direction,
    middles: Float[np.ndarray, " T"] | None = None,
) -> Performance:
    """The mouth of a line, which starts with the track's first frame.

    `middles`: when each frame is in the middle of being shown, in seconds after the first one's
    start, where that is not at an even rate. Raises InputError for speech in which nothing is
    heard.
    """
    fps = float(track.fps)
    times = (np.arange(len(track)) + 0.5) / fps if middles is None else middles
    # Mouths and contacts are made at an even rate, and read when the frames are shown.
    length = len(track) if middles is None else int(times[-1] * fps + 0.5) + 2
    told = direction.sounds
    contacts = said.contacts if told is None else told_contacts(told)
    strength = np.broadcast_to(direction.strength, len(track))
    strong = np.interp((np.arange(length) + 0.5) / fps, times, strength).astype(np.float32)
    line = torch.from_numpy(strong)[:, None] * taken(said, driver, track.fps, length, direction)
    intent = brought_together(line, contacts, fps, driver.manner)
    if middles is not None:
        intent = read_at(intent, torch.from_numpy((times * fps - 0.5).clip(0)))
    start, stop = spoken_span(said.audio)
    spoken = (times >= start - LEAD_SECONDS) & (times <= stop + LEAD_SECONDS)
    refused = reasons(track, direction)
    free = np.array([not reason for reason in refused])
    line = intent
    if direction.silence == "closed":
        line = intent * torch.from_numpy(ramped(spoken)).float()[:, None]  # 0 is the closed mouth
        share, reason = ramped(free), refused
    else:
        share = ramped(spoken & free)
        reason = tuple(
            why or ("" if part > 0 else "no speech")
            for why, part in zip(refused, share, strict=True)
        )
    weight = torch.from_numpy(share).float()[:, None]
    mouth = weight * line + (1 - weight) * track.motion.mouth
    return Performance(mouth, intent, share, reason)


def taken(
    said: Said, driver: ExpressionModel, fps: Fraction, count: int, direction: Direction
) -> Float[Tensor, "T M"]:
    """The line's mouth in the take that is asked for."""
    if direction.take == 1:
        return driver.mouth(said.heard, fps, count)
    seed = direction.seed + direction.take
    return load_generator().mouth(driver, said.heard, fps, count, direction.style, seed)


def reasons(track: Track, direction: Direction) -> tuple[str, ...]:
    """Why a frame stays the plate's whatever is said, "" for frames that may speak."""
    kept = np.zeros(len(track), bool) if direction.kept is None else direction.kept
    return tuple(
        why or ("kept" if keep else "") for why, keep in zip(track.reasons(), kept, strict=True)
    )


def ramped(active: Bool[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
    """1 well inside active runs, 0 outside, rising over `RAMP_FRAMES` inside them.

    A run that reaches the first or last frame does not ramp there: the shot is cut, not the line.
    """
    padded = np.concatenate([[active[0]] * RAMP_FRAMES, active, [active[-1]] * RAMP_FRAMES])
    if padded.all():
        return np.ones(len(active))
    distance = np.asarray(distance_transform_edt(padded), float)
    return (np.minimum(distance, RAMP_FRAMES) / RAMP_FRAMES)[RAMP_FRAMES:-RAMP_FRAMES]


def spoken_span(speech: Audio) -> tuple[float, float]:
    """Start and end of what is heard, seconds after the first frame.

    Raises InputError where all is silence.
    """
    heard = speech.mono16k()
    samples = heard.samples[0]
    if not len(samples) or float(np.abs(samples).max()) < 1e-4:
        raise InputError(
            "the speech is silent (peak below -80 dB); give a recording in which someone speaks."
        )
    _, (first, last) = librosa.effects.trim(
        samples, top_db=QUIET_DECIBELS, frame_length=FINE, hop_length=FINE // 4
    )
    begin = Fraction(heard.start)
    return float(begin + Fraction(int(first), heard.rate)), float(
        begin + Fraction(int(last), heard.rate)
    )
