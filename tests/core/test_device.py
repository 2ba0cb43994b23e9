"""Devices: everything a value holds arrives, and a training step computes where its inputs lie.

Meta tensors stand in for a GPU's: most operations refuse to mix them with the CPU's.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from moving_head import speaking
from painted_head import painted_windows
from torch import Tensor, nn

import render.fragments
from core.device import on_device, resolve_device
from core.errors import AssetError, UsageError
from face3d.morphable import MorphableModel, default_model
from prior.training.corpus import MARGIN
from prior.training.train_renderer import (
    PriorState,
    Pupil,
    RendererTraining,
    draw_batch,
    evidence_for,
    own_texture,
    pupil,
)
from render.deferred import RendererConfig

META = torch.device("meta")


@dataclass(frozen=True)
class Inner:
    value: Tensor
    name: str


@dataclass(frozen=True)
class Outer:
    parts: tuple[Inner | None, ...]
    module: nn.Module
    plain: dict[str, int] = field(default_factory=dict)


def test_everything_a_value_holds_arrives() -> None:
    """Kills tensors left behind in tuples and dataclasses, and copies of what need not move."""
    value = Outer((Inner(torch.zeros(2), "a"), None), nn.Linear(2, 2))
    moved = on_device(value, META)
    assert moved.parts[0] is not None
    assert moved.parts[0].value.device == META
    assert (moved.parts[0].name, moved.parts[1]) == ("a", None)
    assert next(moved.module.parameters()).device == META
    inner = Inner(torch.zeros(2), "b")
    assert on_device(inner, torch.device("cpu")) is inner


def test_a_device_is_chosen_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a GPU that is not found out about, and one that is believed to be there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto").torch.type == "cpu"
    with pytest.raises(AssetError, match="--device cpu"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    assert resolve_device("auto").torch.type == "cuda"
    assert resolve_device("cpu").torch.type == "cpu"
    with pytest.raises(UsageError, match="tpu"):
        resolve_device("tpu")


@pytest.fixture
def clip() -> Pupil:
    motion = speaking(14)[torch.tensor([0, 6, 12])]
    windows = painted_windows(motion, MARGIN, torch.tensor([0, 6, 12]))
    return pupil(windows, default_model(), "p")


def test_a_training_step_stays_on_its_device(clip: Pupil, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills tensors made on the CPU between those of a device, from the drawing of samples to the
    gradients, and random numbers that differ by device."""
    config = RendererTraining(renderer=RendererConfig(widths=(8, 8, 8, 8)))
    state = PriorState([own_texture(clip.whole)], config).to(META)
    # What is visible cannot be asked of tensors without values: every pixel sees a triangle.
    monkeypatch.setattr(
        render.fragments, "visible_faces",
        lambda clip, triangles, height, width, backend: torch.zeros(
            len(clip), height, width, dtype=torch.int32, device=clip.device
        ),
    )  # fmt: skip
    monkeypatch.setattr(
        render.fragments, "covered_pixels",
        lambda face: torch.arange(face.numel(), device=face.device),
    )  # fmt: skip
    # Nor can whether a reference shows a point: every one is asked of all its neighbours.
    monkeypatch.setattr(torch.fx.experimental._config, "meta_nonzero_assume_all_nonzero", True)
    monkeypatch.setattr(MorphableModel, "__post_init__", lambda _: None)  # it looks at values
    here, there = (torch.Generator().manual_seed(1) for _ in range(2))
    model: Any = on_device(default_model(), META)
    batch = draw_batch([clip.to(META)], model, 4, there)
    assert batch.seen.references.device == batch.true.device == batch.gain.device == META
    assert batch.lights[3] is not None
    assert batch.lights[3].light.device == META
    evidence = evidence_for(clip.to(META), state)
    loss, made, _ = state.shared(batch, [state.own[0]] * 4, [evidence[shut] for shut in batch.shut])
    loss.backward()
    assert made.device == META
    assert all(p.grad is not None and p.grad.device == META for p in state.parameters())
    draw_batch([clip], default_model(), 4, here)
    assert torch.equal(here.get_state(), there.get_state())
