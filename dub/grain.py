"""The plate's own grain for the painted patch, which has next to none.

Measured on the skin around the matte, between frames, by octaves; drawn anew for every frame from
the seed and the frame's number. A plate without grain, as most compressed video is, gets none.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import nnls

from evaluate.metrics.grain import BANDS, Levels, band_pass, grain_between, still_level
from evaluate.metrics.picture import LUMA
from face3d.anatomy import FACE_V
from face3d.mask import swept_mask
from face3d.morphable import MorphableModel
from face3d.track import Identity, Track
from face3d.view import look
from media.footage import Footage

PAIRS = 16
"""Pairs of neighbouring frames of a shot that are looked at."""

PAINTED_LEVELS = np.array([0.4, 0.25, 0.3])
"""Grain of a painted patch by itself, in code values: the worst of six dubs, by band."""

FINER = 128
"""Side of the field that a band's share in the other bands is measured on."""


@dataclass(frozen=True)
class Grain:
    """What a patch lacks: deviations of independent noise that is filtered to each band."""

    strengths: Levels

    def field(self, height: int, width: int, key: tuple[int, int]) -> Float[np.ndarray, "h w"]:
        """Grain in code values of luma, the same for the same key (seed, frame)."""
        noise = np.random.default_rng(key).standard_normal((3, height, width))
        return sum_of_bands(noise, self.strengths)

    def facts(self) -> dict[str, float]:
        """Strengths by band, for a record."""
        return {
            name: round(float(value), 2) for name, value in zip(BANDS, self.strengths, strict=True)
        }


def sum_of_bands(noise: Float[np.ndarray, "3 h w"], strengths: Levels) -> Float[np.ndarray, "h w"]:
    """White planes, each filtered to its band and weighted."""
    return np.sum([s * band_pass(noise[b])[b] for b, s in enumerate(strengths)], axis=0)


def lacking(plate: Levels) -> Grain | None:
    """The grain that brings a painted patch to the plate's levels; None where nothing lacks.

    Bands overlap: noise filtered to one is also seen in its neighbours. Variances add, so the
    strengths' squares solve a small system with no negative unknowns.
    """
    variance = np.square(plate) - np.square(PAINTED_LEVELS)
    if not np.isfinite(plate).all() or (variance <= 0).all():
        return None
    white = np.random.default_rng(0).standard_normal((FINER, FINER))
    seen = np.stack([band_pass(band).var((1, 2)) for band in band_pass(white)], 1)
    squares, _ = nnls(seen, np.maximum(variance, 0))
    return Grain(np.sqrt(squares))


def plate_grains(
    model: MorphableModel, face: Identity, clip: Footage, track: Track
) -> tuple[Grain | None, ...]:
    """What a patch lacks in each shot of a track. Reads the shots once more, a pair at a time."""
    return tuple(
        lacking(shot_levels(model, face, clip, track, shot)) for shot in range(len(track.crops))
    )


def shot_levels(
    model: MorphableModel, face: Identity, clip: Footage, track: Track, shot: int
) -> Levels:
    """Grain of the plate's skin above the matte; NaN where no two neighbouring frames show it."""
    inside = (track.valid & (track.shot == shot)).numpy()
    pairs = np.flatnonzero(inside[1:] & inside[:-1])
    pairs = pairs[np.unique(np.linspace(0, len(pairs) - 1, min(PAIRS, len(pairs))).astype(int))]
    levels, before = [], None
    wanted = {int(i) for first in pairs for i in (first, first + 1)}
    if not wanted:
        return np.full(3, np.nan)
    span = range(track.start + min(wanted), track.start + max(wanted) + 1)
    for frame in clip.frames(span):
        i = frame.index - track.start
        luma = frame.rgb.astype(np.float64) @ LUMA if i in wanted else None
        if luma is not None and before is not None and i - 1 in pairs:
            skin = shown_skin(model, face, track, i, luma.shape)
            if skin.any():
                top, bottom, left, right = box_of(skin)
                part = np.s_[top:bottom, left:right]
                levels.append(grain_between(before[part], luma[part], skin[part]))
        before = luma
    return still_level(np.array(levels).reshape(-1, 3))


def shown_skin(
    model: MorphableModel, face: Identity, track: Track, index: int, size: tuple[int, ...]
) -> np.ndarray:
    """Pixels of a frame, bool [H W], that show skin of the face outside the matte."""
    crop, motion = track.crop(index), track.motion[index : index + 1]
    camera = crop.camera(track.camera)
    uv = look(model, face, motion, camera).uv
    skin = (uv > 0).all(1) & (uv[:, 1] < FACE_V) & ~swept_mask(model, face, motion, camera)
    small = torch.nn.functional.max_pool2d((~skin)[:, None].float(), 9, 1, 4)[0, 0] == 0
    shrunk = cv2.resize(
        small.numpy().astype(np.uint8), (crop.side, crop.side), interpolation=cv2.INTER_NEAREST
    )
    full = np.zeros(size, bool)
    height, width = size
    top, left = max(crop.top, 0), max(crop.left, 0)
    bottom, right = min(crop.top + crop.side, height), min(crop.left + crop.side, width)
    full[top:bottom, left:right] = shrunk[
        top - crop.top : bottom - crop.top, left - crop.left : right - crop.left
    ]
    return full


def box_of(mask: np.ndarray, room: int = 12) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a mask with some room for the filters."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        max(int(rows[0]) - room, 0), int(rows[-1]) + room + 1,
        max(int(columns[0]) - room, 0), int(columns[-1]) + room + 1,
    )  # fmt: skip
