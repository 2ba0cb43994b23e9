"""A manner of speaking: how wide a person opens for what is heard, and how the lips are held.

A regression averages over what it cannot hear, so its wide mouths come out narrow and its shut ones
ajar; and people differ threefold in how wide they open. Both are put right by quantiles: the n-th
part of the widest predicted mouths become as wide as the n-th part of the widest true ones. Then
all coefficients together are stretched to move as far as this person's do, see `repertoire`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from face3d.lips import closed_opening, mouth_opening, opening_weights
from face3d.morphable import MorphableModel
from prior.motion.repertoire import stretch

QUANTILES = (0.03, 0.12, 0.25, 0.4, 0.55, 0.7, 0.82, 0.91, 0.97)
SLOPES = (0.25, 3.0)
"""How little and how much a curve may change an opening's change."""
CLOSURE_MILLIMETRES = 0.3
"""Lips predicted to be ajar by less than this are shut."""
TRUSTED_FRAMES = 50.0
"""With so many frames of a person, they and the average speaker count the same."""
TELLING_FRAMES = 25
"""Fewer do not tell how twenty coefficients move together."""
NEAR_MILLIMETRES = 3.0
"""Stretching leaves shut lips shut, and is free to open those that are so far apart."""


@dataclass(frozen=True)
class Manner:
    """A mouth whose predicted opening is `heard` mm is opened to `seen` mm and put in `posture`.

    `direction` is how coefficients move per millimetre of opening, `weights` how many millimetres
    each of them opens, `closed` the opening of the mouth at 0; `posture` opens nothing. Knots rise;
    beyond the ends the curve goes on straight. What comes of it is moved away from `centre` by
    `stretch`, a symmetric map; without one it stays.
    """

    heard: Float[Tensor, "Q"]
    seen: Float[Tensor, "Q"]
    direction: Float[Tensor, "M"]
    posture: Float[Tensor, "M"]
    weights: Float[Tensor, "M"]
    closed: float
    centre: Float[Tensor, "M"] | None = None
    stretch: Float[Tensor, "M M"] | None = None

    def __call__(self, mouth: Float[Tensor, "T M"]) -> Float[Tensor, "T M"]:
        opening = self.closed + mouth @ self.weights
        change = self.opened(opening) - opening
        return self.stretched(mouth + change[:, None] * self.direction + self.posture)

    def stretched(self, mouth: Float[Tensor, "T M"]) -> Float[Tensor, "T M"]:
        """Mouths moved as far as this person's are, their lips shut where they were."""
        if self.centre is None or self.stretch is None:
            return mouth
        moved = self.centre + (mouth - self.centre) @ self.stretch
        shut = (1 - mouth @ self.weights / NEAR_MILLIMETRES).clamp(0, 1)
        opened = shut * ((moved - mouth) @ self.weights)
        return moved - opened[:, None] * self.direction

    def unstretched(self) -> "Manner":
        """For mouths that already move as far as people do, as drawn ones."""
        return replace(self, centre=None, stretch=None)

    def opened(self, opening: Float[Tensor, "T"]) -> Float[Tensor, "T"]:
        """The curve from heard to seen openings, millimetres."""
        last = len(self.heard) - 2
        knot = (torch.searchsorted(self.heard, opening.contiguous()) - 1).clamp(0, last)
        slope = (self.seen[knot + 1] - self.seen[knot]) / (self.heard[knot + 1] - self.heard[knot])
        return self.seen[knot] + slope * (opening - self.heard[knot])


def plain_manner(model: MorphableModel) -> Manner:
    """The manner that changes nothing."""
    weights = opening_weights(model)
    heard, seen = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    still = torch.zeros_like(weights)
    return Manner(heard, seen, still, still.clone(), weights, closed_opening(model))


def average_manner(
    model: MorphableModel,
    heard: Sequence[Float[Tensor, "_ M"]],
    seen: Sequence[Float[Tensor, "_ M"]],
) -> Manner:
    """The manner that turns what was predicted for each person into what each was seen to do.

    Quantiles are taken for each person and averaged, so that everyone counts the same.
    """
    openings = [[mouth_opening(model, m) for m in mouths] for mouths in (heard, seen)]
    levels = torch.tensor(QUANTILES)
    before, after = (torch.stack([o.quantile(levels) for o in os]).mean(0) for os in openings)
    truth, opening = torch.cat(list(seen)), torch.cat(openings[1])
    centred = opening - opening.mean()
    slope = centred @ (truth - truth.mean(0)) / centred.square().sum().clamp_min(1e-9)
    plain = plain_manner(model)
    direction = slope / (slope @ plain.weights).clamp_min(1e-3)
    return Manner(
        *_knots(plain.closed, before, after), direction, plain.posture, plain.weights, plain.closed
    )


def personal_manner(
    average: Manner, heard: Float[Tensor, "T M"], seen: Float[Tensor, "T M"]
) -> Manner:
    """A person's manner from frames of them speaking, near the average one where frames are few."""
    if len(heard) == 0:
        return average
    trust = len(heard) / (len(heard) + TRUSTED_FRAMES)
    levels = torch.tensor(QUANTILES)
    before, after = ((average.closed + m @ average.weights).quantile(levels) for m in (heard, seen))
    after = trust * after + (1 - trust) * average.opened(before)
    knots = _knots(average.closed, before, after)
    opened = Manner(
        *knots, average.direction, average.posture, average.weights, average.closed
    )  # fmt: skip
    rest = trust * (seen - opened(heard)).mean(0)
    posture = average.posture + rest - (rest @ average.weights) * average.direction
    own = Manner(*knots, average.direction, posture, average.weights, average.closed)
    if len(heard) < TELLING_FRAMES:
        return own
    shown = own(heard)
    return replace(own, centre=shown.mean(0), stretch=stretch(shown, seen))


def _knots(
    closed: float, heard: Float[Tensor, "Q"], seen: Float[Tensor, "Q"]
) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"]]:
    """Knots that rise within `SLOPES`, and never open lips that were predicted shut.

    The quantiles' middle stays where it was. At the closed mouth's own opening the curve gives that
    opening or less, and below it falls as its argument does: a closure survives every manner.
    """
    steps = heard.diff().clamp_min(0.02)
    rises = (seen.diff() / steps).clamp(*SLOPES) * steps
    middle = len(heard) // 2

    def summed(parts: Tensor, anchor: Tensor) -> Tensor:
        total = torch.cat([torch.zeros(1), parts.cumsum(0)])
        return total - total[middle] + anchor

    heard, seen = summed(steps, heard[middle]), summed(rises, seen[middle])
    ajar = heard > closed + CLOSURE_MILLIMETRES
    shut = (seen - heard)[~ajar][-1:] + closed
    lowest = torch.cat([shut, torch.tensor([closed])]).min()
    reached = lowest + SLOPES[1] * (heard[ajar] - closed)
    return (
        torch.cat([torch.tensor([closed - 1, closed]), heard[ajar]]),
        torch.cat([lowest[None] - 1, lowest[None], seen[ajar].clamp(lowest, reached)]),
    )
