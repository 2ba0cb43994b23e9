"""Are the lips shut where m, b and p are spoken, low for f and v, and open for vowels?"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from benchmarks.speaking.motion_section import spoken
from benchmarks.speaking.place import Place, Spoken
from benchmarks.speaking.systems import SYSTEMS
from benchmarks.tracking.table import figure, table
from core.errors import InputError
from core.progress import reported
from dub.closures import brought_together, heard_contacts
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from prior.motion.expression import load_driver
from prior.sound.phonemes import BILABIAL, LABIODENTAL, Phoneme, align

SHUT_MILLIMETRES = 1.0
"""About a pixel of a face 192 pixels high, as it stands in a 256 crop."""
EARLY_SECONDS, LATE_SECONDS = 0.04, 0.02
"""Lips may shut a frame before the sound, and an alignment is good to 10 or 20 ms."""
OPEN_VOWELS = frozenset({"AA", "AE", "AO", "AW", "AY", "EH", "EY", "OW"})


@dataclass
class Tally:
    """Lowest openings within closures and within f and v, middle ones of open vowels, mm."""

    closures: list[float]
    teeth: list[float]
    vowels: list[float]


def section(place: Place) -> str:
    systems = {name: make(place) for name, make in SYSTEMS.items()}
    tallies: dict[tuple[str, str], Tally] = defaultdict(lambda: Tally([], [], []))
    for line in reported(place.lines, place.reporter, "align", len(place.lines)):
        group = "strangers" if line.stranger else "s1, held out"
        phonemes = sounds_of(line)
        if not phonemes or not line.believed:
            continue
        mouths = {"truth": line.truth}
        mouths |= {name: spoken(system, line, line.audio) for name, system in systems.items()}
        mouths["regressor, contacts by ear"] = by_ear(line, mouths["regressor"])
        for name, mouth in mouths.items():
            opening = mouth_opening(default_model(), mouth).numpy()
            count(tallies[name, group], line, opening, phonemes)
    return "\n\n".join(
        [
            "## Closures",
            "Forced alignment of lines whose words are known (GRID's). Shut: an opening below "
            f"{SHUT_MILLIMETRES:g} mm (1 px256) from 40 ms before m, b or p to 20 ms after it. "
            "Vowels are the control: wide ones, in their middle frame. *contacts by ear*: as a dub "
            "brings lips together that is not told the words.",
            table(HEADINGS, [row(f"{n}, {g}", tally) for (n, g), tally in tallies.items()]),
        ]
    )


HEADINGS = (
    "system", "m, b, p", "shut %", "median mm", "f, v", "median mm there", "open vowels",
    "of them shut %",
)  # fmt: skip


def row(name: str, tally: Tally) -> list[str]:
    lowest, teeth, vowels = (np.array(x) for x in (tally.closures, tally.teeth, tally.vowels))
    return [
        name,
        str(len(lowest)),
        figure(100 * float((lowest < SHUT_MILLIMETRES).mean()), 1),
        figure(float(np.median(lowest))),
        str(len(teeth)),
        figure(float(np.median(teeth))),
        str(len(vowels)),
        figure(100 * float((vowels < SHUT_MILLIMETRES).mean()), 1),
    ]


def by_ear(line: Spoken, mouth: Float[Tensor, "T M"]) -> Float[Tensor, "T M"]:
    """The mouths as a dub closes them that is not told what is said."""
    begin = float(line.start_seconds)
    contacts = [
        replace(c, start=c.start - begin, end=c.end - begin) for c in heard_contacts(line.audio)
    ]
    return brought_together(mouth, contacts, float(line.track.fps), load_driver().manner)


def sounds_of(line: Spoken) -> Sequence[Phoneme]:
    """The line's sounds on its own clock; none where nobody wrote the words down beside it, or the
    sound does not fit them."""
    words = line.example.sound.with_suffix(".align")
    if not words.exists():
        return ()
    said = [row.split()[2] for row in words.read_text().splitlines() if row.strip()]
    try:
        text = " ".join(word for word in said if word not in ("sil", "sp"))
        return align(line.audio, text).phonemes
    except InputError:
        return ()


def count(
    tally: Tally, line: Spoken, opening: Float[np.ndarray, " T"], phonemes: Sequence[Phoneme]
) -> None:
    """Add a line's closures and vowels to the tally; only frames that show a face count."""
    fps = float(line.track.fps)
    middles = float(line.start_seconds) + (np.arange(len(opening)) + 0.5) / fps
    valid = line.track.valid.numpy()
    for phoneme in phonemes:
        early, late = phoneme.start - EARLY_SECONDS, phoneme.end + LATE_SECONDS
        within = valid & (middles >= early) & (middles < late)
        if within.any():
            if phoneme.symbol in BILABIAL:
                tally.closures.append(float(opening[within].min()))
            elif phoneme.symbol in LABIODENTAL:
                tally.teeth.append(float(opening[within].min()))
            elif phoneme.symbol in OPEN_VOWELS:
                nearest = int(np.abs(middles - phoneme.middle).argmin())
                tally.vowels.append(float(opening[nearest]))
