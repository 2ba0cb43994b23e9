"""Where lips meet, by ear: the chance that a sound is an m, or a b or p before it bursts.

    hearing 100 Hz ─▶ three convolutions over 0.2 s ─▶ chance, 100 Hz

An acoustic model that names phones misses most of the closures of voices that it was not taught by;
that something has just been shut is heard far more often than what. Whatever language is spoken.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.serial import Schema
from prior.sound.hearing import WIDTH, Hearing
from prior.sound.speech import FRAME_RATE
from prior.weights import in_use, load_network, save_network

SCHEMA = Schema("contact-ear", 1)

KERNEL, DILATIONS = 5, (1, 2, 2)
REACH = KERNEL // 2 * sum(DILATIONS)
"""Heard frames that a chance depends on, on each side: 0.1 s."""
BLOCK = 20 * FRAME_RATE


@dataclass(frozen=True)
class ContactShape:
    """Size of the network."""

    width: int = 48


class ContactNetwork(nn.Module):
    """Heard frames to logits, shorter by `REACH` frames a side."""

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: ContactShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("mean", torch.zeros(WIDTH))
        self.register_buffer("scale", torch.ones(WIDTH))
        widths = (WIDTH, *[shape.width] * len(DILATIONS))
        self.looks = nn.ModuleList(
            nn.Conv1d(before, after, KERNEL, dilation=dilation)
            for before, after, dilation in zip(widths[:-1], widths[1:], DILATIONS, strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        self.meets = nn.Conv1d(shape.width, 1, 1)

    def forward(self, heard: Float[Tensor, "B K 208"]) -> Float[Tensor, "B T"]:
        x = ((heard - self.mean) / self.scale).transpose(1, 2)
        for look in self.looks:
            x = self.dropout(nn.functional.gelu(look(x)))
        return self.meets(x)[:, 0]


@dataclass(frozen=True, eq=False)
class ContactEar:
    """A trained network."""

    network: ContactNetwork
    about: dict[str, Any]

    @torch.no_grad()
    def chances(self, heard: Hearing) -> Float[Tensor, "K"]:
        """Of each heard frame."""
        parts = [torch.zeros(0)]
        for first in range(0, len(heard), BLOCK):
            stop = min(first + BLOCK, len(heard))
            parts.append(self.network(heard.section(first - REACH, stop + REACH)[None])[0])
        return torch.cat(parts).sigmoid()

    def save(self, path: Path) -> None:
        save_network(path, SCHEMA, self.network, self.network.shape, self.about)

    @staticmethod
    def load(path: Path) -> "ContactEar":
        """Raises InputError for a file that is not a contact ear of this schema."""
        return ContactEar(
            *load_network(path, SCHEMA, lambda **s: ContactNetwork(ContactShape(**s)))
        )


@cache
def load_contact_ear() -> ContactEar:
    """The one in use (`weights.in_use`). Raises AssetError where it is missing or damaged."""
    return in_use("contact_ear.safetensors", ContactEar.load)
