"""Detected landmarks as the solver's observations, made for some frames at a time.

A whole clip's, in the solver's precision, would need four times the memory of the landmarks.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from face3d.landmarks import Landmarks
from face3d.solve import Observation
from face3d.topology import JAW_LINE, LANDMARKS, LIPS, STABLE


@dataclass(frozen=True)
class Observed:
    """What was seen of a clip; `sigma` is a landmark's expected error in pixels."""

    landmarks: Landmarks
    sigma: float

    def __len__(self) -> int:
        return len(self.landmarks)

    def __getitem__(self, frames: slice | Tensor | list[int]) -> Observation:
        """Landmarks of the face surface in some frames; absent faces weigh nothing."""
        xy = self.landmarks.xy[np.asarray(frames) if isinstance(frames, Tensor) else frames]
        xy = xy[:, :LANDMARKS]
        found = np.isfinite(xy).all((1, 2))[:, None]
        weight = np.where(found, landmark_weights(), 0.0)
        xy = np.where(found[..., None], xy, 0.0)
        return Observation(torch.from_numpy(xy).double(), torch.from_numpy(weight), self.sigma)


def landmark_weights() -> np.ndarray:
    """Trust in each landmark: lips and stable points count more, the sliding jaw line less."""
    weights = np.full(LANDMARKS, 0.6)
    weights[list(JAW_LINE)] = 0.15
    weights[list(STABLE)] = 1.5
    weights[list(LIPS)] = 2.5
    return weights
