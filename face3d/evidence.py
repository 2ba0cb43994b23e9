"""What a picture tells of how well its face was detected, beside the detection itself.

- *disagreement*: the detector sees the mirrored face, too; where the two answers differ it guesses.
- *strangeness*: the skin around the mouth looks otherwise than in the shot's better frames, because
  a hand, a microphone or a smear lies over it.
"""

from dataclasses import dataclass, fields

import cv2
import numpy as np
from jaxtyping import Float
from scipy.ndimage import uniform_filter1d

from face3d.faces import Box, box_of
from face3d.landmarks import FaceMesh
from face3d.morphable import default_model
from face3d.topology import JAW_LINE, LANDMARKS, LIPS, STABLE
from face3d.track import FACE_PIXELS
from media.frame import Frame, Glimpse

CHECK_EVERY = 2
"""Frames between two looks at the mirrored face; those between take their neighbours' answer."""

UNSEEN_PX256 = 30.0
"""Disagreement where the mirrored face is not seen at all."""

MIRRORED_PIXELS = 480
"""Pixels a side, at least, of the square in which the mirrored face is looked for."""

THUMB = 96
"""Pixels a side of the picture that skin is sampled from."""

SMOOTH_FRAMES = 5
"""Evidence of single frames is noisy; what goes wrong lasts longer than one."""

TAUGHT_FRAMES = 500
"""At most so many frames, evenly spread, say what skin usually looks like."""

ENOUGH_FRAMES = 10
"""A shot of fewer frames has no better ones to compare with."""


@dataclass(frozen=True)
class Evidence:
    """Per frame, NaN without a face: disagreement of all landmarks and of the lips in px256, and
    how many times farther from the usual the skin below the nose is than in good frames."""

    disagreement: Float[np.ndarray, "T"]
    lip_disagreement: Float[np.ndarray, "T"]
    strangeness: Float[np.ndarray, "T"]

    def __getitem__(self, frames: slice) -> "Evidence":
        return Evidence(*(getattr(self, field.name)[frames] for field in fields(self)))


def mirror_partner() -> np.ndarray:
    """For each landmark the one on the other side of the face."""
    mean = default_model().mean[:LANDMARKS].numpy()
    mirrored = mean * np.array([-1, 1, 1], np.float32)
    return np.linalg.norm(mirrored[:, None] - mean[None], axis=-1).argmin(1)


def below_the_nose() -> np.ndarray:
    """Landmarks of skin that a hand before the mouth covers and speech moves little."""
    mean = default_model().mean[:LANDMARKS].numpy()
    lips = np.linalg.norm(mean[:, None] - mean[None, list(LIPS)], axis=-1).min(1)
    low = (mean[:, 1] < mean[2, 1]) & (lips > 0.004)
    low[list(JAW_LINE)] = False
    return np.flatnonzero(low)


def above_the_nose() -> np.ndarray:
    """Stable landmarks whose brightness stands for the whole face's."""
    height = default_model().mean[:, 1].numpy()
    return np.array([i for i in STABLE if height[i] > height[4]])


