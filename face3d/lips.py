"""What the lips do, read off mouth coefficients: openings are linear in them, hence signed."""

import torch
from jaxtyping import Float
from torch import Tensor

from face3d.morphable import MorphableModel
from face3d.topology import CHIN, INNER_PAIRS, LIPS, LIPS_OUTER_LOWER, LIPS_OUTER_UPPER

MOUTH_POINTS = (*LIPS, *CHIN)
"""Landmarks that speech is judged by."""
LIPS_FORWARD = (*LIPS_OUTER_UPPER[3:-3], *LIPS_OUTER_LOWER[3:-3])
"""The middles of the lips' outer contours: what purses."""


def mouth_opening(
    model: MorphableModel, mouth: Float[Tensor, "*batch M"]
) -> Float[Tensor, "*batch"]:
    """Mean height of the gap between facing inner-lip points of the mean face, millimetres.

    Around 0 the lips touch; pressed lips fall below.
    """
    return closed_opening(model) + mouth @ opening_weights(model)


def closed_opening(model: MorphableModel) -> float:
    """`mouth_opening` of the mean face at rest, millimetres."""
    upper, lower = torch.tensor(INNER_PAIRS).T
    return 1000 * float((model.mean[upper] - model.mean[lower])[:, 1].mean())


def opening_weights(model: MorphableModel) -> Float[Tensor, "M"]:
    """Millimetres of opening per unit of each mouth coefficient."""
    upper, lower = torch.tensor(INNER_PAIRS).T
    return 1000 * (model.mouth[:, upper] - model.mouth[:, lower])[..., 1].mean(1)


def mouth_width(model: MorphableModel, mouth: Float[Tensor, "*batch M"]) -> Float[Tensor, "*batch"]:
    """Distance across between the corners of the mean face's mouth, millimetres."""
    right, left = LIPS_OUTER_UPPER[0], LIPS_OUTER_UPPER[-1]
    rest = 1000 * float((model.mean[left] - model.mean[right])[0])
    return rest + mouth @ (1000 * (model.mouth[:, left] - model.mouth[:, right])[:, 0])


def mouth_protrusion(
    model: MorphableModel, mouth: Float[Tensor, "*batch M"]
) -> Float[Tensor, "*batch"]:
    """How far the middles of the lips' contours have come forward from rest, millimetres."""
    forward = 1000 * model.mouth[:, list(LIPS_FORWARD), 2].mean(1)
    return mouth @ forward


def mouth_point_basis(model: MorphableModel) -> Float[Tensor, "M P 3"]:
    """Displacement of `MOUTH_POINTS` per unit of each mouth coefficient, millimetres."""
    return 1000 * model.mouth[:, list(MOUTH_POINTS)]
