"""The small training loop: stopped and gone on with, refused, diverged."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core.errors import DivergedError, InputError
from prior.training.fitting import Fitting, fit

FITTING = Fitting(steps=7, warm_up=2, save_every=3, seed=5)


def module() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))


def loss_of(net: nn.Module):
    def loss(seed: int) -> dict[str, Tensor]:
        batch = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))
        return {"square": (net(batch) - batch.sum(1, keepdim=True)).square().mean()}

    return loss


def test_a_stopped_training_ends_in_the_same_weights(tmp_path: Path) -> None:
    """Kills forgotten optimiser memory, restarted schedules, and dropout that goes its own way."""
    whole, parts = module(), module()
    list(fit("a", whole, loss_of(whole), FITTING, tmp_path / "whole", {"x": 1}))
    for step in fit("a", parts, loss_of(parts), FITTING, tmp_path / "parts", {"x": 1}):
        if step.index == 5:
            break
    again = module()
    steps = [
        s.index for s in fit("a", again, loss_of(again), FITTING, tmp_path / "parts", {"x": 1})
    ]
    assert steps == [4, 5, 6, 7]
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not again.training


def test_the_rate_rises_and_falls_to_nothing() -> None:
    """Kills a warm-up that starts at 0 and a cosine that ends early."""
    rates = [Fitting(steps=10, rate=1.0, warm_up=2).rate_at(step) for step in range(11)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[10] == pytest.approx(0)
    assert rates[6] == pytest.approx(0.5)


def test_another_training_and_a_diverged_one_are_refused(tmp_path: Path) -> None:
    net = module()
    list(fit("a", net, loss_of(net), FITTING, tmp_path / "kept", {"people": ["a"]}))
    with pytest.raises(InputError, match="another configuration or other people"):
        next(fit("a", net, loss_of(net), FITTING, tmp_path / "kept", {"people": ["b"]}))
    wrong = {"fine": torch.tensor(1.0), "bad": torch.tensor(torch.nan)}
    with pytest.raises(DivergedError, match="step 0 in its bad term"):
        next(fit("a", net, lambda seed: wrong, FITTING, tmp_path / "new", {}))
