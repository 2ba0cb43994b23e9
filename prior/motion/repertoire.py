"""How far a person moves each part of the mouth, and which parts together, given to other motion.

A regression moves less than people do, and everybody's alike. Between two Gaussians there is one
linear map that turns the one into the other and moves everything as little as possible, the optimal
transport (Olkin and Pukelsheim 1982; Peyré and Cuturi 2019, equation 2.40):

    T = P^-½ (P^½ Q P^½)^½ P^-½,   T P T = Q

It is symmetric and turns nothing round, so what was opening goes on opening.
"""

import torch
from jaxtyping import Float
from torch import Tensor

RESTING_VARIANCE = 0.2
"""Added to each coefficient's variance on both sides: what hardly moves is hardly stretched."""


def stretch(shown: Float[Tensor, "N M"], seen: Float[Tensor, "L M"]) -> Float[Tensor, "M M"]:
    """The least map that gives deviations of `shown` mouths the covariance of those `seen`.

    Deviations are rows: `deviation @ stretch`.
    """
    resting = RESTING_VARIANCE * torch.eye(shown.shape[1], dtype=torch.float64)
    return transport(covariance(shown) + resting, covariance(seen) + resting).to(shown.dtype)


def covariance(mouths: Float[Tensor, "N M"]) -> Float[Tensor, "M M"]:
    deviation = (mouths - mouths.mean(0)).double()
    return deviation.T @ deviation / len(mouths)


def transport(before: Float[Tensor, "M M"], after: Float[Tensor, "M M"]) -> Float[Tensor, "M M"]:
    """Optimal transport between centred Gaussians with these (positive definite) covariances."""
    root, inverse = power(before, 0.5), power(before, -0.5)
    return inverse @ power(root @ after @ root, 0.5) @ inverse


def power(matrix: Float[Tensor, "M M"], exponent: float) -> Float[Tensor, "M M"]:
    """Of a symmetric positive definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T
