"""Gauss-Newton for landmarks: per-frame unknowns, shared unknowns, and time between the frames.

Vocabulary: a frame's unknowns x are [rotation 3, translation 3, mouth M, upper U]; the shared ones
are [identity S, log focal 1], the focal length a clip's own. Residuals are pixels over their
expected error, so every prior is a count of standard deviations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import solveh_banded
from torch import Tensor

from core.camera import Camera
from core.rotation import cross_matrix, left_jacobian, matrix_from_axis_angle
from face3d.gram import gram
from face3d.morphable import MorphableModel
from face3d.track import Identity, Motion

POSE = 6


@dataclass(frozen=True)
class Fit:
    """The state of a fit: who, where, seen by what."""

    camera: Camera
    identity: Identity
    motion: Motion


@dataclass(frozen=True)
class Observation:
    """Landmarks `xy` [T L 2] of the model's first L vertices, trusted by `weight` [T L] ≥ 0.

    `sigma` is a landmark's expected error in pixels.
    """

    xy: Tensor
    weight: Tensor
    sigma: float


@dataclass(frozen=True)
class Smoothness:
    """Expected second difference of pose (radians, metres across and in depth) and expression."""

    rotation: float
    across: float
    depth: float
    mouth: float
    upper: float


@dataclass(frozen=True)
class Information:
    """Normal equations of residuals r with Jacobians J: JᵀJ and Jᵀr, per frame [T D D] and [T D].

    `cross` [T D S+1], `shared` [S+1 S+1] and `shared_right` [S+1] where shared unknowns take part.
    """

    blocks: Tensor
    right: Tensor
    cross: Tensor | None = None
    shared: Tensor | None = None
    shared_right: Tensor | None = None


@dataclass(frozen=True)
class Projected:
    """Landmarks where a fit has them: `turned` [T L 3] by the head's rotation [T 3 3], d(pixels) /
    d(camera point) [T L 2 3], pixels [T L 2] and residuals (less the observation)."""

    rotation: Tensor
    turned: Tensor
    project: Tensor
    xy: Tensor
    residual: Tensor


def projected(model: MorphableModel, fit: Fit, seen: Observation) -> Projected:
    count = seen.xy.shape[1]
    bases = torch.cat([model.mouth, model.upper])[:, :count]
    codes = torch.cat([fit.motion.mouth, fit.motion.upper], -1)
    shape = model.shape(fit.identity.shape, fit.identity.offset)[:count]
    local = shape + torch.einsum("tk,klc->tlc", codes, bases)
    rotation = matrix_from_axis_angle(fit.motion.rotation)
    turned = local @ rotation.mT
    points = turned + fit.motion.translation[:, None]
    xy = fit.camera.pixels_from_camera(points)
    x, y, z = points.unbind(-1)
    zero = torch.zeros_like(z)
    across = -fit.camera.focal / z
    # Columns x, y, z; rows down the image, hence the sign of y.
    project = torch.stack(
        [
            torch.stack([across, zero, -across * x / z], -1),
            torch.stack([zero, -across, across * y / z], -1),
        ],
        -2,
    )
    return Projected(rotation, turned, project, xy, xy - seen.xy)


@dataclass(frozen=True)
class Linearised:
    """Residuals r [T L 2] of the landmarks and their Jacobians [T L 2 D] and [T L 2 S+1]."""

    residual: Tensor
    frame: Tensor
    shared: Tensor | None


def linearise(model: MorphableModel, fit: Fit, seen: Observation, shared: bool) -> Linearised:
    """Residuals (prediction − observation, pixels) and exact Jacobians at the current fit.

    The Jacobians of many frames fill memory: `equations` has their products without them.
    """
    at, count = projected(model, fit, seen), seen.xy.shape[1]
    bases = torch.cat([model.mouth, model.upper])[:, :count]
    spin = -cross_matrix(at.turned) @ left_jacobian(fit.motion.rotation)[:, None]
    moves = torch.einsum("tij,klj->tlik", at.rotation, bases)
    frame = torch.cat([at.project @ spin, at.project, at.project @ moves], -1)
    by_shared = None
    if shared:
        moves = torch.einsum("tij,klj->tlik", at.rotation, model.identity[:, :count])
        centre = torch.tensor(fit.camera.centre, dtype=at.xy.dtype)
        by_shared = torch.cat([at.project @ moves, (at.xy - centre)[..., None]], -1)
    return Linearised(at.residual, frame, by_shared)


def equations(model: MorphableModel, fit: Fit, seen: Observation, shared: bool) -> Information:
    """What landmarks tell of every frame's unknowns (and of the `shared` ones), robustly."""
    at, count = projected(model, fit, seen), seen.xy.shape[1]
    bases = [model.mouth, model.upper, *([model.identity] if shared else [])]
    spin = torch.linalg.cross(at.turned[:, :, None], at.project).flatten(1, 2)
    spin = (spin @ left_jacobian(fit.motion.rotation)).unflatten(1, (count, 2))
    centre = torch.tensor(fit.camera.centre, dtype=at.xy.dtype)
    zoom = [(at.xy - centre)[..., None]] if shared else []
    blocks, right = gram(
        torch.cat([*zoom, spin, at.project], -1).numpy(),
        (at.project.flatten(1, 2) @ at.rotation).unflatten(1, (count, 2)).numpy(),
        torch.cat(bases)[:, :count].permute(1, 2, 0).contiguous().numpy(),
        robust_weight(at.residual, seen).numpy(),
        at.residual.numpy(),
    )
    left, right = torch.from_numpy(blocks), torch.from_numpy(right)
    if not shared:
        return Information(left, right)
    # The focal length came first; it belongs last.
    left, right = left.roll((-1, -1), (1, 2)), right.roll(-1, 1)
    size = left.shape[-1] - len(model.identity) - 1
    return Information(
        left[:, :size, :size], right[:, :size], left[:, :size, size:],
        left[:, size:, size:].sum(0), right[:, size:].sum(0),
    )  # fmt: skip


