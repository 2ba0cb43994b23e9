"""What a training shows while it runs: a log, a picture, and TensorBoard where it is wanted."""

import json
from pathlib import Path

import cv2
import numpy as np

from core.errors import AssetError
from core.progress import Step
from prior.training.train_renderer import Grid

EVERY = 20
"""Steps between two entries, once training has begun."""


class Curves:
    """Appends to `curves.jsonl`, keeps the latest `grid.png`, and feeds TensorBoard if asked to.

    Raises AssetError where TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, tensorboard: bool = False) -> None:
        self.folder = folder
        self.board = open_board(folder / "tensorboard") if tensorboard else None
        folder.mkdir(parents=True, exist_ok=True)
        self.log = (folder / "curves.jsonl").open("a")

    def add(self, event: Step | Grid) -> None:
        if isinstance(event, Grid):
            self._add_picture(event)
            return
        step = int(event.terms["step"])
        if step > EVERY and step % EVERY and event.index < event.total:
            return
        self.log.write(json.dumps({**event.terms, "seconds": round(event.seconds, 2)}) + "\n")
        self.log.flush()
        if self.board:
            for name, value in event.terms.items():
                if name != "step":
                    self.board.add_scalar(name, value, step)

    def _add_picture(self, grid: Grid) -> None:
        bgr = np.ascontiguousarray(grid.picture[..., ::-1])
        (self.folder / "grid.png").write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
        if self.board:
            self.board.add_image("grid", grid.picture, grid.step, dataformats="HWC")

    def close(self) -> None:
        self.log.close()
        if self.board:
            self.board.close()


def open_board(folder: Path):
    """A writer of TensorBoard's event files. Raises AssetError where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise AssetError(
            f"--tensorboard needs TensorBoard ({error}); pip install 'tensorboard<2.21', or leave "
            "it out and read curves.jsonl."
        ) from error
    return SummaryWriter(str(folder))
