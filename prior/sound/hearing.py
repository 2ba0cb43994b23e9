"""Speech as the speech model hears it: which sound, how surely, and how it is coloured.

Per frame, 100 a second: the logarithm of each phone state's posterior (126), what the frame alone
says about each phone (42), and how loud it is in 40 bands. The first two hardly depend on who
speaks; the last knows how openly a vowel is said. Where music or other voices are heard beside the
speech they are turned down first, and taken out where nobody speaks. What a recording has in all of
its frames, its level, its mean cepstrum and the speaker's throat, is a `Room` and is taken out,
too. The throat is told with doubt: see `Hearings`.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from scipy.special import log_softmax, logsumexp
from torch import Tensor

from media.audio import Audio
from prior.sound.acoustics import SILENCE, TRUST, cepstra, load_acoustics
from prior.sound.denoiser import cleanness, load_denoiser
from prior.sound.phones import PHONES, STATES
from prior.sound.speech import (
    AUDIBLE_DBFS,
    BANDS,
    DECIBELS_A_UNIT,
    FLOOR_DECIBELS,
    FRAME_RATE,
    loudness,
    mel_decibels,
    speech_level,
)
from prior.sound.throat import AVERAGE, DOUBTS, throat_of

STATE_COUNT = STATES * len(PHONES)
LOUDNESS_BANDS = BANDS // 2
"""Mel bands are taken in pairs."""
STATES_AT, PHONES_AT, LOUDNESS_AT = (
    slice(0, STATE_COUNT),
    slice(STATE_COUNT, STATE_COUNT + len(PHONES)),
    slice(STATE_COUNT + len(PHONES), STATE_COUNT + len(PHONES) + LOUDNESS_BANDS),
)
"""Columns of posteriors, of single frames' phones, and of loudness in units of 20 dB."""
WIDTH = LOUDNESS_AT.stop

LEAST_POSTERIOR = 1e-3
LEAST_FRAME_NATS = -10.0
"""What is less likely than this is not heard at all."""
SPOKEN_DECIBELS = 30.0
"""Frames less than this below the speech level tell of the microphone and the room."""
VOICED_DECIBELS = 20.0
"""Frames less than this below the speech level tell of the throat."""
QUIET_DECIBELS, QUIET_NATS_A_DECIBEL = 38.0, 1.0
"""From so far below the speech level on, each decibel speaks against every phone but silence."""
INAUDIBLE = 1000.0
"""Decibels that speak against every phone in what is no sound at all."""
BACKGROUND = 0.3
"""Share of what is no speech that a voice is heard with: phones' mixtures were taught by voices in
rooms, and hear phones that nobody says in gaps that are emptier."""
HANDED_ON_FRAMES = 20 * FRAME_RATE
"""Posteriors of a long line are found in blocks of this many frames, with a second around each."""


@dataclass(frozen=True, eq=False)
class Room:
    """Speech level in dB as `speech_level` has it, the mean cepstrum of what is spoken, and how
    short the speaker's throat is (see `throat`)."""

    level: float
    cepstrum: Float[np.ndarray, " 13"]
    throat: float = AVERAGE


@dataclass(frozen=True, eq=False)
class Sounding:
    """Frames of a sound, 100 a second: mel bands of the speech alone and of the voice with some of
    its background, in dB, and the voice's cepstra."""

    speech: Float32[np.ndarray, "K 80"]
    voice: Float32[np.ndarray, "K 80"]
    cepstra: Float[np.ndarray, "K 13"]

    def __len__(self) -> int:
        return len(self.speech)

    def __getitem__(self, part: slice) -> "Sounding":
        return Sounding(self.speech[part], self.voice[part], self.cepstra[part])

    def then(self, after: "Sounding") -> "Sounding":
        """This sound and what follows it."""
        pairs = zip(vars(self).values(), vars(after).values(), strict=True)
        return Sounding(*(np.concatenate(pair) for pair in pairs))


SILENT = Sounding(np.zeros((0, 80), np.float32), np.zeros((0, 80), np.float32), np.zeros((0, 13)))
"""No frame at all."""


