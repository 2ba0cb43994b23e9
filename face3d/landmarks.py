"""Facial landmarks from a detector, behind one small interface.

Vocabulary: `xy` pixels in our convention, `depth` pixels of the same scale, growing towards the
camera. The scheme is MediaPipe's: 468 surface points, then 10 of the irises.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from face3d.topology import EYE_OUTER_LEFT, EYE_OUTER_RIGHT, INNER_PAIRS

COUNT = 478


@dataclass(frozen=True)
class Landmarks:
    """Detected points of a run of frames: `xy` [T 478 2], `depth` [T 478]; NaN without a face."""

    xy: np.ndarray
    depth: np.ndarray

    def __post_init__(self) -> None:
        assert self.xy.shape == (*self.depth.shape, 2), (self.xy.shape, self.depth.shape)

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, frames: slice | np.ndarray) -> "Landmarks":
        return Landmarks(self.xy[frames], self.depth[frames])

    @property
    def found(self) -> np.ndarray:
        """Frames that show a face, bool [T]."""
        return np.isfinite(self.xy.sum((1, 2)))


class FaceMesh:
    """MediaPipe's face mesh with its bundled models. Follows the face from frame to frame."""

    def __init__(self, still: bool = False) -> None:
        from mediapipe.python.solutions.face_mesh import FaceMesh as Solution

        logging.getLogger("absl").setLevel(logging.ERROR)
        with quiet_native_log():
            self._mesh = Solution(static_image_mode=still, max_num_faces=1, refine_landmarks=True)
            # The graph prints from its own threads while it starts: let it, unseen.
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))

    def close(self) -> None:
        self._mesh.close()

    def forget(self) -> None:
        """Look for the face anew in the next image."""
        with quiet_native_log():
            self._mesh.reset()

    def detect(self, rgb: np.ndarray) -> np.ndarray | None:
        """Landmarks [478 3] (x, y, depth) of a uint8 RGB image, or None without a face."""
        result: Any = self._mesh.process(np.ascontiguousarray(rgb))
        faces = result.multi_face_landmarks
        if not faces:
            return None
        height, width = rgb.shape[:2]
        points = faces[0].landmark
        return np.array([(p.x * width, p.y * height, -p.z * width) for p in points], np.float32)


@contextlib.contextmanager
def quiet_native_log() -> Iterator[None]:
    """Silence what MediaPipe's C++ side prints to stderr on start; Python's errors still raise."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def detect_landmarks(images: Iterable[np.ndarray]) -> Landmarks:
    """Landmarks of a run of RGB images, one image in memory at a time."""
    with contextlib.closing(FaceMesh()) as mesh:
        return collected([mesh.detect(rgb) for rgb in images])


def collected(found: list[np.ndarray | None]) -> Landmarks:
    """Landmarks of frames one after another, each [478 3] or None where there was no face."""
    missing = np.full((COUNT, 3), np.nan, np.float32)
    rows = [missing if points is None else points for points in found]
    points = np.stack(rows) if rows else np.empty((0, COUNT, 3), np.float32)
    return Landmarks(points[..., :2], points[..., 2])


def mouth_gap(xy: np.ndarray) -> np.ndarray:
    """Mean distance of the inner lips [T], over the distance of the outer eye corners."""
    upper, lower = np.array(INNER_PAIRS).T
    eyes = np.linalg.norm(xy[:, EYE_OUTER_LEFT] - xy[:, EYE_OUTER_RIGHT], axis=-1)
    return np.linalg.norm(xy[:, upper] - xy[:, lower], axis=-1).mean(axis=1) / eyes
