"""Takes of a line: flow matching in mouth space around what the regressor expects.

    noise ─▶ 8 Euler steps of a velocity field ─▶ deviation from the expected mouth ─▶ take

One line can be spoken in many ways, and a regression gives their average. Here a take is drawn: at
time τ a mouth's deviation is x = (1 − τ) · noise + τ · deviation, and a network regresses its
velocity, deviation − noise (Lipman et al. 2023, Liu et al. 2023), from x, τ, what the regressor
understood of the sound, and how this person moves (`Style`). Each block is conditioned frame by
frame with adaptive layer norm (Peebles and Xie 2023). Deviations are in units of their spread over
the training people.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.errors import AssetError
from core.serial import Schema
from media.audio import Audio
from prior.motion.expression import CLOCK, ExpressionModel, read_at
from prior.sound.hearing import Hearings
from prior.weights import in_use, load_network, save_network

SCHEMA = Schema("generator", 1)

STEPS = 8
"""Euler steps of a take."""
DILATIONS = (1, 2, 4, 8, 1)
MARGIN = 2 * CLOCK
"""Moments around a block of a long line that are drawn with it: noise belongs to a moment, so
blocks meet in the same take."""
BLOCK = 20 * CLOCK
NOISE_BLOCK = CLOCK


@dataclass(frozen=True)
class GeneratorShape:
    """Sizes of the velocity network."""

    width: int = 96
    understood: int = 96
    """Numbers a moment of the regressor's last layer but one has."""
    style: int = 40
    mouth: int = 20


