"""Checkpoints: a run that stops and goes on ends as if it had not stopped."""

from pathlib import Path

import pytest
import torch
from torch import nn

from core.errors import InputError
from prior.training.checkpoint import load_checkpoint, save_checkpoint


class Run:
    """A tiny training whose batches are random and whose rates differ by group."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        groups = [
            {"params": self.module[0].parameters(), "lr": 0.05},
            {"params": self.module[2].parameters(), "lr": 0.01},
        ]
        self.optimiser = torch.optim.Adam(groups)
        self.generator = torch.Generator().manual_seed(7)

    def steps(self, count: int) -> "Run":
        for _ in range(count):
            x = torch.randn(8, 3, generator=self.generator)
            self.optimiser.zero_grad()
            (self.module(x) - x.sum(1, keepdim=True)).square().mean().backward()
            self.optimiser.step()
        return self

    def save(self, path: Path) -> None:
        save_checkpoint(path, self.module, self.optimiser, self.generator, {"step": 3})

    def load(self, path: Path) -> dict:
        return load_checkpoint(path, self.module, self.optimiser, self.generator)


def test_three_steps_and_three_more_are_six(tmp_path: Path) -> None:
    """Kills forgotten moments, step counts of Adam, and batches drawn again from the start."""
    whole = Run().steps(6)
    Run().steps(3).save(tmp_path / "c.safetensors")
    again = Run().steps(1)
    assert again.load(tmp_path / "c.safetensors")["step"] == 3
    again.steps(3)
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, again.module.state_dict()[name]), name
    assert [g["lr"] for g in again.optimiser.param_groups] == [0.05, 0.01]
    assert torch.equal(whole.generator.get_state(), again.generator.get_state())


def test_a_checkpoint_before_the_first_step_is_one_too(tmp_path: Path) -> None:
    """Kills an optimiser state that must not be empty."""
    Run().save(tmp_path / "c.safetensors")
    again = Run().steps(2)
    again.load(tmp_path / "c.safetensors")
    again.steps(2)
    expected = Run().steps(2).module.state_dict()
    assert all(torch.equal(v, again.module.state_dict()[k]) for k, v in expected.items())


def test_another_file_is_no_checkpoint(tmp_path: Path) -> None:
    """Kills weights loaded from whatever lies there."""
    (tmp_path / "c.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="not a checkpoint"):
        Run().load(tmp_path / "c.safetensors")
