"""Footage prepared for training: tracks and lower-face windows, one file a clip.

A corpus is a folder of `<clip>.safetensors` and `corpus.json`, which lists every clip with its
person and rights. Preparing is resumable: a clip whose file stands there is skipped.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from core.camera import Camera
from core.errors import InputError
from core.serial import Schema, load_tensors, save_json, save_tensors
from face3d.morphable import MorphableModel
from face3d.track import Crop, Identity, Motion, Track
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH, crop_image, cut, window_corner
from media.clip import Clip

SCHEMA = Schema("corpus-clip", 1)

MARGIN = 16
"""Pixels around a window that training may shift it by."""


@dataclass(frozen=True)
class Windows:
    """Lower-face windows of `N` frames of one person's clip, and how each was seen.

    `corner` [N 2] is a window's left and top in the crop of its shot; `frame` counts in the clip.
    """

    images: UInt8[Tensor, "N 3 H W"]
    corner: Int[Tensor, "N 2"]
    frame: Int[Tensor, "N"]
    motion: Motion
    identity: Identity
    crop_cameras: tuple[Camera, ...]

    def __len__(self) -> int:
        return len(self.images)

    def camera(self, index: int, dx: int = 0, dy: int = 0, margin: int = 0) -> Camera:
        """The camera of a window, less a margin on all sides and shifted by (dx, dy)."""
        left, top = (int(v) for v in self.corner[index])
        height, width = self.images.shape[-2:]
        return self.crop_cameras[index].cropped(
            left + margin + dx, top + margin + dy, 1.0, width - 2 * margin, height - 2 * margin
        )


def gather_windows(
    clip: Clip,
    track: Track,
    model: MorphableModel,
    frames: np.ndarray,
    margin: int = 0,
) -> Windows:
    """Windows of the given valid frames (clip numbers) of a track, streamed from the clip."""
    width, height = WINDOW_WIDTH + 2 * margin, WINDOW_HEIGHT + 2 * margin
    wanted = {int(f) for f in frames}
    images, corners, cameras = [], [], []
    for frame in clip.frames(range(int(min(wanted)), int(max(wanted)) + 1)):
        if frame.index not in wanted:
            continue
        at = frame.index - track.start
        crop = track.crop(at)
        camera = crop.camera(track.camera)
        motion = track.motion[at : at + 1]
        left, top = window_corner(model, track.identity, motion, camera, width, height)[0]
        window = cut(crop_image(frame.rgb, crop), left, top, width, height)
        images.append(torch.from_numpy(window.transpose(2, 0, 1).copy()))
        corners.append((left, top))
        cameras.append(camera)
    order = torch.tensor(sorted(wanted))
    return Windows(
        torch.stack(images),
        torch.tensor(corners, dtype=torch.int32),
        order,
        track.motion[order - track.start],
        track.identity,
        tuple(cameras),
    )


def save_windows(path: Path, track: Track, windows: Windows, about: dict[str, Any]) -> None:
    """One corpus clip: the windows, and the crops by which they were cut."""
    tensors = {
        "images": windows.images,
        "corner": windows.corner,
        "frame": windows.frame,
        "identity_shape": windows.identity.shape,
        "identity_offset": windows.identity.offset,
        **{f"motion_{name}": value for name, value in vars(windows.motion).items()},
        "shot": track.shot[windows.frame - track.start],
    }
    header = {
        "camera": vars(track.camera),
        "crops": [vars(crop) for crop in track.crops],
        "about": about,
    }
    save_tensors(path, SCHEMA, tensors, header)


def load_windows(path: Path) -> tuple[Windows, dict[str, Any]]:
    """Raises InputError for a file that is not a corpus clip."""
    tensors, header = load_tensors(path, SCHEMA)
    camera = Camera(**{**header["camera"], "centre": tuple(header["camera"]["centre"])})
    cameras = [Crop(**crop).camera(camera) for crop in header["crops"]]
    names = ("rotation", "translation", "mouth", "upper")
    windows = Windows(
        tensors["images"],
        tensors["corner"],
        tensors["frame"],
        Motion(*(tensors[f"motion_{name}"] for name in names)),
        Identity(tensors["identity_shape"], tensors["identity_offset"]),
        tuple(cameras[int(shot)] for shot in tensors["shot"]),
    )
    return windows, header["about"]


def write_index(folder: Path, clips: list[dict[str, Any]]) -> None:
    save_json(folder / "corpus.json", {"kind": "corpus", "schema": 1, "clips": clips})


def read_index(folder: Path) -> list[dict[str, Any]]:
    """The clips of a corpus. Raises InputError where there is none."""
    try:
        document = json.loads((folder / "corpus.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(
            f"{folder} holds no corpus.json ({error}); make it with `redub prior prepare`."
        ) from error
    return document["clips"]


def corpus_files(folder: Path) -> Iterator[Path]:
    for clip in read_index(folder):
        yield folder / clip["file"]
