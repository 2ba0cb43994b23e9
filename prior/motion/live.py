"""A live voice drives a mouth: samples in as they are spoken, mouths out in chunks of five frames.

    3 frames past | 5 new frames | 2 frames of look-ahead

The model is the offline one; it hears the last second and a half, and what is not yet spoken is
unknown to it, which it was trained for. Frames that were shown are shown: where a new chunk sees
its past otherwise than it was, the difference fades over the next frames (the smoothing is causal).
The room is learned from the last twenty seconds; the throat is told early on and then believed.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from core.errors import AssetError
from prior.motion.expression import CLOCK, ExpressionModel, read_at
from prior.sound.denoiser import PAST as DENOISED_PAST
from prior.sound.denoiser import cleanness, load_denoiser
from prior.sound.hearing import (
    SILENT,
    energies,
    filled_up,
    heard_block,
    heard_silence,
    room_of,
    sounding,
    told_apart,
    voiced,
)
from prior.sound.speech import FRAME_RATE, HOP, RATE, TRANSFORM, mel_decibels, speech_level
from prior.sound.throat import AVERAGE, throat_of

PAST, NEW, LOOK_AHEAD = 3, 5, 2
"""Frames of a chunk."""
HEARD_FRAMES = 3 * FRAME_RATE // 2
"""Heard frames that posteriors are found over."""
ROOM_FRAMES = 20 * FRAME_RATE
"""Heard frames that a room is learned from."""
REACH = 4
"""Emphasis and windows reach back: so many frames more are computed than are kept."""
THROAT_TOLD_AT = tuple(seconds * FRAME_RATE for seconds in (1, 2, 4, 8))
"""Heard frames after which the throat is told anew."""


@dataclass(frozen=True, eq=False)
class LiveHearing:
    """The last frames heard, from frame `first` of the voice on; before them silence, after them
    `unknown`."""

    values: Float[Tensor, "K D"]
    first: int
    unknown: Float[Tensor, "D"]

    def section(self, first: int, stop: int) -> Float[Tensor, "N D"]:
        first, stop = first - self.first, stop - self.first
        return filled_up(self.values, first, stop, heard_silence(), self.unknown[None])


class LiveMouth:
    """One voice being listened to. State: the sound's end, what was heard of it, frames shown."""

    def __init__(self, model: ExpressionModel, fps: Fraction) -> None:
        if model.encoder:
            raise AssetError(
                "The speech model in use hears through an encoder that needs whole lines, and a "
                "live voice has none; unset REDUB_WEIGHTS to speak live."
            )
        self.model, self.fps = model, fps
        self.samples = np.zeros(0, np.float32)
        self.dropped = 0
        """Samples, a multiple of HOP, that are no longer needed."""
        self.mixed = np.zeros((0, 80), np.float32)
        """Mel bands with all that is in them."""
        self.sound = SILENT
        self.kept = self.taken = 0.0
        """Energies of the speech so far and of what was heard beside it."""
        self.throat = AVERAGE
        self.heard = 0
        """Frames heard since the voice began; `mixed` and `sound` hold the last of them."""
        self.shown = 0
        self.last: Tensor | None = None

    def listen(self, samples: Float32[np.ndarray, " N"]) -> Float[Tensor, "T M"]:
        """Takes the next samples (16 kHz); returns the mouths of frames that are now due.

        A chunk is due when its last new frame and the look-ahead have been heard.
        """
        self.samples = np.concatenate([self.samples, samples])
        chunks = []
        while self._ends_at(self.shown + NEW + LOOK_AHEAD) <= self.dropped + len(self.samples):
            chunks.append(self._chunk())
        return torch.cat(chunks) if chunks else torch.zeros(0, self.model.network.shape.mouth)

    def _ends_at(self, frame: int) -> int:
        """Samples that are over when `frame` begins."""
        return -(-frame * RATE * self.fps.denominator // self.fps.numerator)

    def _chunk(self) -> Float[Tensor, "5 M"]:
        end = self._ends_at(self.shown + NEW + LOOK_AHEAD)
        self._hear(end)
        first = max(self.shown - PAST, 0)
        mouth = self._mouths(first, self.shown + NEW)
        past, new = mouth[: self.shown - first], mouth[self.shown - first :]
        if self.last is not None:
            fading = 1 - (torch.arange(NEW) + 1) / (PAST + 1)
            new = new + fading.clamp_min(0)[:, None] * (self.last - past[-1])
        self.shown, self.last = self.shown + NEW, new[-1]
        return new

    def _hear(self, end: int) -> None:
        """Mel frames and cepstra whose windows are over by sample `end`, and forget old sound."""
        stop = (end - TRANSFORM // 2) // HOP + 1
        if any(self.heard < told <= stop for told in THROAT_TOLD_AT):
            self._tell_throat()
        begin = max(self.heard - REACH, 0)
        early = max(begin - DENOISED_PAST, 0)
        around = self.samples[early * HOP - self.dropped : end - self.dropped]
        sound = around[(begin - early) * HOP :]
        kept = slice(self.heard - begin, stop - begin)
        self.mixed = np.concatenate([self.mixed, mel_decibels(sound)[kept]])[-ROOM_FRAMES:]
        speech = load_denoiser()(around, speech_level(self.mixed))[(begin - early) * HOP :]
        new = slice(kept.start * HOP, kept.stop * HOP)
        more = energies(speech[new], sound[new])
        self.kept, self.taken = self.kept + more[0], self.taken + more[1]
        parts = told_apart(speech, sound, cleanness(self.kept, self.taken))
        fresh = sounding(*parts, self.throat)[kept]
        self.sound = self.sound.then(fresh)[-ROOM_FRAMES:]
        self.heard = stop
        old = max(self.heard - ROOM_FRAMES - REACH, 0) * HOP - self.dropped
        self.samples, self.dropped = self.samples[old:], self.dropped + old

    def _tell_throat(self) -> None:
        """From all that was heard, which is then heard anew; none of it has been forgotten yet."""
        sound = self.samples[: self.heard * HOP + TRANSFORM // 2]
        clean = cleanness(self.kept, self.taken)
        _, voice = told_apart(load_denoiser()(sound), sound, clean)
        throat = throat_of(voice, voiced(self.sound.speech))
        if throat != self.throat:
            self.throat, self.heard = throat, 0
            self.kept = self.taken = 0.0
            self.mixed, self.sound = self.mixed[:0], SILENT

    def _mouths(self, first: int, stop: int) -> Float[Tensor, "T M"]:
        """Mouths of frames, each at its middle, from what is heard by now."""
        last = self.sound[-HEARD_FRAMES:]
        values = heard_block(last, room_of(self.sound, self.throat))
        unknown = self.model.network.unknown
        hearing = LiveHearing(torch.from_numpy(values), self.heard - len(last), unknown)
        moments = [(frame + Fraction(1, 2)) / self.fps * CLOCK for frame in range(first, stop)]
        begin = moments[0].__floor__()
        with torch.no_grad():
            clock = self.model.on_clock(hearing, begin, moments[-1].__floor__() + 2)
            outputs = torch.cat(list(clock))
        place = torch.tensor([float(m - begin) for m in moments], dtype=torch.float64)
        return self.model.manner(read_at(outputs, place))