def robust_weight(residual: Tensor, seen: Observation) -> Tensor:
    """Cauchy weights [T L]: a landmark three sigmas off counts half."""
    error = residual.square().sum(-1) / (3 * seen.sigma) ** 2
    return seen.weight / (1 + error) / seen.sigma**2


def _priors(model: MorphableModel, motion: Motion) -> tuple[Tensor, Tensor]:
    """Diagonal and gradient of the expression prior: unit variance a coefficient, none on pose."""
    codes = torch.cat([motion.mouth, motion.upper], -1)
    pose = codes.new_zeros(len(codes), POSE)
    return torch.cat([pose, torch.ones_like(codes)], -1), torch.cat([pose, codes], -1)


def stepped(motion: Motion, change: Tensor) -> Motion:
    """The motion after adding a change [T D] of the frames' unknowns."""
    sizes = [3, 3, motion.mouth.shape[-1], motion.upper.shape[-1]]
    parts = change.split(sizes, dim=-1)
    values = (motion.rotation, motion.translation, motion.mouth, motion.upper)
    return Motion(*(value + part for value, part in zip(values, parts, strict=True)))


@dataclass(frozen=True)
class Reduced:
    """One clip's normal equations on the shared unknowns [S+1]; `frames` [T D S+2] leads back."""

    matrix: Tensor
    right: Tensor
    frames: Tensor


def reduced(
    model: MorphableModel, fit: Fit, seen: Observation, pictures: Information | None = None
) -> Reduced:
    """Eliminate the frames: they are independent of each other given the shared unknowns."""
    told = equations(model, fit, seen, shared=True)
    assert told.cross is not None
    assert told.shared is not None
    assert told.shared_right is not None
    diagonal, gradient = _priors(model, fit.motion)
    a_tt, b_t = told.blocks + torch.diag_embed(diagonal + 1e-6), told.right + gradient
    a_ts, a_ss, b_s = told.cross, told.shared, told.shared_right
    if pictures is not None:
        assert pictures.cross is not None
        assert pictures.shared is not None
        assert pictures.shared_right is not None
        a_tt, a_ts, a_ss = a_tt + pictures.blocks, a_ts + pictures.cross, a_ss + pictures.shared
        b_t, b_s = b_t + pictures.right, b_s + pictures.shared_right
    solved = torch.linalg.solve(a_tt, torch.cat([a_ts, b_t[..., None]], -1))
    matrix = a_ss - (a_ts.transpose(1, 2) @ solved[..., :-1]).sum(0)
    right = b_s - (a_ts.transpose(1, 2) @ solved[..., -1:]).sum(0)[:, 0]
    return Reduced(matrix, right, solved)


def joint_step(
    model: MorphableModel,
    fits: Sequence[Fit],
    seen: Sequence[Observation],
    focal_sigma: float,
    focal_guesses: Sequence[float],
    pictures: Sequence[Information] | None = None,
) -> list[Fit]:
    """One Gauss-Newton step of one person in several clips: pose and expression of every frame,
    the identity that all clips share, and each clip's focal length, together.

    The shared unknowns [S + clips] are solved first on the Schur complement. A focal length is
    log-normal about its guess. `pictures` adds what each clip's frames themselves tell, linearised
    at the same fits.
    """
    shape = fits[0].identity.shape
    told = pictures or [None] * len(fits)
    parts = [reduced(model, *clip) for clip in zip(fits, seen, told, strict=True)]
    away = [np.log(f.camera.focal / guess) for f, guess in zip(fits, focal_guesses, strict=True)]
    prior = torch.cat([torch.ones_like(shape), shape.new_full([len(fits)], focal_sigma**-2)])
    matrix, right = torch.diag(prior), prior * torch.cat([shape, shape.new_tensor(away)])
    owned = [torch.tensor([*range(len(shape)), len(shape) + clip]) for clip in range(len(fits))]
    for own, part in zip(owned, parts, strict=True):
        matrix[own[:, None], own] += part.matrix
        right[own] += part.right
    change = -torch.linalg.solve(matrix, right)
    identity = replace(fits[0].identity, shape=shape + change[: len(shape)])
    stepped_fits = []
    for own, part, fit in zip(owned, parts, fits, strict=True):
        frames = -(part.frames[..., -1] + part.frames[..., :-1] @ change[own])
        grown = float(change[own[-1]].clamp(-0.3, 0.3).exp())
        camera = replace(fit.camera, focal=fit.camera.focal * grown)
        stepped_fits.append(Fit(camera, identity, stepped(fit.motion, frames)))
    return stepped_fits


