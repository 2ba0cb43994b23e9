"""What a director asks of a dub: how strong, what in silence, which frames stay the plate's own."""

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from core.errors import InputError, UsageError
from media.audio import Audio
from media.timeline import frames_of_timecode, parse_range
from prior.sound.phonemes import Phoneme, align

Silence = Literal["original", "closed"]

WIDEST = 3.0
"""Strengths go from 0, a closed mouth, to this."""


@dataclass(frozen=True, eq=False)
class Direction:
    """`strength` multiplies the line's mouth, over all frames or in each; frames that are `kept`
    show the plate's own. Before its first and after its last word `silence` rules. Take 1 is what
    is expected of the line; the others are drawn, each by its own number and `seed`, in the `style`
    of someone (see `prior.motion.generator.style_of`) or of the average person. `sounds` are the
    line's, timed from the first frame on; without them closures are listened for."""

    strength: float | Float[np.ndarray, " T"] = 1.0
    silence: Silence = "original"
    kept: Bool[np.ndarray, " T"] | None = None
    take: int = 1
    seed: int = 0
    style: Float[Tensor, "S"] | None = None
    sounds: tuple[Phoneme, ...] | None = None


def kept_frames(
    ranges: tuple[str, ...],
    fps: Fraction,
    clip_frames: int,
    timecode: str | None,
    shown: range,
) -> Bool[np.ndarray, " T"]:
    """Which of the frames `shown` lie in one of the ranges, which are written as --range is."""
    kept = np.zeros(clip_frames, bool)
    for text in ranges:
        named = parse_range(text, fps, clip_frames, timecode)
        kept[named.start : named.stop] = True
    return kept[shown.start : shown.stop]


def strength_of(
    text: str, fps: Fraction, timecode: str | None, shown: range
) -> float | Float[np.ndarray, " T"]:
    """A number, or the values of a curve file at the middles of the frames `shown`.

    A curve file has a moment and a strength in each line, `1.5s 0.8`; moments are seconds, frames
    or timecodes (`tc:01:00:00:00`) of the plate. Strengths change linearly from one moment to the
    next and are held before the first and after the last. Raises UsageError for a value out of
    range, InputError for a file that is no curve.
    """
    try:
        return _allowed(float(text), f"--strength {text}")
    except ValueError:
        pass
    moments, values = [], []
    for number, line in _lines(
        Path(text), "--strength", "a number", "write 0.8, or a file with lines like 1.5s 0.8."
    ):
        try:
            moment, value = line.replace(",", " ").split()
            moments.append(_frame(moment, fps, timecode))
            strength = float(value)
        except ValueError as error:
            raise InputError(
                f"{text} line {number} is {line!r} and a strength curve has a moment and a "
                "strength in each line; write it like 1.5s 0.8."
            ) from error
        values.append(_allowed(strength, f"{text} line {number}: {value}"))
    if not moments or np.any(np.diff(moments) <= 0):
        raise InputError(
            f"{text} has {len(moments)} moments and a strength curve needs one or more, each later "
            "than the one before; sort its lines."
        )
    middles = np.arange(shown.start, shown.stop) + 0.5
    return np.interp(middles, moments, values)


def sounds_of(text: str, speech: Audio) -> tuple[Phoneme, ...]:
    """When each sound of the line is spoken, seconds after the first frame.

    `text` is what is said, in English, or a file with start, end and sound in each line
    (`0.12s 0.20s m`), ARPABET or IPA. Raises InputError for words that the sound does not fit and
    for a file that is no list of sounds.
    """
    path = Path(text)
    if not names_a_file(text):
        return align(speech, text).phonemes
    sounds = []
    for number, line in _lines(
        path, "--words", "a text", "give the words, or lines like 0.12s 0.20s m."
    ):
        try:
            start, end, symbol = line.split()
            sound = Phoneme(symbol, float(start.rstrip("s")), float(end.rstrip("s")))
        except ValueError as error:
            raise InputError(
                f"{text} line {number} is {line!r} and a list of sounds has start, end and sound "
                "in each line; write it like 0.12s 0.20s m."
            ) from error
        sounds.append(sound)
    return tuple(sounds)


def names_a_file(text: str) -> bool:
    """Whether a text of the command line is the path of a file rather than what it says itself."""
    return bool(Path(text).suffix) and os.path.isfile(text)  # Path's raises for a long sentence


def _lines(path: Path, named: str, what: str, remedy: str) -> list[tuple[int, str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{named} {path} is neither {what} nor a file that can be read ({error}); {remedy}"
        ) from error
    bare = ((number, line.split("#")[0].strip()) for number, line in enumerate(lines, 1))
    return [(number, line) for number, line in bare if line]


def _frame(moment: str, fps: Fraction, timecode: str | None) -> float:
    """A moment in frames of the plate."""
    if moment.startswith("tc:"):
        origin = frames_of_timecode(timecode, fps) if timecode else 0
        return float(frames_of_timecode(moment[3:], fps) - origin)
    return float(Fraction(moment[:-1]) * fps) if moment.endswith("s") else float(moment)


def _allowed(strength: float, name: str) -> float:
    if not 0 <= strength <= WIDEST:
        raise UsageError(f"{name} is not between 0 and {WIDEST:g}; 1 is natural.")
    return strength
