"""The solver against finite differences and dense algebra, all in float64."""

from dataclasses import replace

import numpy as np
import torch
from moving_head import CAMERA, detected, joined, somebody, speaking
from torch import Tensor

from core.camera import Camera
from face3d.morphable import MorphableModel, default_model
from face3d.solve import (
    POSE,
    Fit,
    Observation,
    Smoothness,
    joint_step,
    linearise,
    motion_step,
    offset_of,
    robust_weight,
    second_difference_bands,
    stepped,
)
from face3d.topology import LANDMARKS
from face3d.track import Identity, Motion

SMOOTH = Smoothness(rotation=0.004, across=0.0006, depth=0.004, mouth=0.8, upper=0.6)


def small_model() -> MorphableModel:
    """Bases of 3, 4 and 2 vectors, so that dense twins stay small."""
    model = default_model().to(torch.float64)
    return replace(model, identity=model.identity[:3], mouth=model.mouth[:4], upper=model.upper[:2])


MODEL = small_model()
SIZE = POSE + 6


def double(motion: Motion) -> Motion:
    return Motion(*(v.double() for v in vars(motion).values()))


def cut_to_model(motion: Motion) -> Motion:
    return replace(double(motion), mouth=motion.mouth[:, :4].double(),
                   upper=motion.upper[:, :2].double())  # fmt: skip


def problem(frames: int) -> tuple[Fit, Observation]:
    """A fit that is off in everything, and what was really seen of every third landmark."""
    truth = cut_to_model(speaking(frames))
    who = Identity(
        somebody().shape[:3].double(), 0.001 * torch.ones(LANDMARKS, 3, dtype=torch.float64)
    )
    seen = detected(who, truth, noise=0.5, model=MODEL)
    weight = torch.zeros(frames, LANDMARKS, dtype=torch.float64)
    weight[:, ::3] = 1.0
    random = torch.Generator().manual_seed(2)
    off = 0.02 * torch.randn(frames, SIZE, generator=random, dtype=torch.float64)
    guess = replace(who, shape=who.shape + 0.3)
    xy = torch.from_numpy(seen.xy[:, :LANDMARKS]).double()
    return Fit(CAMERA, guess, stepped(truth, off)), Observation(xy, weight, 2.0)


def moved(fit: Fit, frames: Tensor, shared: Tensor) -> Fit:
    """The fit after a change of every unknown."""
    camera = replace(fit.camera, focal=fit.camera.focal * float(shared[-1].exp()))
    identity = replace(fit.identity, shape=fit.identity.shape + shared[:-1])
    return Fit(camera, identity, stepped(fit.motion, frames))


def unknowns(frames: int) -> tuple[Tensor, Tensor]:
    return torch.zeros(frames, SIZE, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)


def test_jacobians_are_derivatives() -> None:
    """Kills a wrong sign of y or z, the right Jacobian, and a rotation applied twice: every column
    against central differences, of a turned head off the axis with a camera off its centre."""
    fit, seen = problem(2)
    fit = replace(fit, camera=Camera(900.0, (200.0, 310.0), 512, 512))
    lines = linearise(MODEL, fit, seen, shared=True)
    step = 1e-6
    for column in range(SIZE + 4):
        frames, shared = unknowns(2)
        if column < SIZE:
            frames[:, column] = step
        else:
            shared[column - SIZE] = step
        ahead = linearise(MODEL, moved(fit, frames, shared), seen, shared=False).residual
        behind = linearise(MODEL, moved(fit, -frames, -shared), seen, shared=False).residual
        assert lines.shared is not None
        exact = torch.cat([lines.frame, lines.shared], -1)[..., column]
        torch.testing.assert_close((ahead - behind) / (2 * step), exact, atol=2e-4, rtol=0)


def dense_rows(fit: Fit, seen: Observation) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the landmarks over all frames' unknowns then the shared ones, whitened."""
    lines = linearise(MODEL, fit, seen, shared=True)
    assert lines.shared is not None
    root = robust_weight(lines.residual, seen).sqrt()[..., None]
    count = len(fit.motion)
    rows = np.zeros((count, LANDMARKS * 2, count * SIZE + 4))
    for t in range(count):
        rows[t, :, t * SIZE : (t + 1) * SIZE] = (lines.frame[t] * root[t, ..., None]).flatten(0, 1)
        rows[t, :, count * SIZE :] = (lines.shared[t] * root[t, ..., None]).flatten(0, 1)
    return rows.reshape(-1, count * SIZE + 4), (lines.residual * root).flatten().numpy()


