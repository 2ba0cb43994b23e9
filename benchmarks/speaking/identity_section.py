"""Whose motion is it: retrieval of people from how their mouths move, real and generated."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.speaking.motion_section import spoken
from benchmarks.speaking.place import Place, Spoken
from benchmarks.speaking.systems import SYSTEMS, Generator
from benchmarks.tracking.table import figure, table
from evaluate.metrics.movement import movement_signature
from prior.motion.movement import RATE, WINDOW, load_movement
from prior.training.train_movement import resampled

Extractor = Callable[[Float[np.ndarray, "T M"]], Float[np.ndarray, " D"]]
Halves = Mapping[str, Sequence[Float[np.ndarray, "_ M"]]]
"""Each person's stretches of mouths, 25 a second."""


def section(place: Place) -> str:
    people: dict[str, list[Spoken]] = defaultdict(list)
    for line in place.strangers:
        people[line.person].append(line)
    first = {p: [motion(x, x.truth, 0) for x in lines] for p, lines in people.items()}
    second = {p: [motion(x, x.truth, 1) for x in lines] for p, lines in people.items()}
    several = {p: lines for p, lines in people.items() if len(lines) > 1}
    gallery = {**first, **{p: [whole(lines[0])] for p, lines in several.items()}}
    others = {p: [whole(x) for x in lines[1:]] for p, lines in several.items()}
    models = {name: make(place) for name, make in SYSTEMS.items()}
    rows = [
        row("real motion, other half", first, second),
        *(
            row(f"{n}, own manner, other half", first, halves_of(m, people))
            for n, m in models.items()
        ),
        row(f"real motion, other recordings ({len(several)} people)", gallery, others),
        *(
            row(f"{n}, manner of the first, other recordings", gallery, rest_of(m, several))
            for n, m in models.items()
        ),
    ]
    for name, model in models.items():
        borrowed = swapped(model, people)
        lenders = list(people)[1:] + list(people)[:1]
        as_lender = {q: borrowed[p] for p, q in zip(people, lenders, strict=True)}
        rows.append(row(f"{name}, manner of the next person: found as that one", first, as_lender))
        rows.append(row(f"{name}, manner of the next person: found as who speaks", first, borrowed))
    return "\n\n".join(
        [
            "## Identity",
            f"Windows of {WINDOW / RATE:.1f} s of strangers' motion, each less its own mean mouth, "
            f"looked up among {len(people)} people known by the mean over the windows of the first "
            f"halves of their lines; top-1 in percent, mean over people, chance "
            f"{100 / len(people):.1f}. *judge*: logarithm of the covariance, nothing learned. "
            "*extractor*: `prior/movement.safetensors`, for losses. Generated: the second halves "
            "in the manner learned from the first, all recordings but the first in the manner of "
            "the first (looked up among whole first recordings), and second halves in the manner "
            "of the next person.",
            table(("motion", *EXTRACTORS), rows),
        ]
    )


def row(name: str, known: Halves, asked: Halves) -> list[str]:
    return [name, *(figure(100 * top_one(known, asked, e)) for e in EXTRACTORS.values())]


def halves_of(system: Generator, people: Mapping[str, Sequence[Spoken]]) -> Halves:
    """Everybody's second halves in the manner of the first ones."""
    return {
        person: [motion(x, said(system, first_half(x), x), 1) for x in lines]
        for person, lines in people.items()
    }


def first_half(line: Spoken) -> Spoken:
    return replace(line, track=line.track[: len(line.track) // 2])


def rest_of(system: Generator, people: Mapping[str, Sequence[Spoken]]) -> Halves:
    """All recordings of a person but the first, in the manner of the first."""
    return {
        p: [whole(x, said(system, lines[0], x)) for x in lines[1:]] for p, lines in people.items()
    }


def swapped(system: Generator, people: Mapping[str, Sequence[Spoken]]) -> Halves:
    """Everybody's second halves in the manner of the next person's longest first half."""
    lenders = list(people)[1:] + list(people)[:1]
    result = {}
    for (person, lines), lender in zip(people.items(), lenders, strict=True):
        style = max(people[lender], key=lambda line: len(line.track))
        result[person] = [motion(x, said(system, first_half(style), x), 1) for x in lines]
    return result


def said(system: Generator, style: Spoken, line: Spoken) -> Float[Tensor, "T M"]:
    """A line in the manner of another, or of another person."""
    driver = system.in_manner_of(style.audio, style.track, style.late_frames)
    return spoken(driver, line, line.audio)


def motion(line: Spoken, mouth: Float[Tensor, "T M"], half: int) -> Float[np.ndarray, "N M"]:
    middle = len(line.track) // 2
    part = slice(middle, None) if half else slice(0, middle)
    return resampled(mouth[part].numpy(), line.track.valid[part].numpy(), float(line.track.fps))


def whole(line: Spoken, mouth: Float[Tensor, "T M"] | None = None) -> Float[np.ndarray, "N M"]:
    mouth = line.truth if mouth is None else mouth
    return resampled(mouth.numpy(), line.track.valid.numpy(), float(line.track.fps))


def windows(mouths: Sequence[Float[np.ndarray, "_ M"]]) -> list[Float[np.ndarray, "_ M"]]:
    """Half overlapping; a stretch that is shorter is one window."""
    return [
        stretch[begin : begin + WINDOW]
        for stretch in mouths
        for begin in range(0, max(1, len(stretch) - WINDOW + 1), WINDOW // 2)
    ]


def learned_code(mouth: Float[np.ndarray, "T M"]) -> Float[np.ndarray, " D"]:
    with torch.no_grad():
        return load_movement().network(torch.from_numpy(mouth)[None].float())[0].numpy()


EXTRACTORS: Mapping[str, Extractor] = {"judge": movement_signature, "extractor": learned_code}


def top_one(known: Halves, asked: Halves, extractor: Extractor) -> float:
    """Share of windows nearest to their own person, mean over the people asked about."""
    names = list(known)
    gallery = np.stack([np.mean([extractor(w) for w in windows(known[n])], 0) for n in names])
    shares = []
    for name, mouths in asked.items():
        codes = np.stack([extractor(window) for window in windows(mouths)])
        nearest = np.square(codes[:, None] - gallery).sum(-1).argmin(1)
        shares.append((nearest == names.index(name)).mean())
    return float(np.mean(shares))
