"""What a picture says about a frame's unknowns: Gauss-Newton on the colours of surface samples.

A sample's residual r_c = I_c(π(R x + t)) − albedo_c · light_c · Y(n) has one row a colour, yet all
colours share the motion of the point: Σ_c w ∇I_c ∇I_cᵀ is a 2 × 2 tensor, and its Cholesky factor
turns three rows into two. Normals are kept while a step is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.camera import Camera
from core.rotation import cross_matrix, left_jacobian, matrix_from_axis_angle
from face3d.appearance import Appearance, fit_light, harmonics, lit
from face3d.morphable import MorphableModel
from face3d.picture import Picture, sampled
from face3d.samples import Samples
from face3d.solve import POSE, Information
from face3d.track import Identity, Motion

FACING, GRAZING = 0.45, 0.15
"""Cosines between normal and view: samples count fully above, not at all below."""

EVIDENCE = 0.5
"""Weight of a sample of plain skin near the mouth. Neighbours err together (light, texture, shape),
so thousands of them are not thousands of measurements; where they are denser each says less."""

LIGHT_RIDGE = 0.02
CELL_PIXELS, CELLS = 4.0, 128
"""Size of the squares in which one sample hides another, and how many of them a side."""

BEHIND_METRES = 0.012


@dataclass(frozen=True)
class Surface:
    """A person's samples at rest, metres, and how coefficients move them; normals at rest."""

    samples: Samples
    model: MorphableModel
    shape: Float[Tensor, "V 3"]
    rest: Float[Tensor, "P 3"]
    bases: Float[Tensor, "P 3 K"]
    identity: Float[Tensor, "P 3 S"]

    @staticmethod
    def of(model: MorphableModel, samples: Samples, identity: Identity) -> "Surface":
        model = model.to(torch.float32)
        shape = model.shape(identity.shape.float(), identity.offset.float())
        bases = samples.on(torch.cat([model.mouth, model.upper])).permute(1, 2, 0).contiguous()
        people = samples.on(model.identity).permute(1, 2, 0).contiguous()
        return Surface(samples, model, shape, samples.on(shape), bases, people)

    def of_identity(self, identity: Identity) -> "Surface":
        """The same samples on somebody else."""
        shape = self.model.shape(identity.shape.float(), identity.offset.float())
        return replace(self, shape=shape, rest=self.samples.on(shape))

    def at(self, codes: Float[Tensor, "K"]) -> Float[Tensor, "P 3"]:
        return self.rest + self.bases @ codes

    def normals(self, motion: Motion) -> Float[Tensor, "T P 3"]:
        """Head-local unit normals of every frame."""
        vertices = self.model.vertices(self.shape, motion.mouth.float(), motion.upper.float())
        return self.samples.normals(vertices, self.model.triangles)


@dataclass(frozen=True)
class Glance:
    """One frame's samples: camera-space points and normals, crop pixels, and how well each shows.

    `openly` is 1 for a sample that faces the camera, 0 for one that is hidden.
    """

    turned: Float[Tensor, "P 3"]
    points: Float[Tensor, "P 3"]
    normals: Float[Tensor, "P 3"]
    xy: Float[Tensor, "P 2"]
    openly: Float[Tensor, "P"]


def glance(surface: Surface, normals: Float[Tensor, "P 3"], pose: Motion, camera: Camera) -> Glance:
    """Where a single frame's samples are and which of them show; `normals` are head-local."""
    codes = torch.cat([pose.mouth[0], pose.upper[0]]).float()
    rotation = matrix_from_axis_angle(pose.rotation[0]).float()
    turned = surface.at(codes) @ rotation.T
    points = turned + pose.translation[0].float()
    faced = normals @ rotation.T
    view = -points / points.norm(dim=-1, keepdim=True)
    cosine = (faced * view).sum(-1)
    openly = ((cosine - GRAZING) / (FACING - GRAZING)).clamp(0, 1)
    xy = camera.pixels_from_camera(points)
    return Glance(turned, points, faced, xy, openly * in_front(xy, -points[:, 2]))


def in_front(xy: Float[Tensor, "P 2"], depth: Float[Tensor, "P"]) -> Float[Tensor, "P"]:
    """1 for samples with no other one nearer the camera in their cell of the picture, else 0."""
    column, row = (xy / CELL_PIXELS).long().clamp(0, CELLS - 1).unbind(-1)
    cell = row * CELLS + column
    nearest = depth.new_full((CELLS**2,), torch.inf).scatter_reduce(0, cell, depth, "amin")
    return (depth < nearest[cell] + BEHIND_METRES).to(depth.dtype)


@dataclass(frozen=True)
class Compared:
    """A frame's picture against the model: residuals (code values), slopes, weights, light."""

    residual: Float[Tensor, "P 3"]
    slope: Float[Tensor, "P 3 2"]
    weight: Float[Tensor, "P"]
    light: Float[Tensor, "9 3"]


def colours_at(
    picture: Picture, xy: Float[Tensor, "P 2"], level: int
) -> tuple[Float[Tensor, "P 3"], Float[Tensor, "P 3 2"], Float[Tensor, "P"]]:
    """Colours at crop pixels `xy`, their slope a crop pixel, and 1 where the crop reaches."""
    shrunk = (xy / 2**level).numpy().astype(np.float32)
    colour, slope, inside = (torch.from_numpy(a) for a in sampled(picture.levels[level], shrunk))
    return colour, slope / 2**level, inside


