"""Mouths against tracked mouths: openings, widths and protrusions, errors, music and babble."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.speaking.place import Place, Spoken, known, still
from benchmarks.speaking.systems import SYSTEMS, Generator, Ridge
from benchmarks.speaking.under import babble, mixed, music
from benchmarks.tracking.table import figure, table
from core.progress import reported
from face3d.lips import mouth_opening, mouth_point_basis, mouth_protrusion, mouth_width
from face3d.morphable import default_model
from media.audio import Audio, load_audio

CURVES = {"opening": mouth_opening, "width": mouth_width, "protrusion": mouth_protrusion}
MUSIC_DECIBELS, BABBLE_DECIBELS = -10.0, -15.0

Pair = tuple[Float[Tensor, "T M"], Float[Tensor, "T M"], float]
"""Predicted and tracked mouths of a line, and frames a second."""


def section(place: Place) -> str:
    systems = {name: make(place) for name, make in SYSTEMS.items()}
    voices = [load_audio(p, mono=True) for p in sorted((place.corpus.parent / "voices").glob("*"))]
    voices = voices or [load_audio(e.sound, mono=True) for e in place.training[:6]]
    rows: dict[tuple[str, str], dict[str, list[Pair]]] = defaultdict(lambda: defaultdict(list))
    for line in reported(place.lines, place.reporter, "speak", len(place.lines)):
        sounds = {
            "": line.audio,
            "music": mixed(line.audio, music(line.audio.seconds), MUSIC_DECIBELS),
            "babble": mixed(line.audio, babble(voices, line.audio.seconds), BABBLE_DECIBELS),
        }
        for name, system in systems.items():
            for under, sound in sounds.items():
                mouth = spoken(system, line, sound)
                rows[name, under][line.person].append(pair(line, mouth))
            if not isinstance(system, Ridge):  # it knows no manners
                rows[f"{name}, own manner", ""][line.person] += own(system, line)
        rows["truth, still", ""][line.person].append(pair(line, still(line)))
    held = {line.person for line in place.lines if not line.stranger}
    return "\n\n".join(
        [
            "## Mouths",
            f"{explained(place)}",
            "### GRID s1, utterances never trained on",
            table(HEADINGS, printed(rows, lambda person: person in held)),
            "### Strangers",
            table(HEADINGS, printed(rows, lambda person: person not in held)),
            "### Opening's correlation, stranger by stranger",
            by_person(rows, held),
            "### Music 10 dB and babble 15 dB below the speech",
            "Opening's correlation, mean over people.",
            robustness(rows, systems, held),
        ]
    )


HEADINGS = (
    "system", "opening", "width", "protrusion", "std ratio", "points mm", "velocity mm/s", "ajar mm"
)  # fmt: skip
CLOSED_MILLIMETRES = 0.5
"""Lips of which less than this is seen apart are shut."""


def explained(place: Place) -> str:
    strangers = {line.person for line in place.strangers}
    seconds = sum(len(line.track) / float(line.track.fps) for line in place.strangers)
    held = sum(not line.stranger for line in place.lines)
    unsure = [line.name for line in place.lines if not line.believed]
    return (
        f"{held} utterances of GRID s1 and {len(place.strangers)} lines ({seconds:.0f} s) of "
        f"{len(strangers)} strangers. Correlations of opening, width and protrusion with tracked "
        "truth, each line centred, a person's lines together, mean over people. std ratio: of "
        "openings. points: mean distance of lips and chin. velocity: of the error. ajar: predicted "
        "opening where the truth is below 0.5 mm, best of three frames. *own manner*: learned from "
        "the other half of each line, halves centred apart. Sound put in step by the judge, for "
        "all alike"
        + (f"; left as it was where its margin is small: {', '.join(unsure)}." if unsure else ".")
    )


def spoken(system: Generator, line: Spoken, sound: Audio) -> Float[Tensor, "T M"]:
    return system.mouth(sound, line.track.fps, len(line.track), line.start_seconds)


def own(system: Generator, line: Spoken) -> list[Pair]:
    """Each half of a line in the manner learned from its other half. The halves are judged apart:
    put together, the posture that each lends the other would look like a slow error."""
    middle = len(line.track) // 2
    first, second = line.track[:middle], line.track[middle:]
    pairs: list[Pair] = []
    for learnt, asked in ((second, first), (first, second)):
        driver = system.in_manner_of(line.audio, learnt, line.late_frames)
        half = replace(line, track=asked)
        pairs.append(pair(half, spoken(driver, half, line.audio)))
    return pairs


def pair(line: Spoken, mouth: Float[Tensor, "T M"]) -> Pair:
    return known(line, mouth), known(line, line.truth), float(line.track.fps)


def correlation(pairs: Sequence[Pair], curve: str) -> float:
    """Of a person's lines together, each centred."""
    face = default_model()
    centred = []
    for predicted, truth, _ in pairs:
        a, b = (CURVES[curve](face, mouth) for mouth in (predicted, truth))
        centred.append(torch.stack([a - a.mean(), b - b.mean()]))
    a, b = torch.cat(centred, 1)
    norm = float(a.norm() * b.norm())
    return float(a @ b) / norm if norm > 1e-6 else np.nan


