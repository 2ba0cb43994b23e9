"""Real mouths on a computed head: what controls did is found again from the lips alone."""

import numpy as np
import pytest
import torch

from scripts.acting.head import Head
from scripts.acting.lips import SurfacePoints
from scripts.acting.retarget import CHIN_IBUG, retargeted

FRAMES, MARKS = 40, 40


@pytest.fixture
def head() -> Head:
    """Forty lip points and a chin; three mouth controls and a brow."""
    random = torch.Generator().manual_seed(0)
    count = MARKS + 1
    rest = 0.02 * torch.randn(count, 3, generator=random)
    names = ("jawOpen", "mouthPucker", "mouthStretch_L", "browDown_L")
    moves = {name: 0.01 * torch.randn(count, 3, generator=random) for name in names}
    marks = torch.full((68,), 0)
    marks[CHIN_IBUG] = MARKS
    nothing = torch.zeros(count)
    return Head(
        rest, rest, moves, torch.zeros(1, 3, dtype=torch.int32), torch.zeros(1, dtype=torch.int64),
        marks, nothing, nothing, torch.zeros(2, count),
    )  # fmt: skip


def test_weights_come_back_from_lips_of_another_size(head: Head) -> None:
    """Kills unscaled displacements, controls that are not the mouth's, and a lag of the filter."""
    corners = torch.arange(MARKS)[:, None].expand(-1, 3)
    points = SurfacePoints(corners, torch.tensor([1.0, 0.0, 0.0]).expand(MARKS, 3))
    t = np.arange(FRAMES) / 25
    true = {
        "jawOpen": np.clip(0.5 * np.sin(4 * t), 0, 1),
        "mouthPucker": np.clip(0.4 * np.sin(3 * t + 2), 0, 1),
        "mouthStretch_L": np.clip(0.3 * np.sin(5 * t + 4), 0, 1),
    }
    gap = 0.02 * true["jawOpen"]
    true = {name: curve * gap / gap.max() for name, curve in true.items()}
    moved = sum(
        torch.from_numpy(curve).float()[:, None, None] * head.controls[name]
        for name, curve in true.items()
    )
    vertices = 1.3 * (head.rest + moved).numpy()
    found = retargeted(vertices[:, :MARKS], vertices[:, MARKS], gap, head, points)
    assert set(found) == {*true, "seal"}
    for name, curve in true.items():
        assert found[name].min() >= 0
        assert np.abs(found[name] - curve)[3:-3].max() < 0.05, name
    assert (found["seal"][gap == 0] == 1).all()
    assert (found["seal"][gap > 0.003] == 0).all()