def compare(look: Glance, picture: Picture, appearance: Appearance, level: int) -> Compared:
    """Residuals under the frame's own light, which is held near the shot's; robust (Cauchy)."""
    colour, slope, inside = colours_at(picture, look.xy, level)
    basis = harmonics(look.normals)
    trust = look.openly * inside / appearance.spread.square()
    residual = colour - lit(appearance.albedo, appearance.light, basis)
    weight = trust * cauchy(residual, appearance.spread)
    light = fit_light(colour, appearance.albedo, basis, weight, appearance.light, LIGHT_RIDGE)
    residual = colour - lit(appearance.albedo, light, basis)
    weight = trust * cauchy(residual, appearance.spread)
    return Compared(residual, slope, weight, light)


def cauchy(residual: Float[Tensor, "P 3"], spread: Float[Tensor, "P"]) -> Float[Tensor, "P"]:
    """Robust weights: an error of twice a sample's usual one counts half."""
    error = residual.square().mean(-1) / (2 * spread).square()
    return 1 / (1 + error)


def rows_of(
    compared: Compared, evidence: Float[Tensor, "P"]
) -> tuple[Float[Tensor, "P 2 2"], Float[Tensor, "P 2"]]:
    """Per sample the factor F and the target f with FᵀF = Σ_c w ∇I ∇Iᵀ and Fᵀf = Σ_c w ∇I r."""
    weighted = compared.slope * (compared.weight * evidence)[:, None, None]
    tensor = weighted.mT @ compared.slope
    right = (weighted.mT @ compared.residual[..., None])[..., 0]
    a, b, d = tensor[:, 0, 0] + 1e-9, tensor[:, 0, 1], tensor[:, 1, 1] + 1e-9
    first = a.sqrt()
    across = b / first
    second = (d - across.square()).clamp_min(1e-9).sqrt()
    factor = torch.stack([torch.stack([first, across], -1),
                          torch.stack([torch.zeros_like(first), second], -1)], -2)  # fmt: skip
    top = right[:, 0] / first
    return factor, torch.stack([top, (right[:, 1] - across * top) / second], -1)


def jacobian(
    surface: Surface,
    look: Glance,
    pose: Motion,
    camera: Camera,
    factor: Float[Tensor, "P 2 2"],
    shared: bool,
) -> Float[Tensor, "P 2 D"]:
    """Rows factor · d(pixels)/d(unknowns): pose, mouth, upper, then identity and log focal."""
    x, y, z = look.points.unbind(-1)
    zero = torch.zeros_like(z)
    across = -camera.focal / z
    project = torch.stack(
        [
            torch.stack([across, zero, -across * x / z], -1),
            torch.stack([zero, -across, across * y / z], -1),
        ],
        -2,
    )
    by_point = factor @ project
    rotation = matrix_from_axis_angle(pose.rotation[0]).float()
    spin = -cross_matrix(look.turned) @ left_jacobian(pose.rotation[0]).float()
    local = by_point @ rotation
    parts = [by_point @ spin, by_point, moved(local, surface.bases)]
    if shared:
        centre = torch.tensor(camera.centre, dtype=look.xy.dtype)
        zoom = factor @ (look.xy - centre)[..., None]
        parts += [moved(local, surface.identity), zoom]
    return torch.cat(parts, -1)


def moved(local: Float[Tensor, "P 2 3"], bases: Float[Tensor, "P 3 K"]) -> Float[Tensor, "P 2 K"]:
    """local · basis for every basis vector."""
    result = local[..., :1] * bases[:, None, 0]
    for axis in (1, 2):
        result.addcmul_(local[..., axis, None], bases[:, None, axis])
    return result


def information(
    surface: Surface,
    motion: Motion,
    views: Sequence[tuple[Camera, Picture | None]],
    appearance: Appearance,
    level: int,
    shared: bool = False,
) -> Information:
    """What the pictures tell of every frame's unknowns (and of the `shared` ones).

    A view is a crop's camera and picture. A frame without a picture tells nothing.
    """
    normals = surface.normals(motion)
    size = POSE + surface.bases.shape[-1]
    total = size + (surface.identity.shape[-1] + 1 if shared else 0)
    left = torch.zeros(len(motion), total, total, dtype=torch.float64)
    right = torch.zeros(len(motion), total, dtype=torch.float64)
    for t, (camera, picture) in enumerate(views):
        if picture is None:
            continue
        pose = motion[t : t + 1]
        look = glance(surface, normals[t], pose, camera)
        compared = compare(look, picture, appearance, level)
        factor, target = rows_of(compared, EVIDENCE * surface.samples.say)
        rows = jacobian(surface, look, pose, camera, factor, shared).flatten(0, 1)
        left[t] = rows.T @ rows
        right[t] = target.flatten() @ rows
    if not shared:
        return Information(left, right)
    return Information(
        left[:, :size, :size], right[:, :size], left[:, :size, size:],
        left[:, size:, size:].sum(0), right[:, size:].sum(0),
    )  # fmt: skip
