"""Where a track starts from, when something knows more of a head's pose than the landmarks.

A fit starts at the pose that brings a mean face nearest to the landmarks, in all three dimensions.
The third, the detector's depth, is a guess; whoever has a better one puts it in its place.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.errors import AssetError
from core.rotation import matrix_from_axis_angle
from face3d.landmarks import Landmarks
from face3d.morphable import default_model
from face3d.sighting import Sighting
from face3d.topology import LANDMARKS, STABLE
from media.clip import Clip

DECA_SIDE = 224
DECA_ROOM = 1.25
"""DECA's crop: its side in pixels, and over the side of a box around the landmarks."""
DECA_BATCH = 16


Initialiser = Callable[[Clip, Sighting], Sighting]
"""Something that gives a sighting better start values than the detector did."""


class Deca:
    """Head poses of DECA (Feng et al. 2021), where a user has it with its weights.

    DECA's licence is non-commercial. Its FLAME head has our axes, and its camera looks along −z, so
    that its global rotation is ours to within the few degrees by which mean faces differ.
    """

    def __init__(self) -> None:
        """Raises AssetError where DECA cannot be loaded."""
        try:
            from decalib.deca import DECA  # pyright: ignore[reportMissingImports]
            from decalib.utils.config import cfg  # pyright: ignore[reportMissingImports]

            self._network: Any = DECA(config=cfg, device="cpu")
        except (ImportError, OSError) as error:
            raise AssetError(
                f"DECA cannot be loaded ({error}); install deca-pytorch with its weights, or leave "
                "--start at landmarks."
            ) from error

    def __call__(self, clip: Clip, seen: Sighting) -> Sighting:
        found = np.flatnonzero(seen.landmarks.found)
        frames = clip.frames(range(seen.start, seen.start + len(seen)))
        rotation = torch.full((len(seen), 3), torch.nan)
        wanted = set(found.tolist())
        crops: list[np.ndarray] = []
        indices: list[int] = []
        for index, frame in enumerate(frames):
            if index in wanted:
                crops.append(_deca_crop(frame.rgb, seen.landmarks.xy[index]))
                indices.append(index)
            if len(crops) == DECA_BATCH or (crops and index == len(seen) - 1):
                rotation[indices] = self._rotations(np.stack(crops))
                crops, indices = [], []
        return with_rotation(seen, rotation)

    def _rotations(self, crops: np.ndarray) -> Tensor:
        images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            return self._network.encode(images)["pose"][:, :3].clone()


def _deca_crop(rgb: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """The square around a face that DECA was trained on, [224 224 3]."""
    low, high = xy.min(0), xy.max(0)
    side = DECA_ROOM * float((high - low).max())
    corner = (low + high - side) / 2
    scale = DECA_SIDE / side
    moved = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]], np.float32)
    return cv2.warpAffine(rgb, moved, (DECA_SIDE, DECA_SIDE), flags=cv2.INTER_LINEAR)


def with_rotation(seen: Sighting, rotation: Float[Tensor, "T 3"]) -> Sighting:
    """The sighting with the depths that a mean face has when turned so (NaN: unknown).

    Its size is the landmarks': the similarity of the turned face's stable points to them.
    """
    points = default_model().mean[:LANDMARKS].double()
    turned = torch.einsum("tij,lj->tli", matrix_from_axis_angle(rotation.double()), points).numpy()
    stable = list(STABLE)
    here = seen.landmarks.xy[:, stable] * [1.0, -1.0]
    here = here - here.mean(1, keepdims=True)
    there = turned[:, stable, :2] - turned[:, stable, :2].mean(1, keepdims=True)
    scale = np.sqrt((here**2).sum((1, 2)) / (there**2).sum((1, 2)))
    better = scale[:, None] * turned[..., 2]
    depth = seen.landmarks.depth.copy()
    depth[:, :LANDMARKS] = np.where(np.isfinite(better), better, depth[:, :LANDMARKS])
    return replace(seen, landmarks=Landmarks(seen.landmarks.xy, depth))
