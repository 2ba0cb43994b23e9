"""How far a frame's track can be trusted: a number in [0, 1] beside every frame."""

from jaxtyping import Float
from torch import Tensor

PERFECT_PX256 = 1.0
"""A landmark residual that still counts as a perfect fit."""

FADING_PX256 = 3.0
"""Confidence falls to 1/e over this much more residual."""


def confidence_of(residual: Float[Tensor, "T"]) -> Float[Tensor, "T"]:
    """Confidence in frames by their landmarks' residual in px256; infinite where no face was."""
    return (-(residual - PERFECT_PX256).clamp_min(0) / FADING_PX256).exp()