class Examiner:
    """Gathers evidence of a run of `count` frames, given one after another with their landmarks."""

    def __init__(self, count: int) -> None:
        self._mesh = FaceMesh(still=True)
        self._partner, self._skin, self._upper = (
            mirror_partner(),
            below_the_nose(),
            above_the_nose(),
        )
        self._apart = np.full((count, 2), np.nan)
        # A thousandth is enough, and one block does not scatter memory as small arrays would.
        self._colours = np.full((count, len(self._skin), 3), np.nan, np.float16)
        self._seen = 0
        self._since_check = CHECK_EVERY

    def close(self) -> None:
        self._mesh.close()

    def examine(self, frame: Frame, points: np.ndarray | None) -> None:
        """Look at the next frame, whose landmarks are `points` [478 3], None without a face."""
        here, self._seen = self._seen, self._seen + 1
        self._since_check += 1
        if points is None:
            self._since_check = CHECK_EVERY
            return
        xy = points[:LANDMARKS, :2]
        self._colours[here] = self._skin_colours(frame, xy)
        if self._since_check >= CHECK_EVERY:
            self._apart[here] = self._disagreement(frame, xy)
            self._since_check = 0
        else:
            self._apart[here] = self._apart[here - 1]

    def _disagreement(self, frame: Frame, xy: np.ndarray) -> tuple[float, float]:
        """Mean distance of the mirrored face's landmarks, all and the lips', px256."""
        square = _around(frame, box_of(xy), 2.4, MIRRORED_PIXELS)
        seen = self._mesh.detect(square.rgb[:, ::-1])
        if seen is None:
            return UNSEEN_PX256, UNSEEN_PX256
        back = seen[self._partner, :2]
        back[:, 0] = square.rgb.shape[1] - back[:, 0]
        back = square.placed(back)
        apart = np.linalg.norm(back - xy, axis=-1) * FACE_PIXELS / np.ptp(xy[:, 1])
        apart = np.minimum(apart, UNSEEN_PX256)
        return float(apart.mean()), float(apart[list(LIPS)].mean())

    def _skin_colours(self, frame: Frame, xy: np.ndarray) -> np.ndarray:
        """Logarithms of the lower face's colours over the upper face's mean, [K 3]."""
        square = _around(frame, box_of(xy), 1.1, THUMB)
        thumb = cv2.resize(square.rgb, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
        thumb = cv2.GaussianBlur(thumb, (0, 0), 2.0).astype(np.float32)
        height, width = (square.scale * side for side in square.rgb.shape[:2])
        at = (xy - [square.left, square.top]) * THUMB / [width, height] - 0.5
        at = np.clip(at, 0, THUMB - 1).astype(np.float32)
        colours = cv2.remap(thumb, at[None, :, 0], at[None, :, 1], cv2.INTER_LINEAR)[0]
        return np.log((colours[self._skin] + 8) / (colours[self._upper].mean(0) + 8))

    def evidence(self, shots: list[slice]) -> Evidence:
        """What was gathered, judged shot by shot."""
        apart = self._apart
        strange = np.full(len(apart), np.nan)
        for shot in shots:
            strange[shot] = strangeness(self._colours[shot], apart[shot, 0])
        columns = [apart[:, 0], apart[:, 1], strange]
        return Evidence(*(_smoothed(column, shots) for column in columns))


def strangeness(
    colours: Float[np.ndarray, "T K 3"], disagreement: Float[np.ndarray, "T"]
) -> Float[np.ndarray, "T"]:
    """Distance of each frame's skin from the median of the shot's better half, over the usual one.

    One where there are too few frames to know; NaN without a face.
    """
    found = np.isfinite(disagreement)
    if found.sum() < ENOUGH_FRAMES:
        return np.where(found, 1.0, np.nan)
    better = found & (disagreement <= np.median(disagreement[found]))
    taught = better.nonzero()[0]
    taught = taught[:: -(-len(taught) // TAUGHT_FRAMES)]
    usual = np.median(colours[taught], 0).astype(np.float32)
    away = np.array([np.abs(colour - usual).mean() for colour in colours])
    return away / max(float(np.median(away[better])), 0.01)


def _around(frame: Frame, box: Box, faces: float, longest: int) -> Glimpse:
    """A square around a face, cut to the frame."""
    half = box.side * faces / 2
    left = max(0, min(int(box.x - half), frame.width - 2))
    top = max(0, min(int(box.y - half), frame.height - 2))
    right = min(frame.width, max(left + 2, int(box.x + half)))
    bottom = min(frame.height, max(top + 2, int(box.y + half)))
    return frame.glimpse(longest, left, top, right, bottom)


def _smoothed(values: Float[np.ndarray, "T"], shots: list[slice]) -> Float[np.ndarray, "T"]:
    """Geometric mean over neighbouring frames of a shot that show the face."""
    result = np.full(len(values), np.nan)
    for shot in shots:
        known = np.isfinite(values[shot])
        logs = np.log(np.maximum(values[shot][known], 1e-3))
        if len(logs):
            smooth = np.exp(uniform_filter1d(logs, SMOOTH_FRAMES, mode="nearest"))
            result[shot] = _placed(smooth, known)
    return result


def _placed(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    row = np.full(len(where), np.nan)
    row[where] = values
    return row
