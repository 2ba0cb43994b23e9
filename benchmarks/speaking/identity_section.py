"""Whose motion is it: retrieval of people from how their mouths move, real and generated."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.speaking.motion_section import own
from benchmarks.speaking.place import Place, Spoken
from benchmarks.speaking.systems import SYSTEMS
from benchmarks.tracking.table import figure, table
from evaluate.metrics.movement import movement_signature
from prior.movement import RATE, WINDOW, load_movement
from prior.train_movement import resampled

Extractor = Callable[[Float[np.ndarray, "T M"]], Float[np.ndarray, " D"]]
Halves = Mapping[str, Sequence[Float[np.ndarray, "_ M"]]]
"""Each person's stretches of mouths, 25 a second."""


def section(place: Place) -> str:
    people: dict[str, list[Spoken]] = defaultdict(list)
    for line in place.strangers:
        people[line.person].append(line)
    extractors: dict[str, Extractor] = {"judge": movement_signature, "extractor": learned_code}
    first = {p: [motion(x, x.truth, 0) for x in lines] for p, lines in people.items()}
    second = {p: [motion(x, x.truth, 1) for x in lines] for p, lines in people.items()}
    asked: dict[str, Halves] = {"real motion, other half": second}
    for name, make in SYSTEMS.items():
        system = make(place)
        asked[f"{name}, own manner, other half"] = {
            p: [motion(x, own(system, x), 1) for x in lines] for p, lines in people.items()
        }
    rows = [
        [name, *(figure(100 * top_one(first, motions, e)) for e in extractors.values())]
        for name, motions in asked.items()
    ]
    several = {p: lines for p, lines in people.items() if len(lines) > 1}
    gallery = {**first, **{p: [whole(lines[0])] for p, lines in several.items()}}
    others = {p: [whole(x) for x in lines[1:]] for p, lines in several.items()}
    rows.append(
        [
            f"real motion, other recordings ({len(several)} people)",
            *(figure(100 * top_one(gallery, others, e)) for e in extractors.values()),
        ]
    )
    return "\n\n".join(
        [
            "## Identity",
            f"Windows of {WINDOW / RATE:.1f} s of strangers' motion, each less its own mean mouth, "
            f"looked up among {len(people)} people known by the mean over the windows of the first "
            f"halves of their lines; top-1 in percent, mean over people, chance "
            f"{100 / len(people):.1f}. *judge*: logarithm of the covariance, nothing learned. "
            "*extractor*: `prior/movement.safetensors`, for losses. Generated: the second halves "
            "in the manner learned from the first.",
            table(("motion", *extractors), rows),
        ]
    )


def motion(line: Spoken, mouth: Float[Tensor, "T M"], half: int) -> Float[np.ndarray, "N M"]:
    middle = len(line.track) // 2
    part = slice(middle, None) if half else slice(0, middle)
    return resampled(mouth[part].numpy(), line.track.valid[part].numpy(), float(line.track.fps))


def whole(line: Spoken) -> Float[np.ndarray, "N M"]:
    return resampled(line.truth.numpy(), line.track.valid.numpy(), float(line.track.fps))


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
