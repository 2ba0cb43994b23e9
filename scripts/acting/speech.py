"""Lines spoken by espeak-ng, with the time of every phoneme.

The library reports a phoneme event whenever it starts a phoneme, on the clock of the samples it
hands over, so picture and sound cannot disagree. Interface: espeak-ng's speak_lib.h.
"""

import ctypes
import ctypes.util
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from core.errors import AssetError

_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA = 2, 0b11
_EVENT_END, _EVENT_PHONEME = 0, 7
_RATE_PARAMETER, _PITCH_PARAMETER, _PITCH_RANGE_PARAMETER = 1, 3, 4
_UTF8 = 1


@dataclass(frozen=True)
class Phoneme:
    """An IPA symbol sounding over [start, end) seconds; the empty symbol is a pause."""

    symbol: str
    start: float
    end: float


@dataclass(frozen=True)
class Line:
    """A spoken text: mono samples in [−1, 1] at `rate` Hz, and its phonemes in order."""

    text: str
    samples: np.ndarray
    rate: int
    phonemes: tuple[Phoneme, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


class _EventId(ctypes.Union):
    _fields_ = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    ]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@lru_cache(maxsize=1)
def _synthesiser() -> tuple[ctypes.CDLL, int]:
    """The library and its sample rate; it hangs when it is started twice in one process."""
    name = ctypes.util.find_library("espeak-ng")
    if name is None:
        raise AssetError("libespeak-ng is not installed; install the package espeak-ng.")
    library = ctypes.CDLL(name)
    return library, library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS_IN_IPA)


def speak(text: str, *, voice: str, words_per_minute: int, pitch: int, pitch_range: int) -> Line:
    """Say `text` and note when each phoneme starts. Raises AssetError without espeak-ng."""
    library, rate = _synthesiser()
    chunks: list[np.ndarray] = []
    starts: list[tuple[str, float]] = []

    @_Callback
    def receive(samples, count, events):  # type: ignore[no-untyped-def]
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:
            if events[index].type == _EVENT_PHONEME:
                symbol = events[index].id.string.decode("utf-8", "ignore")
                starts.append((symbol, events[index].audio_position / 1000))
            index += 1
        return 0

    library.espeak_SetSynthCallback(receive)
    library.espeak_SetVoiceByName(voice.encode())
    library.espeak_SetParameter(_RATE_PARAMETER, words_per_minute, 0)
    library.espeak_SetParameter(_PITCH_PARAMETER, pitch, 0)
    library.espeak_SetParameter(_PITCH_RANGE_PARAMETER, pitch_range, 0)
    spoken = text.encode() + b"\0"
    library.espeak_Synth(spoken, len(spoken), 0, 1, 0, _UTF8, None, None)

    samples = np.concatenate(chunks).astype(np.float64) / 32768
    ends = [start for _, start in starts[1:]] + [len(samples) / rate]
    phonemes = tuple(
        Phoneme(symbol.strip("ˈˌ_ "), start, end)
        for (symbol, start), end in zip(starts, ends, strict=True)
        if end > start
    )
    return Line(text, samples, rate, phonemes)
