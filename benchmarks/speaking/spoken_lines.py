"""Lines whose sounds are known to the hundredth of a second: aligned, or told by who speaks them.

GRID's words are written beside them and aligned by pocketsphinx; espeak-ng tells its phonemes
itself, in any language. A real line may come without its words: then it only drives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.speaking.closures_section import OPEN_VOWELS
from media.audio import Audio
from prior.sound.phonemes import BILABIAL, LABIODENTAL, Phoneme, align
from prior.sound.speech import RATE
from scripts.acting.speech import speak

SHUT, TEETH, OPEN = "m, b, p", "f, v", "open vowels"
"""What a mouth does in a sound."""
SHUT_IPA, TEETH_IPA = frozenset("mbp"), frozenset("fv")
OPEN_IPA = frozenset("aɑæɐɛɔ")
"""First letters of the phonemes; Spanish β is no closure and is in none."""

ESPEAK = {
    "English, espeak-ng": (
        "en-us",
        "My brother Bob bought five big maps from Paul. Maybe Pam will move before February.",
    ),
    "German, espeak-ng": (
        "de",
        "Mein Bruder Bernd baut am Montag viele bunte Puppen. Papa und Mama fahren bald vorbei.",
    ),
    "French, espeak-ng": (
        "fr",
        "Mon bon ami Pierre aime beaucoup les pommes. Papa vend parfois des fleurs en février.",
    ),
    "Spanish, espeak-ng": (
        "es",
        "Mi madre prepara pan para mi primo Pablo. También compra mapas, fruta y café.",
    ),
}
"""Voice and text; each begins with closures, for plates that are short."""


@dataclass(frozen=True)
class Sound:
    """Something a mouth must do over [start, end) seconds of a line."""

    kind: str
    symbol: str
    start: float
    end: float


@dataclass(frozen=True)
class SpokenLine:
    """A line that drives, from the first frame on; `sounds` is empty where nobody knows them."""

    name: str
    audio: Audio
    sounds: tuple[Sound, ...]

    @property
    def told(self) -> tuple[Phoneme, ...] | None:
        """The sounds as a director tells them."""
        return tuple(Phoneme(s.symbol, s.start, s.end) for s in self.sounds) or None


def espeak_lines() -> list[SpokenLine]:
    """Raises AssetError where espeak-ng is not installed."""
    lines = []
    for name, (voice, text) in ESPEAK.items():
        said = speak(text, voice=voice, words_per_minute=155, pitch=45, pitch_range=50)
        sounds = (
            Sound(kind, p.symbol, p.start, p.end)
            for p in said.phonemes
            if (kind := kind_of_ipa(p.symbol)) is not None
        )
        audio = Audio(said.samples[None].astype(np.float32), said.rate)
        lines.append(SpokenLine(name, audio, tuple(sounds)))
    return lines


def kind_of_ipa(symbol: str) -> str | None:
    first = symbol[:1]
    kinds = ((SHUT_IPA, SHUT), (TEETH_IPA, TEETH), (OPEN_IPA, OPEN))
    return next((kind for letters, kind in kinds if first in letters and first), None)


def kind_of_arpabet(symbol: str) -> str | None:
    kinds = ((BILABIAL, SHUT), (LABIODENTAL, TEETH), (OPEN_VOWELS, OPEN))
    return next((kind for symbols, kind in kinds if symbol in symbols), None)


def english_line(name: str, parts: Sequence[tuple[Audio, str]]) -> SpokenLine:
    """Utterances with their words, one after the other. Raises InputError where they do not fit."""
    samples: list[np.ndarray] = []
    sounds: list[Sound] = []
    for audio, text in parts:
        begun = sum(len(s) for s in samples) / RATE
        heard = replace(audio.mono16k(), start=Fraction(0))
        sounds += aligned(align(heard, text).phonemes, begun)
        samples.append(heard.samples[0])
    return SpokenLine(name, Audio(np.concatenate(samples)[None], RATE), tuple(sounds))


def aligned(phonemes: Sequence[Phoneme], begun: float) -> list[Sound]:
    return [
        Sound(kind, p.symbol, p.start + begun, p.end + begun)
        for p in phonemes
        if (kind := kind_of_arpabet(p.symbol)) is not None
    ]


GRID_HERTZ = 25000
"""GRID's word timings count so fast."""
AROUND_SECONDS = 0.15


def grid_part(audio: Audio, timings: Path) -> tuple[Audio, str]:
    """What a GRID speaker says, by the file of word timings, without the silence around it."""
    rows = [row.split() for row in timings.read_text().splitlines() if row.strip()]
    words = [row for row in rows if row[2] not in ("sil", "sp")]
    begin, end = int(words[0][0]) / GRID_HERTZ, int(words[-1][1]) / GRID_HERTZ
    part = audio.mono16k().section(begin - AROUND_SECONDS, end + AROUND_SECONDS)
    return part, " ".join(row[2] for row in words)


def within(line: SpokenLine, seconds: float) -> SpokenLine:
    """As much of the line as a plate shows."""
    sounds = tuple(sound for sound in line.sounds if sound.end < seconds)
    return replace(line, audio=line.audio.section(0, Fraction(seconds)), sounds=sounds)
