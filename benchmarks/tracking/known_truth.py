"""How far a finding is from a performer's truth."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from benchmarks.tracking.findings import Finding
from core.rotation import axis_angle_from_matrix, matrix_from_axis_angle
from evaluate.metrics.lips import opening_corr
from face3d.track import FACE_PIXELS
from scripts.acting.truth import Truth


@dataclass(frozen=True)
class Errors:
    """Per frame: `turned` degrees with the clip's constant turn taken off, `lips` px256 [T 40]; and
    of the clip: each frame's turn `apart` [T 3 3] from true to found head axes, `moving`, the lips'
    error without each point's constant one, the correlation of the opening, the second difference
    of the lips and the focal length over the truth's; `gain`, found pitch and yaw per true ones."""

    turned: Float[np.ndarray, " T"]
    lips: Float[np.ndarray, "T 40"]
    apart: Float[np.ndarray, "T 3 3"]
    moving: float
    opening_corr: float
    jitter_ratio: float
    focal_ratio: float
    gain: Float[np.ndarray, "2"]
    found: float

    def turned_from(self, turn: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " T"]:
        """Degrees of rotation error when the head's axes differ by `turn` in every clip."""
        return angles(self.apart @ turn.T)


def errors(finding: Finding, truth: Truth, pixels_per_px256: float) -> Errors:
    """The finding's errors; NaN in frames where nothing was found."""
    true = matrix_from_axis_angle(truth.rotation.double()).numpy()
    apart = true.swapaxes(1, 2) @ finding.rotation
    lips = truth.lips_pixels.double().numpy()
    off = (finding.lips - lips) / pixels_per_px256
    distance = np.linalg.norm(off, axis=-1)
    known = np.isfinite(distance).all(1)
    turn = mean_turn(apart)
    return Errors(
        angles(apart @ turn.T),
        distance,
        apart,
        float(np.nanmean(np.linalg.norm(off - np.nanmean(off, 0), axis=-1))),
        opening_corr(finding.opening, truth.opening_metres.double().numpy()),
        shake(finding.lips) / shake(np.where(known[:, None, None], lips, np.nan)),
        finding.focal / truth.camera.focal,
        gain(finding.rotation @ turn.T, truth.rotation.double().numpy()),
        float(known.mean()),
    )


def mean_turn(apart: Float[np.ndarray, "T 3 3"]) -> Float[np.ndarray, "3 3"]:
    """The rotation nearest all (least squares of matrix entries)."""
    known = apart[np.isfinite(apart).all((1, 2))]
    if not len(known):
        return np.full((3, 3), np.nan)
    u, _, vt = np.linalg.svd(known.mean(0))
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def gain(found: Float[np.ndarray, "T 3 3"], true: Float[np.ndarray, "T 3"]) -> np.ndarray:
    """Slopes of found pitch and yaw (axis-angle's first two) against the true ones."""
    known = np.isfinite(found).all((1, 2))
    if not known.any():
        return np.full(2, np.nan)
    turned = axis_angle_from_matrix(torch.from_numpy(found[known])).numpy()
    return np.array([np.polyfit(true[known, axis], turned[:, axis], 1)[0] for axis in (0, 1)])


def angles(turns: Float[np.ndarray, "T 3 3"]) -> Float[np.ndarray, " T"]:
    """Degrees of each rotation; NaN where it is unknown."""
    known = np.isfinite(turns).all((1, 2))
    turned = np.full(len(turns), np.nan)
    vectors = axis_angle_from_matrix(torch.from_numpy(turns[known]))
    turned[known] = np.degrees(vectors.norm(dim=-1).numpy())
    return turned


def shake(points: Float[np.ndarray, "T N 2"]) -> float:
    """Mean length of the second difference over frames, in the points' unit."""
    second = points[2:] - 2 * points[1:-1] + points[:-2]
    return float(np.nanmean(np.linalg.norm(second, axis=-1)))


def px256(face_pixels: float) -> float:
    """Pixels of the picture in one px256, from the face's height in pixels."""
    return face_pixels / FACE_PIXELS
