"""The similarity that lays one set of points over others best."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Similarity:
    """`T` maps x → scale · rotation · x + shift."""

    scale: Float[np.ndarray, "T"]
    rotation: Float[np.ndarray, "T 3 3"]
    shift: Float[np.ndarray, "T 3"]

    def inverse(self, points: Float[np.ndarray, "T N 3"]) -> Float[np.ndarray, "T N 3"]:
        """Points of each frame brought back."""
        turned = np.einsum("tij,tni->tnj", self.rotation, points - self.shift[:, None])
        return turned / self.scale[:, None, None]


def similarity(source: Float[np.ndarray, "N 3"], target: Float[np.ndarray, "T N 3"]) -> Similarity:
    """Least squares over the points (Umeyama 1991), one map a frame; never a reflection."""
    a = source - source.mean(0)
    middle = target.mean(1)
    u, s, vt = np.linalg.svd(np.einsum("tni,nj->tij", target - middle[:, None], a))
    flip = np.ones_like(s)
    flip[:, 2] = np.linalg.det(u @ vt)
    rotation = (u * flip[:, None]) @ vt
    scale = (s * flip).sum(-1) / (a**2).sum()
    shift = middle - scale[:, None] * np.einsum("tij,j->ti", rotation, source.mean(0))
    return Similarity(scale, rotation, shift)
