"""Processes that train together: two of them learn what one with the double batch learns."""

import os
import socket
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from torch import Tensor

import prior.training.train_renderer as training
from prior.painting.conditions import Conditions
from prior.painting.grade import Grade
from prior.training.ranks import Ranks, joined
from prior.training.train_renderer import Batch, PriorState, RendererTraining, propagate
from render.deferred import RendererConfig

CPU = torch.device("cpu")
SIDE = 32


def small_state() -> PriorState:
    """A small network that is the same in every process, and a texture for each of four slots."""
    torch.manual_seed(5)
    starts = [torch.rand(16, SIDE, SIDE) - 0.5 for _ in range(4)]
    config = RendererTraining(renderer=RendererConfig(widths=(8, 8, 8, 8)))
    state = PriorState(starts, config)
    torch.nn.init.normal_(state.shared.renderer.head.weight, std=0.05)
    torch.nn.init.normal_(state.shared.start.head.weight, std=0.05)
    return state


def batch_of(slots: tuple[int, ...]) -> Batch:
    """Made-up samples that depend on their slots alone; one is tinted and one relit."""
    parts, lights = [], []
    for slot in slots:
        random = torch.Generator().manual_seed(slot)

        def rand(*shape: int, random=random) -> Tensor:
            return torch.rand(1, *shape, generator=random)

        inner = (rand(1, SIDE, SIDE) > 0.4).float()
        outer = torch.maximum(inner, (rand(1, SIDE, SIDE) > 0.5).float())
        image = 2 * rand(3, SIDE, SIDE) - 1
        references = torch.cat([2 * rand(2, 3, SIDE, SIDE) - 1, rand(2, 1, SIDE, SIDE).round()], 2)
        mouth = rand(SIDE, SIDE) > 0.8
        plate = image * (1 - outer)
        uv = rand(2, SIDE, SIDE)
        parts.append((uv, inner, outer, mouth, plate, references, image, 0.8 + 0.4 * rand(3, 1, 1)))
        light = 0.2 * torch.randn(3, 8, 8, generator=random)
        lights.append(Grade(torch.full((3,), 1.1), light) if slot == 2 else None)
    *seen, true, gain = (torch.cat(column) for column in zip(*parts, strict=True))
    fresh = tuple(slot % 2 == 0 for slot in slots)
    shut = (False,) * len(slots)
    return Batch(Conditions(*seen), true, slots, gain, tuple(lights), fresh, shut)


def gradients(ranks: Ranks, slots: tuple[int, ...]) -> dict[str, Tensor]:
    state = small_state()
    batch = batch_of(slots)
    learner = ranks.averaging(state.shared)  # averages only as long as it lives
    evidence = [
        torch.cat([state.own[slot].detach()[:3], torch.ones(1, SIDE, SIDE)]) for slot in slots
    ]
    loss, _, _ = learner(batch, [state.own[slot] for slot in slots], evidence)
    propagate(loss, state, ranks)
    found = {k: p.grad for k, p in state.named_parameters() if p.grad is not None}
    return {**found, "agreed": torch.tensor(ranks.agreed(10.0 + ranks.index)),
            "summed": ranks.summed(torch.ones(2))}  # fmt: skip


def second_process(folder: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    training.SIZE = SIDE  # pyright: ignore
    training.bfloat16_pays = never  # pyright: ignore
    with joined(CPU) as ranks:
        torch.save(gradients(ranks, (2, 3)), folder / "second.pt")


def never(kind: str) -> bool:
    """Rounded products would hide what is compared here."""
    return False


def test_two_processes_are_one_with_the_double_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills gradients that are summed, not shared, or scaled twice, clocks that disagree, and
    textures that learn at another rate than alone."""
    monkeypatch.setattr(training, "SIZE", SIDE)
    monkeypatch.setattr(training, "bfloat16_pays", never)
    with joined(CPU) as alone:
        assert (alone.index, alone.count) == (0, 1)
        expected = gradients(alone, (0, 1, 2, 3))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    other = get_context("spawn").Process(
        target=second_process, args=(tmp_path, {**place, "RANK": "1"})
    )
    other.start()
    for name, value in {**place, "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with joined(CPU) as ranks:
        assert (ranks.index, ranks.count) == (0, 2)
        first = gradients(ranks, (0, 1))
    other.join()
    assert other.exitcode == 0
    second = torch.load(tmp_path / "second.pt")
    shared = [name for name in expected if name.startswith("shared")]
    assert len(shared) > 30
    for name in shared:
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(first[name], expected[name], atol=1e-5 * scale, rtol=0)
        assert torch.equal(first[name], second[name])
    for slot in (1, 3):
        mine = (first if slot < 2 else second)[f"own.{slot}"]
        wanted = expected[f"own.{slot}"]
        assert float(wanted.abs().max()) > 0
        torch.testing.assert_close(mine, wanted, atol=1e-5 * float(wanted.abs().max()), rtol=0)
        assert f"own.{slot}" not in (second if slot < 2 else first)
    assert float(first["agreed"]) == float(second["agreed"]) == 10.0
    assert first["summed"].tolist() == [2.0, 2.0]