def values_of(motion: Motion) -> np.ndarray:
    return torch.cat([*vars(motion).values()], -1).numpy()


def expression_rows(fit: Fit, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The unit prior of every frame's expression as rows."""
    picks = [t * SIZE + k for t in range(len(fit.motion)) for k in range(POSE, SIZE)]
    return np.eye(columns)[picks], values_of(fit.motion)[:, POSE:].ravel()


def test_a_joint_step_is_the_dense_gauss_newton_step() -> None:
    """Kills a wrong Schur complement, a forgotten prior and a focal length on a linear scale."""
    fit, seen = problem(3)
    guess, sigma = 1000.0, 0.05
    a, r = dense_rows(fit, seen)
    b, s = expression_rows(fit, a.shape[1])
    c = np.eye(a.shape[1])[-4:]
    c[-1] /= sigma
    away = [*fit.identity.shape.tolist(), np.log(fit.camera.focal / guess) / sigma]
    change = -np.linalg.lstsq(np.concatenate([a, b, c]), np.concatenate([r, s, away]), rcond=None)[
        0
    ]
    expected = moved(fit, torch.from_numpy(change[:-4].reshape(3, SIZE)), torch.tensor(change[-4:]))
    [result] = joint_step(MODEL, [fit], [seen], sigma, [guess])
    np.testing.assert_allclose(values_of(result.motion), values_of(expected.motion), atol=1e-6)
    torch.testing.assert_close(result.identity.shape, expected.identity.shape, atol=1e-6, rtol=0)
    assert abs(result.camera.focal - expected.camera.focal) < 1e-3


def test_a_joint_step_of_two_clips_is_the_dense_one() -> None:
    """Kills clips that pull each other's focal length, an identity of their own, and a prior on the
    shape that counts once a clip."""
    whole, seen = problem(5)
    near, far = whole.camera, replace(whole.camera, focal=1.1 * whole.camera.focal)
    fits = [replace(whole, motion=whole.motion[:2]), Fit(far, whole.identity, whole.motion[2:])]
    looks = [
        Observation(seen.xy[run], seen.weight[run], sigma)
        for run, sigma in ((slice(2), 2.0), (slice(2, None), 3.0))
    ]
    guesses, focal_sigma = [1000.0, 1050.0], 0.05
    frames = 5 * SIZE
    rows, right = [], []
    for clip, (fit, look) in enumerate(zip(fits, looks, strict=True)):
        a, r = dense_rows(fit, look)
        own = len(fit.motion) * SIZE
        placed = np.zeros((len(a), frames + 5))
        start = 0 if clip == 0 else 2 * SIZE
        placed[:, start : start + own] = a[:, :own]
        placed[:, frames : frames + 3] = a[:, own : own + 3]
        placed[:, frames + 3 + clip] = a[:, -1]
        rows.append(placed)
        right.append(r)
    prior, off = expression_rows(whole, frames + 5)
    shared = np.eye(frames + 5)[-5:]
    shared[-2:] /= focal_sigma
    away = [
        np.log(fit.camera.focal / guess) / focal_sigma
        for fit, guess in zip(fits, guesses, strict=True)
    ]
    rows, right = [*rows, prior, shared], [*right, off, [*whole.identity.shape.tolist(), *away]]
    change = -np.linalg.lstsq(np.concatenate(rows), np.concatenate(right), rcond=None)[0]
    found = joint_step(MODEL, fits, looks, focal_sigma, guesses)
    moved_frames = np.concatenate([values_of(fit.motion) for fit in found])
    np.testing.assert_allclose(
        moved_frames, values_of(whole.motion) + change[:frames].reshape(5, SIZE), atol=1e-6
    )
    for fit in found:
        np.testing.assert_allclose(
            fit.identity.shape, whole.identity.shape + change[frames : frames + 3], atol=1e-6
        )
    for fit, camera, grown in zip(found, (near, far), change[-2:], strict=True):
        assert abs(fit.camera.focal - camera.focal * np.exp(grown)) < 1e-3


def second_differences(linked: np.ndarray) -> np.ndarray:
    """D, one row for three frames of one shot, written out."""
    rows = []
    for t in range(1, len(linked) - 1):
        if linked[t] and linked[t + 1]:
            row = np.zeros(len(linked))
            row[t - 1 : t + 2] = 1.0, -2.0, 1.0
            rows.append(row)
    return np.array(rows).reshape(-1, len(linked))


LINKS = [
    [False],
    [False, True],
    [False, True, True],
    [False, True, True, True, False, True, True],
    [False, True, False, True, True, False],
]


def test_bands_are_those_of_second_differences() -> None:
    """Kills bands shifted by one frame, a bend across a cut, and runs too short to bend."""
    for links in LINKS:
        linked = np.array(links)
        d = second_differences(linked)
        expected = d.T @ d
        bands = second_difference_bands(linked)
        for lag in range(3):
            diagonal = np.diagonal(expected, lag)
            np.testing.assert_array_equal(bands[lag, : len(diagonal)], diagonal)
            assert not bands[lag, len(diagonal) :].any()


def test_a_motion_step_is_the_dense_gauss_newton_step() -> None:
    """Kills a wrong band layout, a lost gradient of the smoothness and stiffness that is not
    squared: with a cut, and with runs of one and two frames."""
    stiff = np.repeat([0.004, 0.0006, 0.004, 0.8, 0.6], [3, 2, 1, 4, 2]) ** -1.0
    for links in LINKS:
        linked = np.array(links)
        fit, seen = problem(len(linked))
        a, r = dense_rows(fit, seen)
        b, s = expression_rows(fit, a.shape[1])
        d = np.kron(second_differences(linked), np.diag(stiff))
        bend = d @ values_of(fit.motion).ravel()
        a, b = a[:, :-4], b[:, :-4]
        change = -np.linalg.lstsq(
            np.concatenate([a, b, d]), np.concatenate([r, s, bend]), rcond=None
        )[0]
        expected = values_of(fit.motion) + change.reshape(-1, SIZE)
        result = motion_step(MODEL, fit, seen, SMOOTH, linked, anchored=0)
        np.testing.assert_allclose(values_of(result.motion), expected, atol=1e-6)


def test_anchored_frames_stay_and_still_hold_the_others() -> None:
    """Kills anchors that drift, and anchors left out of time: the next frame feels them."""
    fit, seen = problem(6)
    linked = np.array([False] + [True] * 5)
    free = motion_step(MODEL, fit, seen, SMOOTH, linked, anchored=0)
    held = motion_step(MODEL, fit, seen, SMOOTH, linked, anchored=3)
    np.testing.assert_allclose(values_of(held.motion)[:3], values_of(fit.motion)[:3], atol=1e-5)
    assert np.abs(values_of(held.motion)[3] - values_of(free.motion)[3]).max() > 1e-4


def test_the_smallest_weight_goes_to_the_farthest_landmark() -> None:
    """Kills robustness upside down: three sigmas off counts half, weight over sigma squared."""
    seen = Observation(torch.zeros(1, 3, 2), torch.tensor([[1.0, 1.0, 2.0]]), 2.0)
    residual = torch.tensor([[[0.0, 0.0], [0.0, 6.0], [0.0, 0.0]]])
    torch.testing.assert_close(robust_weight(residual, seen), torch.tensor([[0.25, 0.125, 0.5]]))


def test_the_offset_explains_what_all_frames_agree_on() -> None:
    """Kills an offset in camera space, of the wrong sign, or one that eats noise: a bump on the
    nose is found from turned heads, and nothing elsewhere."""
    truth = cut_to_model(joined(speaking(12), speaking(12, seed=4)))
    truth.rotation[:12, 1] += 0.7
    bump = torch.zeros(LANDMARKS, 3, dtype=torch.float64)
    bump[4] = torch.tensor([0.003, 0.002, 0.004])
    who = Identity(somebody().shape[:3].double(), bump)
    seen = detected(who, truth, noise=0.0, model=MODEL)
    look = Observation(
        torch.from_numpy(seen.xy[:, :LANDMARKS]).double(),
        torch.ones(24, LANDMARKS, dtype=torch.float64), 1.0,
    )  # fmt: skip
    start = Fit(CAMERA, replace(who, offset=torch.zeros_like(bump)), truth)
    found = offset_of(MODEL, [start], [look], sigma_metres=0.01)
    torch.testing.assert_close(found[4], bump[4], atol=8e-4, rtol=0)
    others = torch.arange(LANDMARKS) != 4
    assert float(found[others].abs().max()) < 1e-5
    runs = (slice(5), slice(5, None))
    apart = [replace(start, motion=truth[run]) for run in runs]
    looks = [replace(look, xy=look.xy[run], weight=look.weight[run]) for run in runs]
    torch.testing.assert_close(offset_of(MODEL, apart, looks, sigma_metres=0.01), found)
