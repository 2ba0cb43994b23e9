"""When each sound of a line is spoken: forced alignment of a known text, and recognition of one.

Pocketsphinx and the American English model inside its wheel do the listening. Symbols are ARPABET
without stress, as in the CMU pronouncing dictionary; the empty symbol is a pause.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pocketsphinx import AlignmentEntry, Decoder

from core.errors import InputError
from media.audio import Audio

STEPS_A_SECOND = 100
"""The aligner's clock: every boundary lies on a hundredth of a second."""

BILABIAL = frozenset({"B", "M", "P"})
"""Sounds during which the lips meet."""
LABIODENTAL = frozenset({"F", "V"})
"""Sounds during which the lower lip meets the upper teeth."""

STOPS = frozenset({"B", "D", "G", "K", "P", "T"})
SHUT_SHARE = 0.6
"""Of a stop, before it bursts."""
LONGEST_STOP = 0.15
"""Seconds. The closure of a stop after a pause sounds like the pause, and the aligner may count all
of that as the stop: what exceeds this is a pause again."""


@dataclass(frozen=True)
class Phoneme:
    """One sound over [start, end) seconds after picture 0."""

    symbol: str
    start: float
    end: float

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2

    @property
    def length(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Word:
    """A word and its sounds in order; the empty text is a pause."""

    text: str
    phonemes: tuple[Phoneme, ...]


@dataclass(frozen=True)
class Transcript:
    """A line's words and pauses in order, without gaps."""

    words: tuple[Word, ...]

    @property
    def phonemes(self) -> tuple[Phoneme, ...]:
        return tuple(phoneme for word in self.words for phoneme in word.phonemes)

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words if word.text)


def align(audio: Audio, text: str, pronunciations: Mapping[str, str] | None = None) -> Transcript:
    """Where each sound of `text` lies in `audio`, to 10 ms.

    `pronunciations` gives ARPABET for words that the dictionary lacks ("redub": "R IY D AH B").
    Where the dictionary has several, the one that fits the sound is taken. Raises InputError for a
    text without words, an unknown word, or a sound that the text does not fit.
    """
    # The lattice's best path may end in a pause before the last words; the first pass never does.
    decoder = Decoder(lm=None, bestpath=False, loglevel="FATAL")
    for word, symbols in (pronunciations or {}).items():
        decoder.add_word(word.lower(), symbols, update=True)
    words = spelled(text)
    unknown = sorted({word for word in words if decoder.lookup_word(word) is None})
    if not words or unknown:
        raise InputError(
            f"the text has {'unknown words: ' + ', '.join(unknown) if unknown else 'no words'} and "
            "only words of the English dictionary can be aligned; spell numbers out and give "
            "pronunciations for names."
        )
    sound = heard(audio)
    decoder.set_align_text(" ".join(words))
    run(decoder, sound)
    # The first pass chose words and pronunciations; the second finds their phonemes.
    found = [written(part.word) for part in decoder.seg() or ()]
    fitted = [word for word in found if word] == words
    if fitted:
        decoder.set_alignment()
        run(decoder, sound)
    alignment = decoder.get_alignment() if fitted else None
    if alignment is None:
        raise InputError(
            f"the sound ({audio.seconds:.1f} s) does not fit the text ({len(words)} words) and an "
            "alignment needs both to say the same; check the text and the range."
        )
    start = float(audio.start)
    return Transcript(
        tuple(
            Word(
                written(word.name),
                tuple(part for entry in word for part in parted(timed(entry, start))),
            )
            for word in alignment.words()
        )
    )


def recognised(audio: Audio) -> str:
    """The words that were probably said, lower case; good enough to align clear English by."""
    decoder = Decoder(loglevel="FATAL")
    run(decoder, heard(audio))
    return " ".join(filter(None, (written(part.word) for part in decoder.seg() or ())))


def spelled(text: str) -> list[str]:
    """A text's words as the dictionary writes them: lower case, apostrophes kept."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'"))


def written(name: str) -> str:
    """A word without the number of its pronunciation; a filler is a pause."""
    return "" if name.startswith(("<", "[", "+")) else re.sub(r"\(\d+\)$", "", name)


def timed(entry: AlignmentEntry, start: float) -> Phoneme:
    """One phoneme of an alignment on the picture's clock."""
    symbol = "" if entry.name in ("SIL", "+SPN+", "+NSN+") else entry.name
    first, last = entry.start, entry.start + entry.duration
    return Phoneme(symbol, start + first / STEPS_A_SECOND, start + last / STEPS_A_SECOND)


def parted(sound: Phoneme) -> tuple[Phoneme, ...]:
    """The sound, after the pause that it swallowed if it is a stop."""
    begin = sound.end - LONGEST_STOP
    if sound.symbol not in STOPS or sound.start >= begin:
        return (sound,)
    return Phoneme("", sound.start, begin), Phoneme(sound.symbol, begin, sound.end)


def heard(audio: Audio) -> bytes:
    """16-bit samples at 16 kHz, one channel."""
    samples = audio.mono16k().samples[0]
    return np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def run(decoder: Decoder, sound: bytes) -> None:
    """One pass over a whole line."""
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()
