"""Every frame's motion, solved over time: window after window, so memory does not grow."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch

from face3d.morphable import MorphableModel
from face3d.observed import Observed
from face3d.solve import Fit, Information, Observation, Smoothness, motion_step
from face3d.track import Motion

SMOOTH_25FPS = Smoothness(rotation=0.004, across=0.0006, depth=0.004, mouth=0.8, upper=0.6)
"""Second differences of real heads between frames at 25 fps; other rates scale by their square.

Depth is a share of the distance: it shows as the face's scale.
"""

Told = Callable[[Fit, int], Information]
"""What a window's pictures tell at a fit of its frames, in a step counted from 0."""

Witness = Callable[[int, int, Observation], tuple[Observation, Told]]
"""Asked for frames [start, stop) and what was seen there: corrects it, and tells more."""


@dataclass(frozen=True)
class Runs:
    """Frames solved at once, how many of them repeat the window before, and steps in each."""

    size: int = 240
    overlap: int = 12
    steps: int = 5

    def of(self, total: int) -> Iterator[tuple[int, int, int]]:
        """Runs (start, known, stop) that tile `total` frames; `known` repeat the run before."""
        start = 0
        while True:
            stop = min(total, start + self.size)
            yield start, (0 if start == 0 else self.overlap), stop
            if stop == total:
                return
            start = stop - self.overlap


def smoothness(fit: Fit, fps: Fraction) -> Smoothness:
    """How smoothly heads at this distance move between frames at this rate."""
    slow = float(25 / fps) ** 2
    scaled = Smoothness(**{name: value * slow for name, value in vars(SMOOTH_25FPS).items()})
    distance = float(fit.motion.translation[:, 2].abs().median())
    return replace(scaled, depth=scaled.depth * distance)


def fit_motion(
    model: MorphableModel,
    fit: Fit,
    seen: Observed,
    shot: np.ndarray,
    fps: Fraction,
    runs: Runs,
    witness: Witness | None = None,
) -> Fit:
    """Every frame's motion; a window's first frames are the last one's.

    The `witness` is asked for one window after the other; without it the landmarks are all there
    is.
    """
    smooth = smoothness(fit, fps)
    solved: list[Motion] = []
    for start, known, stop in runs.of(len(shot)):
        here = slice(start, stop)
        motion = fit.motion[here]
        if known:
            past = Motion(*(v[-known:] for v in vars(solved[-1]).values()))
            motion = joined([past, motion[known:]])
        part = replace(fit, motion=motion)
        look = seen[here]
        linked = np.concatenate([[False], shot[here][1:] == shot[here][:-1]])
        look, told = witness(start, stop, look) if witness else (look, None)
        for step in range(runs.steps):
            pictures = told(part, step) if told else None
            part = motion_step(model, part, look, smooth, linked, known // 2, pictures)
        # The overlap's second half had no future when it was solved first: it is replaced.
        if known:
            solved[-1] = solved[-1][: len(solved[-1]) - known]
        solved.append(part.motion)
    return replace(fit, motion=joined(solved))


def joined(parts: list[Motion]) -> Motion:
    """Motions one after another."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Motion(*(torch.cat(column) for column in columns))
