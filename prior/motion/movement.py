"""How a person moves the mouth, as a code: near for one person's lines, far for others'.

The landmark identity loss of MyTalk (arXiv 2406.08096) asks for such an extractor, trained by
metric learning and frozen. A window of mouth coefficients loses its mean first, so that a code
cannot read anatomy or posture, only motion.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.serial import Schema
from prior.weights import in_use, load_network, save_network

SCHEMA = Schema("movement", 1)

RATE = 25
"""Mouths a second."""
WINDOW = 64
"""Mouths that a code is usually taken of."""
STEPS_A_SPAN = 4
"""Velocities are counted per this many mouths: they vary about as much as the mouths do."""


@dataclass(frozen=True)
class MovementShape:
    """Sizes of the network."""

    mouth: int = 20
    width: int = 64
    code: int = 128
    dropout: float = 0.1


class MovementNetwork(nn.Module):
    """Dilated convolutions over mouths and velocities, pooled over time, to a unit vector."""

    def __init__(self, shape: MovementShape) -> None:
        super().__init__()
        self.shape = shape
        inputs, width = 2 * shape.mouth, shape.width
        self.stem = nn.Conv1d(inputs, width, 5, padding=2)
        self.blocks = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=reach, dilation=reach) for reach in (1, 2, 4)
        )
        self.dropout = nn.Dropout(shape.dropout)
        self.habits = nn.Sequential(
            nn.Linear(4 * width, shape.code), nn.GELU(), nn.Linear(shape.code, shape.code)
        )
        self.ranges = nn.Linear(inputs, shape.code)

    def forward(self, mouth: Float[Tensor, "B T M"]) -> Float[Tensor, "B D"]:
        """Codes of windows at 25 mouths a second."""
        change = mouth - mouth.mean(1, keepdim=True)
        velocity = torch.gradient(change, dim=1)[0] * STEPS_A_SPAN
        motion = torch.cat([change, velocity], 2).transpose(1, 2)
        hidden = nn.functional.gelu(self.stem(motion))
        for block in self.blocks:
            hidden = hidden + nn.functional.gelu(block(self.dropout(hidden)))
        pooled = (hidden.mean(2), log_deviation(hidden, 1e-3), hidden.amax(2), hidden.amin(2))
        code = self.habits(torch.cat(pooled, 1)) + self.ranges(log_deviation(motion, 0.1))
        return nn.functional.normalize(code, dim=1)


def log_deviation(values: Float[Tensor, "B C T"], floor: float) -> Float[Tensor, "B C"]:
    """Logarithm of the deviation over time; `floor` keeps what stands still finite, gradient
    included."""
    variance = (values - values.mean(2, keepdim=True)).square().mean(2)
    return 0.5 * (variance + floor**2).log()


@dataclass(frozen=True, eq=False)
class Movement:
    """The trained extractor, frozen: gradients pass through it into mouths."""

    network: MovementNetwork
    about: dict[str, Any]

    def code(self, mouth: Float[Tensor, "T M"]) -> Float[Tensor, "D"]:
        """The code of a stretch of motion, 25 mouths a second: the mean over its windows."""
        last = max(len(mouth) - WINDOW, 0)
        starts = range(0, last + 1, WINDOW // 2)
        codes = [self.network(mouth[None, i : i + WINDOW])[0] for i in starts]
        return nn.functional.normalize(torch.stack(codes).mean(0), dim=0)

    def distance(
        self, mouth: Float[Tensor, "B T M"], code: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B"]:
        """1 less the cosine between windows of motion, 25 mouths a second, and people's codes."""
        return 1 - (self.network(mouth) * code).sum(1)

    def save(self, path: Path) -> None:
        save_network(path, SCHEMA, self.network, self.network.shape, self.about)

    @staticmethod
    def load(path: Path) -> "Movement":
        """Raises InputError for a file that is not a movement extractor of this schema."""
        return Movement(
            *load_network(path, SCHEMA, lambda **sizes: MovementNetwork(MovementShape(**sizes)))
        )


@cache
def load_movement() -> Movement:
    """The extractor in use (`weights.in_use`). Raises AssetError where it is missing or damaged."""
    return in_use("movement.safetensors", Movement.load)
