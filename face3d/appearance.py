"""How a person's skin looks: an albedo at every sample of the surface, and the light on it.

Vocabulary: a sample shows albedo · (light · Y(n)) in coded colours, Y the nine spherical harmonics
up to second order of the unit normal n in camera space (Ramamoorthi and Hanrahan 2001), each
channel with a light of its own. Coded values stand in for linear ones: a power law of a product is
the product of the powers, so only the meaning of "light" changes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

HARMONICS = 9
ROUNDS = 4
NOISE_CODES = 4.0
"""Error in code values (of 255) that even a perfect model leaves: grain, coding, interpolation."""


@dataclass(frozen=True)
class Appearance:
    """Albedo in code values as seen in even light, the light on it, and each sample's error.

    `spread` is the robust standard deviation, in code values, that a sample kept over the frames
    that taught it: hair, lids and folds are known by it.
    """

    albedo: Float[Tensor, "P 3"]
    light: Float[Tensor, "9 3"]
    spread: Float[Tensor, "P"]


def harmonics(normals: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 9"]:
    """The nine real spherical harmonics of a unit vector, less their constant factors."""
    x, y, z = normals.unbind(-1)
    one = torch.ones_like(x)
    return torch.stack([one, x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], -1)


def even_light() -> Float[Tensor, "9 3"]:
    """Light that shows albedo as it is."""
    light = torch.zeros(HARMONICS, 3)
    light[0] = 1
    return light


def lit(
    albedo: Float[Tensor, "P 3"], light: Float[Tensor, "*batch 9 3"], basis: Float[Tensor, "*b P 9"]
) -> Float[Tensor, "*b P 3"]:
    """Colours of the samples under a light."""
    return albedo * (basis @ light)


def fit_light(
    colours: Float[Tensor, "N 3"],
    albedo: Float[Tensor, "N 3"],
    basis: Float[Tensor, "N 9"],
    weight: Float[Tensor, "N"],
    prior: Float[Tensor, "9 3"],
    ridge: float,
) -> Float[Tensor, "9 3"]:
    """Weighted least squares for the light, held near `prior` by `ridge` (share of all weight).

    Where nothing is seen, as in a frame whose face lies outside its crop, the prior is the answer.
    """
    light = []
    for channel in range(3):
        shown = albedo[:, channel] * weight
        pull = (ridge * (shown * albedo[:, channel]).sum()).clamp_min(1e-6)
        left = (basis * (shown * albedo[:, channel])[:, None]).T @ basis
        right = shown * colours[:, channel] @ basis + pull * prior[:, channel]
        light.append(torch.linalg.solve(left + pull * torch.eye(HARMONICS), right))
    return torch.stack(light, -1)


def fit_appearance(
    colours: Float[Tensor, "T P 3"],
    basis: Float[Tensor, "T P 9"],
    seen: Float[Tensor, "T P"],
    known: Float[Tensor, "P 3"] | None = None,
    ridge: float = 0.02,
) -> Appearance:
    """Albedo and one light from several frames, by alternation with robust weights.

    A `known` albedo, told by other footage, stays wherever it is not black.

    `seen` weighs a sample by how openly it faces the camera, 0 where it is hidden. A sample that
    no frame shows gets an infinite spread.
    """
    light, shading = even_light(), torch.ones_like(colours)
    weight = seen
    albedo = torch.zeros_like(colours[0])
    spread = torch.zeros_like(seen[0])
    for _ in range(ROUNDS):
        w = weight[..., None]
        albedo = (w * shading * colours).sum(0) / (w * shading.square()).sum(0).clamp_min(1e-6)
        if known is not None:
            albedo = torch.where((known > 0).all(-1, keepdim=True), known, albedo)
        shown = albedo.expand_as(colours)
        light = fit_light(
            colours.flatten(0, 1), shown.flatten(0, 1), basis.flatten(0, 1), weight.flatten(),
            even_light(), ridge,
        )  # fmt: skip
        shading = basis @ light
        error = (colours - albedo * shading).square().mean(-1)
        spread = ((seen * error).sum(0) / seen.sum(0).clamp_min(1e-6)).sqrt()
        spread = (spread.square() + NOISE_CODES**2).sqrt()
        weight = seen / (1 + error / (2 * spread).square())
    spread = torch.where(seen.sum(0) > 0.5, spread, torch.inf)
    return Appearance(albedo, light, spread)
