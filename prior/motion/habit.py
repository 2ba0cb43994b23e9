"""What one person does with the mouth that the average speaker does not, from seconds of them.

Ridge regression of what the average speaker's mouth missed on what was understood of the sound:
among people it finds who rounds, who spreads and who hardly moves for which sound. Little footage
teaches little more than posture, so the ridge falls with the square of its length.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

RIDGE_SECONDS = 60.0
"""The penalty, in seconds of footage. The three networks of the ensemble understand nearly the
same, so that 20 s of footage weigh as much."""
SCARCE_SECONDS = 12.0
"""Footage shorter than this is believed much less."""
LEAST_SECONDS = 6.0
"""From less footage nothing is learned: openings follow the sound better without, and a posture
learned so opens the average speaker's shut lips."""
TRUSTED_FRAMES = 25.0
"""With so many frames, their mean posture and the average speaker's count the same."""


@dataclass(frozen=True, eq=False)
class Habit:
    """A correction of the expected mouth, linear in what was understood."""

    weights: Float[Tensor, "C M"]
    offset: Float[Tensor, "M"]

    def __call__(self, understood: Float[Tensor, "*T C"]) -> Float[Tensor, "*T M"]:
        return understood @ self.weights + self.offset


def learned_habit(
    understood: Float[Tensor, "N C"], missed: Float[Tensor, "N M"], frames_a_second: float
) -> Habit | None:
    """The habit that explains `missed`, true less expected mouths; none from a few seconds."""
    count = len(understood)
    seconds = count / frames_a_second
    if seconds < LEAST_SECONDS:
        return None
    mean, spread = understood.mean(0), understood.std(0, unbiased=False).clamp_min(1e-2)
    x = (understood - mean) / spread
    posture = missed.mean(0)
    penalty = RIDGE_SECONDS * frames_a_second * (1 + (SCARCE_SECONDS / seconds) ** 2)
    gram = x.T @ x + penalty * torch.eye(x.shape[1])
    weights = torch.linalg.solve(gram, x.T @ (missed - posture)) / spread[:, None]
    trust = count / (count + TRUSTED_FRAMES)
    return Habit(weights, trust * posture - mean @ weights)
