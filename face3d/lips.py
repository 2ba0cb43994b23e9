"""What the lips do, read off mouth coefficients: openings are linear in them, hence signed."""

import torch
from jaxtyping import Float
from torch import Tensor

from face3d.morphable import MorphableModel
from face3d.topology import CHIN, INNER_PAIRS, LIPS

MOUTH_POINTS = (*LIPS, *CHIN)
"""Landmarks that speech is judged by."""


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


def mouth_point_basis(model: MorphableModel) -> Float[Tensor, "M P 3"]:
    """Displacement of `MOUTH_POINTS` per unit of each mouth coefficient, millimetres."""
    return 1000 * model.mouth[:, list(MOUTH_POINTS)]
