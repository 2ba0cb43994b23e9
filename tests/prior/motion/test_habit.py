"""A person's habits from seconds of them."""

import torch

from prior.motion.habit import LEAST_SECONDS, learned_habit


def person(seconds: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    truth = torch.randn(6, 3, generator=torch.Generator().manual_seed(9))
    understood = 2 + torch.randn(round(25 * seconds), 6, generator=random)
    return understood, (understood - 2) @ truth + 0.7, truth


def test_minutes_teach_a_habit_and_its_posture() -> None:
    """Kills a habit learned of the wrong side, a mean left in the slope, a posture lost."""
    understood, missed, truth = person(1800)
    habit = learned_habit(understood, missed, 25)
    assert habit is not None
    assert torch.allclose(habit.weights, truth, atol=0.15)
    fresh, expected, _ = person(20, seed=1)
    assert float((habit(fresh) - expected).abs().mean()) < 0.1


def test_seconds_teach_posture_alone() -> None:
    """Kills a ridge that does not grow as footage gets short: seven seconds must not be learned by
    heart, but where the lips are held is known."""
    understood, missed, truth = person(7)
    habit = learned_habit(understood, missed, 25)
    assert habit is not None
    assert float(habit.weights.norm()) < 0.1 * float(truth.norm())
    assert float((habit(understood).mean(0) - 0.875 * missed.mean(0)).abs().max()) < 1e-3


def test_a_habit_does_not_depend_on_the_frame_rate() -> None:
    """Kills a penalty counted in frames."""
    understood, missed, _ = person(30)
    slow = learned_habit(understood, missed, 25)
    fast = learned_habit(understood.repeat_interleave(2, 0), missed.repeat_interleave(2, 0), 50)
    assert slow is not None
    assert fast is not None
    assert torch.allclose(slow.weights, fast.weights, atol=1e-4)


def test_a_few_seconds_teach_nothing() -> None:
    """Kills seconds counted in frames of 25: on strangers such habits open shut lips by 2 mm."""
    understood, missed, _ = person(LEAST_SECONDS)
    assert learned_habit(understood[:-1], missed[:-1], 25) is None
    assert learned_habit(understood, missed, 50) is None
    assert learned_habit(understood, missed, 25) is not None
    assert learned_habit(torch.zeros(0, 6), torch.zeros(0, 3), 25) is None
