"""What a training shows, and what it needs to run at all."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import AssetError
from core.progress import Step
from prior.training.curves import EVERY, Curves
from prior.training.train_renderer import Grid


def trained(folder: Path, tensorboard: bool = False) -> None:
    curves = Curves(folder, tensorboard)
    for step in range(1, 3 * EVERY + 1):
        curves.add(Step("train", step, 3 * EVERY, step / 2, {"loss": 1 / step, "step": step}))
    curves.add(Grid(40, np.full((8, 6, 3), (200, 10, 30), np.uint8)))
    curves.close()


def test_a_log_and_a_picture_stay(tmp_path: Path) -> None:
    """Kills colours exchanged, a log of every step, and one that forgets what came before."""
    trained(tmp_path)
    trained(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "curves.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == 2 * [*range(1, EVERY + 1), 2 * EVERY, 3 * EVERY]
    assert rows[0] == {"loss": 1.0, "step": 1, "seconds": 0.5}
    picture = cv2.imread(str(tmp_path / "grid.png"))
    assert picture is not None
    assert picture[4, 3].tolist() == [30, 10, 200]


def test_tensorboard_gets_curves_and_pictures(tmp_path: Path) -> None:
    """Kills events at the wrong step; skipped where the extra is not installed."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained(tmp_path, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    loss = {event.step: event.value for event in events.Scalars("loss")}
    assert loss[2 * EVERY] == pytest.approx(1 / (2 * EVERY))
    assert [image.step for image in events.Images("grid")] == [40]


def test_tensorboard_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills curves that are lost in silence."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(AssetError, match="tensorboard"):
        Curves(tmp_path, tensorboard=True)


def test_learning_from_shards_needs_no_decoder() -> None:
    """Kills an import that would chain training on a GPU machine to media libraries."""
    absent = ("av", "tyro", "librosa", "soxr", "scenedetect", "pocketsphinx", "beartype")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r}))\n"
        "import prior.training.train_renderer, prior.training.curves, adapt.personalise\n"
        "import evaluate.metrics.picture"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