def figures(pairs: Sequence[Pair]) -> dict[str, float]:
    """One person's figures, each frame counting once."""
    face = default_model()
    basis = mouth_point_basis(face)
    spreads, distances, speeds, ajar = [], [], [], []
    for predicted, truth, fps in pairs:
        a, b = (mouth_opening(face, mouth) for mouth in (predicted, truth))
        apart = torch.einsum("tm,mpc->tpc", predicted - truth, basis)
        spreads.append(torch.stack([a - a.mean(), b - b.mean()]))
        distances.append(apart.norm(dim=-1).mean(-1))
        speeds.append(apart.diff(dim=0).norm(dim=-1).mean(-1) * fps)
        ajar.append(nearly_lowest(a)[b < CLOSED_MILLIMETRES])
    a, b = torch.cat(spreads, 1)
    means = (float(torch.cat(part).mean()) for part in (distances, speeds, ajar))
    return {
        **{curve: correlation(pairs, curve) for curve in CURVES},
        "std ratio": float(a.norm() / b.norm()),
        **dict(zip(("points mm", "velocity mm/s", "ajar mm"), means, strict=True)),
    }


def nearly_lowest(opening: Float[Tensor, "T"]) -> Float[Tensor, "T"]:
    """The lowest opening of each frame and its two neighbours: a closure may come a frame early."""
    return -torch.nn.functional.max_pool1d(-opening[None], 3, stride=1, padding=1)[0]


Rows = Mapping[tuple[str, str], Mapping[str, Sequence[Pair]]]


def printed(rows: Rows, wanted) -> list[list[str]]:
    result = []
    for (name, under), people in rows.items():
        if not under:
            each = [figures(pairs) for person, pairs in people.items() if wanted(person)]
            means = (float(np.nanmean([f[h] for f in each] or [np.nan])) for h in HEADINGS[1:])
            result.append([name, *map(figure, means)])
    return result


def by_person(rows: Rows, held: set[str]) -> str:
    names = [name for name, under in rows if not under and "still" not in name]
    people = [p for p in next(iter(rows.values())) if p not in held]
    return table(
        ("person", *names),
        [[p, *(figure(correlation(rows[n, ""][p], "opening")) for n in names)] for p in people],
    )


def robustness(rows: Rows, systems: Mapping[str, Generator], held: set[str]) -> str:
    def mean(name: str, under: str, wanted) -> float:
        people = rows[name, under].items()
        return float(np.mean([correlation(v, "opening") for p, v in people if wanted(p)]))

    lines = []
    for name in systems:
        for title, wanted in (("s1", held.__contains__), ("strangers", lambda p: p not in held)):
            values = [mean(name, under, wanted) for under in ("", "music", "babble")]
            lines.append([f"{name}, {title}", *map(figure, values)])
    return table(("system", "clean", "music", "babble"), lines)
