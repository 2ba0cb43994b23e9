"""Wavefront OBJ, one file a frame, and the camera as Nuke's and Maya's `.chan` text.

`face.obj` becomes `face.0120.obj` for frame 120 of the clip, in camera space, and `face.chan`.
Frames that the mesh does not fit have no file.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.serial import atomic_path
from face3d.export.take import Take
from face3d.sculpt import Sculpt


def write(take: Take, path: Path) -> None:
    """Write `STEM.FRAME.obj` for every valid frame of a take, and `STEM.chan`."""
    track = take.track
    topology = "".join(_topology(take.face.sculpt))
    title = f"# {take.face.sculpt.name}: {take.face.sculpt.licence}\n"
    for index in range(len(track)):
        if not bool(track.valid[index]):
            continue
        here = track.motion[index : index + 1]
        vertices = take.face.surface(track.identity, here)[0].numpy()
        with atomic_path(frame_path(path, track.start + index)) as temporary:
            temporary.write_text(title + _rows("v", vertices) + topology)
    with atomic_path(path.with_suffix(".chan")) as temporary:
        temporary.write_text("".join(_camera_lines(take)))


def frame_path(path: Path, frame: int) -> Path:
    return path.with_name(f"{path.stem}.{frame:04}.obj")


def _rows(word: str, values: np.ndarray) -> str:
    form = word + " %.6f" * values.shape[1] + "\n"
    return form * len(values) % tuple(values.ravel().tolist())


def _topology(sculpt: Sculpt) -> Iterator[str]:
    """Texture points and polygons, counted from 1; the same in every frame."""
    yield _rows("vt", sculpt.uv.numpy())
    corners = sculpt.polygons.tolist()
    textured = sculpt.uv_polygons.tolist() or [None] * len(corners)
    for polygon, uv in zip(corners, textured, strict=True):
        count = 4 if polygon[3] >= 0 else 3
        if uv is None:
            words = [str(v + 1) for v in polygon[:count]]
        else:
            words = [f"{v + 1}/{t + 1}" for v, t in zip(polygon[:count], uv, strict=False)]
        yield f"f {' '.join(words)}\n"


def _camera_lines(take: Take) -> Iterator[str]:
    """Frame, position, rotation in degrees, vertical field of view in degrees."""
    camera = take.track.camera
    field = math.degrees(2 * math.atan(camera.height / 2 / camera.focal))
    for index in range(len(take.track)):
        yield f"{take.track.start + index} 0 0 0 0 0 0 {field:.8f}\n"
