"""Depth that landmarks cannot know: smooth changes of how far a face comes forward.

A detector guesses depth from one picture, and an identity basis learned from detections inherits
the guess. Where a head turns, parallax measures it: beside the identity's coefficients the
photometric stage solves for a face's relief as a whole and for low polynomials over the face, and
lays what it finds into the person's offset. Without them a wrong relief becomes a wrong angle.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from numpy.polynomial import Legendre
from torch import Tensor

from face3d.morphable import MorphableModel
from face3d.topology import LANDMARKS
from face3d.track import Identity

METRES = 0.003
"""Expected size of a mode; the smaller the more it bends."""

DEGREES = (2, 3, 4)
"""Of the polynomials in x and y. Degree 0 is the head's distance and 1 its turn."""


def relief_modes(model: MorphableModel) -> Float[Tensor, "Z V 3"]:
    """Changes of depth, metres at one standard deviation: relief as a whole, then polynomials."""
    face = model.mean[:LANDMARKS].double()
    centred = face - face.mean(0)
    x, y, z = (centred / centred.abs().amax(0)).T
    forward = [unit(z)]
    for degree in DEGREES:
        for power in range(degree + 1):
            bend = legendre(degree - power, x) * legendre(power, y)
            forward.append(unit(bend) / (degree - 1))
    depth = METRES * torch.stack(forward).to(model.mean.dtype)
    modes = model.mean.new_zeros(len(depth), len(model.mean), 3)
    modes[:, :LANDMARKS, 2] = depth
    modes[:, LANDMARKS:, 2] = depth @ model.attachment.T
    return modes


def unit(values: Float[Tensor, "L"]) -> Float[Tensor, "L"]:
    """Scaled to a root mean square of 1."""
    return values / values.square().mean().sqrt()


def legendre(degree: int, at: Float[Tensor, "L"]) -> Float[Tensor, "L"]:
    return torch.from_numpy(Legendre.basis(degree)(at.numpy()))


def with_relief(model: MorphableModel) -> MorphableModel:
    """The model with the modes as further identity."""
    return replace(model, identity=torch.cat([model.identity, relief_modes(model)]))


def opened(identity: Identity, wide: MorphableModel) -> Identity:
    """The same person in a model with further identity."""
    more = len(wide.identity) - len(identity.shape)
    return replace(identity, shape=torch.cat([identity.shape, identity.shape.new_zeros(more)]))


def folded(identity: Identity, wide: MorphableModel, model: MorphableModel) -> Identity:
    """The same face in the plain model: what the modes changed becomes offset."""
    count = len(model.identity)
    moved = torch.einsum("z,zvc->vc", identity.shape[count:], wide.identity[count:, :LANDMARKS])
    return Identity(identity.shape[:count], identity.offset + moved)