@runtime_checkable
class Heard(Protocol):
    """Frames that can be asked for, 100 a second, wherever they come from."""

    def section(self, first: int, stop: int) -> Float[Tensor, "N D"]: ...


@dataclass(frozen=True, eq=False)
class Hearing:
    """What is heard; frame k `start` + k / 100 seconds after picture 0."""

    values: Float[Tensor, "K 208"]
    start: Fraction

    def __len__(self) -> int:
        return len(self.values)

    def section(self, first: int, stop: int) -> Float[Tensor, "N 208"]:
        """Frames `first` to `stop`, either of which may lie outside the sound: silence there."""
        return filled_up(self.values, first, stop, heard_silence(), heard_silence())


def filled_up(
    values: Float[Tensor, "K D"],
    first: int,
    stop: int,
    before: Float[Tensor, "1 D"],
    after: Float[Tensor, "1 D"],
) -> Float[Tensor, "N D"]:
    """Rows `first` to `stop`, either of which may lie outside of those that there are."""
    lacking = min(max(-first, 0), stop - first)
    inside = values[max(first, 0) : max(stop, 0)]
    beyond = stop - first - lacking - len(inside)
    return torch.cat([before.expand(lacking, -1), inside, after.expand(beyond, -1)])


@dataclass(frozen=True, eq=False)
class Hearings:
    """A line as it is heard if its throat were shorter than told, and longer (`throat.DOUBTS`).

    Whoever understands a line understands it better on average over both than as told: a told
    throat may be wrong, and what depends on it is not to be trusted.
    """

    each: tuple[Hearing, ...]
    line: Audio

    @property
    def start(self) -> Fraction:
        return self.each[0].start

    def __len__(self) -> int:
        return len(self.each[0])


def hear(audio: Audio, room: Room | None = None) -> Hearing:
    """What is heard in a line. Its own room is taken out unless one is given."""
    speech, voice = spoken(audio)
    throat = room.throat if room else throat_of(voice, voiced(mel_decibels(speech)))
    return Hearing(heard_with(speech, voice, throat, room), audio.start)


def hear_in_doubt(line: Audio | Hearings) -> Hearings:
    """What is heard in a line, or was heard in it before; its own room is taken out."""
    if isinstance(line, Hearings):
        return line
    speech, voice = spoken(line)
    throat = throat_of(voice, voiced(mel_decibels(speech)))
    heard = (heard_with(speech, voice, factor * throat) for factor in DOUBTS)
    return Hearings(tuple(Hearing(values, line.start) for values in heard), line)


def spoken(audio: Audio) -> tuple[Float32[np.ndarray, " N"], Float32[np.ndarray, " N"]]:
    """Samples at 16 kHz of the speech alone, and of the voice as phones are heard in it."""
    samples = audio.mono16k().samples[0]
    speech = load_denoiser()(samples)
    return told_apart(speech, samples, cleanness(*energies(speech, samples)))


def heard_with(
    speech: Float32[np.ndarray, " N"],
    voice: Float32[np.ndarray, " N"],
    throat: float,
    room: Room | None = None,
) -> Float[Tensor, "K 208"]:
    """What is heard of a voice with this throat."""
    sound = sounding(speech, voice, throat)
    room = room or room_of(sound, throat)
    values = [heard_block(sound[part], room)[kept] for part, kept in _blocks(len(sound))]
    return torch.from_numpy(np.concatenate(values))


def energies(
    speech: Float32[np.ndarray, " N"], samples: Float32[np.ndarray, " N"]
) -> tuple[float, float]:
    """Of the speech, and of what was taken out of the samples."""
    return float(np.square(speech).sum()), float(np.square(samples - speech).sum())


def told_apart(
    speech: Float32[np.ndarray, " N"], samples: Float32[np.ndarray, " N"], clean: float
) -> tuple[Float32[np.ndarray, " N"], Float32[np.ndarray, " N"]]:
    """Speech alone, and the voice as phones are heard in it, with some of its background; both as
    they were recorded where that is `clean`: networks and mixtures were taught by recordings."""
    alone = (1 - clean) * speech + clean * samples
    return alone, (1 - BACKGROUND) * alone + BACKGROUND * samples


