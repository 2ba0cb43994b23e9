"""The movement extractor: what its codes ignore, how people are told apart, and invented ones."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from prior.motion.movement import (
    Movement,
    MovementNetwork,
    MovementShape,
    load_movement,
    log_deviation,
)
from prior.training.fitting import Fitting
from prior.training.train_movement import (
    TEMPERATURE,
    MovementTraining,
    draw_people,
    fit_movement,
    resampled,
    supervised_contrast,
)

SMALL = MovementShape(mouth=3, width=8, code=4, dropout=0.0)


def test_posture_leaves_no_trace_in_a_code() -> None:
    """Kills a code that reads anatomy off the mean mouth instead of the motion."""
    network = MovementNetwork(SMALL).eval()
    mouth = torch.randn(2, 40, 3)
    torch.testing.assert_close(
        network(mouth), network(mouth + torch.tensor([5.0, -3, 1])), rtol=0, atol=1e-5
    )


def test_still_mouths_have_finite_gradients() -> None:
    """Kills a square root or a logarithm at 0: a loss starts at generators that hardly move."""
    mouth = torch.zeros(1, 40, 3, requires_grad=True)
    movement = Movement(MovementNetwork(SMALL).eval(), {})
    movement.distance(mouth, torch.ones(1, 4)).sum().backward()
    assert mouth.grad is not None
    assert bool(torch.isfinite(mouth.grad).all())


def test_log_deviation_is_that_of_numpy() -> None:
    values = torch.randn(1, 2, 50, dtype=torch.float64)
    expected = np.log(values.numpy().std(2))
    np.testing.assert_allclose(log_deviation(values, 1e-9).numpy(), expected, rtol=0, atol=1e-9)


def test_supervised_contrast_equals_its_brute_force_twin() -> None:
    """Kills a window counted as its own positive, and positives averaged inside the logarithm."""
    codes = torch.nn.functional.normalize(torch.randn(6, 3, dtype=torch.float64), dim=1)
    person = [0, 0, 0, 1, 1, 2 - 1]
    found = supervised_contrast(codes, torch.tensor(person))
    for i in range(6):
        weights = {j: math.exp(codes[i] @ codes[j] / TEMPERATURE) for j in range(6) if j != i}
        positives = [j for j in weights if person[j] == person[i]]
        logs = [math.log(weights[j] / sum(weights.values())) for j in positives]
        assert float(found[i]) == pytest.approx(-sum(logs) / len(logs))


def test_an_invented_persons_windows_share_one_manner() -> None:
    """Kills stretches drawn for each window: then nothing tells a person from another."""
    random = np.random.default_rng(0)
    motions = {"a": [random.normal(size=(5000, 3))]}
    config = MovementTraining(people=6, windows=4)
    windows, owners = draw_people(motions, config, random)
    assert owners.tolist() == sorted(list(range(6)) * 4)
    spread = windows.std(1).log().reshape(6, 4, 3)
    within, between = spread.std(1).mean(), spread.mean(1).std(0).mean()
    assert between > 3 * within


def test_mouths_are_read_25_times_a_second_across_lost_faces() -> None:
    """Kills frames counted as moments at 30 frames a second, and lost faces that move the clock."""
    frames = np.arange(90)
    valid = np.ones(90, bool)
    valid[40:50] = False
    mouth = np.where(valid[:, None], frames[:, None] / 30.0, 1e3)
    found = resampled(mouth, valid, 30.0)
    np.testing.assert_allclose(found[:, 0], np.arange(len(found)) / 25, rtol=0, atol=1e-9)
    assert len(found) == 75


def test_training_tells_two_people_apart(tmp_path: Path) -> None:
    """Kills a loss with its sign turned: windows of one person come nearer than others'."""
    random = np.random.default_rng(1)
    motions = {
        "fast": [random.normal(size=(400, 3))],
        "slow": [random.normal(size=(400, 3)).cumsum(0) * 0.2],
    }
    torch.manual_seed(0)
    network = MovementNetwork(SMALL)
    config = MovementTraining(Fitting(30, warm_up=5), people=6, windows=2)
    losses = [s.terms["nats"] for s in fit_movement(network, motions, config, tmp_path / "m", {})]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.2


def test_the_shipped_extractor_loads_and_knows_a_person_again() -> None:
    """Kills weights of other sizes, and codes that depend on which moments a window shows."""
    random = np.random.default_rng(2)
    base = torch.from_numpy(random.normal(size=(2, 400, 20))).float()
    smooth = torch.nn.functional.avg_pool1d(base.transpose(1, 2), 7, 1, 3).transpose(1, 2)
    first, second = smooth[0] * torch.linspace(0.3, 3, 20), smooth[1] * torch.linspace(3, 0.3, 20)
    movement = load_movement()
    mine, other = movement.code(first[:200]), movement.code(second[:200])
    later = first[None, 200:264]
    assert float(movement.distance(later, mine[None])) < float(
        movement.distance(later, other[None])
    )
    assert float(mine.norm()) == pytest.approx(1, abs=1e-5)
    assert movement.code(first[:10]).shape == mine.shape