class AdaptedBlock(nn.Module):
    """Residual over time; its norm's scale and shift, and its gate, come from the condition."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.adapt = nn.Linear(width, 3 * width)
        self.look = nn.Conv1d(width, width, 3, dilation=dilation, padding=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        nn.init.zeros_(self.adapt.weight)
        nn.init.zeros_(self.adapt.bias)

    def forward(
        self, x: Float[Tensor, "B T C"], condition: Float[Tensor, "B T C"]
    ) -> Float[Tensor, "B T C"]:
        scale, shift, gate = self.adapt(condition).chunk(3, -1)
        hidden = (self.norm(x) * (1 + scale) + shift).transpose(1, 2)
        hidden = self.mix(nn.functional.gelu(self.look(hidden))).transpose(1, 2)
        return x + (1 + gate) * hidden


class VelocityNetwork(nn.Module):
    """Velocity of a deviation, 50 moments a second, any number of them."""

    style_mean: Tensor
    style_scale: Tensor
    spread: Tensor

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("style_mean", torch.zeros(shape.style))
        self.register_buffer("style_scale", torch.ones(shape.style))
        self.register_buffer("spread", torch.ones(shape.mouth))
        self.time = nn.Sequential(nn.Linear(16, shape.width), nn.SiLU())
        self.sound = nn.Linear(shape.understood + shape.mouth, shape.width)
        self.style = nn.Linear(shape.style, shape.width, bias=False)
        self.enter = nn.Linear(shape.mouth, shape.width)
        self.blocks = nn.ModuleList([AdaptedBlock(shape.width, d) for d in DILATIONS])
        self.norm = nn.LayerNorm(shape.width)
        self.leave = nn.Linear(shape.width, shape.mouth)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(
        self,
        x: Float[Tensor, "B T M"],
        time: Float[Tensor, "B"],
        understood: Float[Tensor, "B T U"],
        expected: Float[Tensor, "B T M"],
        style: Float[Tensor, "B S"],
    ) -> Float[Tensor, "B T M"]:
        condition = nn.functional.silu(
            self.sound(torch.cat([understood, expected], -1))
            + self.style((style - self.style_mean) / self.style_scale)[:, None]
            + self.time(waves(time))[:, None]
        )
        hidden = self.enter(x)
        for block in self.blocks:
            hidden = block(hidden, condition)
        return self.leave(self.norm(hidden))


def waves(time: Float[Tensor, "B"]) -> Float[Tensor, "B 16"]:
    """Sines and cosines of eight octaves of τ."""
    angle = torch.pi * time[:, None] * 2.0 ** torch.arange(8) / 4
    return torch.cat([angle.sin(), angle.cos()], 1)


def style_of(mouth: Float[Tensor, "T M"]) -> Float[Tensor, "S"]:
    """How a person holds and moves the mouth: mean and spread of each coefficient.

    The mean has posture and asymmetry, the spread range and habits. Seconds suffice.
    """
    return torch.cat([mouth.mean(0), mouth.std(0, unbiased=False)])


@dataclass(frozen=True, eq=False)
class Generator:
    """A trained velocity field."""

    network: VelocityNetwork
    about: dict[str, Any]

    def check_taught(self, model: ExpressionModel) -> None:
        """Raises AssetError where another speech model than this one was deviated from."""
        if self.about.get("speech_model") != model.stamp:
            raise AssetError(
                "The generator of takes was trained around another speech model than the one in "
                "use; train it with `redub prior train --model generator`, or ask for one take."
            )

    @torch.no_grad()
    def take(
        self,
        understood: Float[Tensor, "T U"],
        expected: Float[Tensor, "T M"],
        style: Float[Tensor, "S"] | None,
        seed: int,
        first: int = 0,
    ) -> Float[Tensor, "T M"]:
        """One take of the moments `first` onwards: the same seed gives the same one, in blocks or
        at once. Without a style the average person's is taken."""
        style = self.network.style_mean if style is None else style
        parts = []
        for begin in range(0, len(expected), BLOCK):
            low, high = max(begin - MARGIN, 0), begin + BLOCK + MARGIN
            heard, mean = understood[low:high], expected[low:high]
            x = noise(seed, first + low, first + low + len(mean), mean.shape[1])
            for step in range(STEPS):
                time = torch.full((1,), step / STEPS)
                x = x + self.network(x[None], time, heard[None], mean[None], style[None])[0] / STEPS
            parts.append((mean + self.network.spread * x)[begin - low : begin - low + BLOCK])
        return torch.cat(parts) if parts else expected

    def mouth(
        self,
        model: ExpressionModel,
        sound: Audio | Hearings,
        fps: Fraction,
        frames: int,
        style: Float[Tensor, "S"] | None,
        seed: int,
    ) -> Float[Tensor, "T M"]:
        """A take in each of `frames` frames, in the model's manner; see `ExpressionModel.mouth`."""
        line = model.line(sound, fps, frames)
        taken = self.take(line.understood, line.expected, style, seed, line.first)
        return model.manner.unstretched()(read_at(taken, line.place))

    def save(self, path: Path) -> None:
        save_network(path, SCHEMA, self.network, self.network.shape, self.about)

    @staticmethod
    def load(path: Path) -> "Generator":
        """Raises InputError for a file that is not a generator of this schema."""
        return Generator(
            *load_network(path, SCHEMA, lambda **s: VelocityNetwork(GeneratorShape(**s)))
        )


@cache
def load_generator() -> Generator:
    """The generator in use (`weights.in_use`). Raises AssetError where it is missing or damaged."""
    return in_use("generator.safetensors", Generator.load)


def noise(seed: int, first: int, stop: int, width: int) -> Float[Tensor, "N M"]:
    """Standard normal numbers that belong to their moments, wherever a block begins."""
    blocks = range(first // NOISE_BLOCK, -(-stop // NOISE_BLOCK))
    rows = [
        np.random.default_rng([seed, block % 2**32]).standard_normal((NOISE_BLOCK, width))
        for block in blocks
    ]
    begin = first - blocks.start * NOISE_BLOCK
    drawn = np.concatenate(rows)[begin : begin + stop - first].astype(np.float32)
    return torch.from_numpy(drawn)