def voiced(mel: Float32[np.ndarray, "K 80"]) -> Bool[np.ndarray, " K"]:
    """Frames that are loud enough to tell of the speaker's throat."""
    return loudness(mel) > max(speech_level(mel) - VOICED_DECIBELS, AUDIBLE_DBFS)


def sounding(
    speech: Float32[np.ndarray, " N"], voice: Float32[np.ndarray, " N"], throat: float
) -> Sounding:
    """Frames of a voice and of the speech alone in it."""
    return Sounding(
        mel_decibels(speech, throat), mel_decibels(voice, throat), cepstra(voice, throat)
    )


def room_of(sound: Sounding, throat: float) -> Room:
    """Level and mean cepstrum of the spoken frames; of all where nothing is loud enough."""
    level = speech_level(sound.speech)
    spoken = loudness(sound.speech) > level - SPOKEN_DECIBELS
    return Room(level, sound.cepstra[spoken if spoken.any() else slice(None)].mean(0), throat)


def heard_block(sound: Sounding, room: Room) -> Float32[np.ndarray, "K 208"]:
    """All columns of frames that follow each other."""
    acoustics = load_acoustics()
    scores = acoustics.scores(sound.cepstra - room.cepstrum).reshape(-1, len(PHONES), STATES)
    loud = loudness(sound.speech)
    quiet = np.where(loud > AUDIBLE_DBFS, (room.level - QUIET_DECIBELS - loud).clip(0), INAUDIBLE)
    against = np.ones(len(PHONES))
    against[SILENCE] = 0.0
    scores = scores - (QUIET_NATS_A_DECIBEL * quiet)[:, None, None] * against[:, None]
    states = scores.reshape(len(scores), -1)
    posterior = np.maximum(acoustics.posteriors(states), LEAST_POSTERIOR)
    single = logsumexp(log_softmax(TRUST * states, 1).reshape(scores.shape), 2)
    silent = (
        posterior[:, STATES * SILENCE : STATES * (SILENCE + 1)].sum(1, keepdims=True).clip(0, 1)
    )
    bands = (1 - silent) * banded(sound.voice, room) + silent * banded(sound.speech, room)
    columns = (np.log(posterior), np.maximum(single, LEAST_FRAME_NATS), bands)
    values = np.concatenate(columns, 1).astype(np.float32)
    values[loud <= AUDIBLE_DBFS] = heard_silence().numpy()
    return values


def banded(mel: Float32[np.ndarray, "K 80"], room: Room) -> Float[np.ndarray, "K 40"]:
    """Pairs of mel bands, in units of 20 dB from the speech level."""
    relative = np.maximum(mel - room.level, FLOOR_DECIBELS) / DECIBELS_A_UNIT
    return relative.reshape(len(relative), LOUDNESS_BANDS, 2).mean(2)


def _blocks(count: int) -> list[tuple[slice, slice]]:
    """Frames to compute together, and which of them to keep."""
    parts = []
    for first in range(0, count, HANDED_ON_FRAMES):
        begin = max(first - FRAME_RATE, 0)
        stop = min(first + HANDED_ON_FRAMES, count)
        parts.append((slice(begin, stop + FRAME_RATE), slice(first - begin, stop - begin)))
    return parts


def heard_silence() -> Float[Tensor, "1 208"]:
    """A frame in which certainly nothing sounds."""
    values = torch.full((1, WIDTH), FLOOR_DECIBELS / DECIBELS_A_UNIT)
    values[:, STATES_AT] = float(np.log(LEAST_POSTERIOR))
    values[:, STATES * SILENCE : STATES * (SILENCE + 1)] = -float(np.log(STATES))
    values[:, PHONES_AT] = LEAST_FRAME_NATS
    values[:, PHONES_AT.start + SILENCE] = 0.0
    return values