def offset_of(
    model: MorphableModel, fits: Sequence[Fit], seen: Sequence[Observation], sigma_metres: float
) -> Tensor:
    """The person's own shape [L 3] beyond the identity basis: what all frames of all clips leave.

    A landmark's offset is a small ridge problem of its own; its prior keeps what no view shows.
    """
    total = sum(len(fit.motion) for fit in fits)
    offset = fits[0].identity.offset[: seen[0].xy.shape[1]]
    a, b = offset.new_zeros(len(offset), 3, 3), offset.new_zeros(len(offset), 3)
    for fit, look in zip(fits, seen, strict=True):
        lines = linearise(model, fit, look, shared=False)
        weight = robust_weight(lines.residual, look)
        rotation = matrix_from_axis_angle(fit.motion.rotation)
        by_point = lines.frame[..., 3:POSE] @ rotation[:, None]
        # Frames see the same bias again and again: their mean counts, not their number.
        left = by_point * weight[..., None, None] / total
        a += torch.einsum("tlic,tlid->lcd", left, by_point)
        b += torch.einsum("tlic,tli->lc", left, lines.residual)
    ridge = torch.eye(3, dtype=a.dtype) / sigma_metres**2
    return offset - torch.linalg.solve(a + ridge, b[..., None])[..., 0]


def second_difference_bands(linked: np.ndarray) -> np.ndarray:
    """Upper bands [3 T] of DᵀD, D the second differences that no cut interrupts.

    Band `lag` at t couples frames t and t + lag.
    """
    bands = np.zeros((3, len(linked)))
    inner = np.flatnonzero(linked[1:-1] & linked[2:]) + 1
    stencil = ((-1, 1.0), (0, -2.0), (1, 1.0))
    for i, a in stencil:
        for j, b in stencil:
            if j >= i:
                np.add.at(bands[j - i], inner + i, a * b)
    return bands


def motion_step(
    model: MorphableModel,
    fit: Fit,
    seen: Observation,
    smooth: Smoothness,
    linked: np.ndarray,
    anchored: int,
    pictures: Information | None = None,
) -> Fit:
    """One Gauss-Newton step of all frames' motion, with second differences over time.

    `linked` [T] says that frame t continues frame t − 1 (false at cuts). The first `anchored`
    frames are already known and stay. The normal matrix is banded: Cholesky is exact and linear
    in time. `pictures` adds what the frames themselves tell, linearised at the same fit.
    """
    told = equations(model, fit, seen, shared=False)
    diagonal, gradient = _priors(model, fit.motion)
    blocks, right = told.blocks + torch.diag_embed(diagonal + 1e-9), told.right + gradient
    if pictures is not None:
        blocks, right = blocks + pictures.blocks, right + pictures.right
    return replace(fit, motion=smooth_step(fit.motion, blocks, right, smooth, linked, anchored))


def smooth_step(
    motion: Motion,
    blocks: Tensor,
    right: Tensor,
    smooth: Smoothness,
    linked: np.ndarray,
    anchored: int = 0,
) -> Motion:
    """The step of `motion_step` from normal equations of the frames, `blocks` [T D D] and `right`
    [T D], and the second differences of the motion."""
    values = torch.cat([motion.rotation, motion.translation, motion.mouth, motion.upper], -1)
    frames, size = values.shape
    stiffness = (
        np.repeat(
            [smooth.rotation, smooth.across, smooth.depth, smooth.mouth, smooth.upper],
            [3, 2, 1, motion.mouth.shape[-1], motion.upper.shape[-1]],
        ).astype(float)
        ** -2
    )
    bands = second_difference_bands(linked)
    blocks_np = blocks.numpy().copy()
    b_np = right.numpy().copy()
    v = values.numpy()
    for lag in range(3):
        if frames > lag:
            pull = bands[lag, : frames - lag, None] * stiffness
            b_np[: frames - lag] += pull * v[lag:]
            if lag:
                b_np[lag:] += pull * v[: frames - lag]
    blocks_np[:, np.arange(size), np.arange(size)] += bands[0][:, None] * stiffness
    blocks_np[:anchored, np.arange(size), np.arange(size)] += 1e12
    width = 2 * size
    banded = np.zeros((width + 1, frames * size))
    columns = np.arange(frames)[:, None] * size
    for k in range(size):
        j = np.arange(k, size)
        banded[width - k, (columns + j).ravel()] = blocks_np[:, j - k, j].ravel()
    for lag in (1, 2):
        if frames > lag:
            at = np.arange(lag * size, frames * size)
            banded[width - lag * size, at] += (bands[lag, : frames - lag, None] * stiffness).ravel()
    change = -solveh_banded(banded, b_np.ravel(), check_finite=True).reshape(frames, size)
    return stepped(motion, torch.from_numpy(change).to(values))
