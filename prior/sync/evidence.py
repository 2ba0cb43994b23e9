"""Whether lips and a sound belong together: codes of both, and evidence for every shift.

Each stream becomes a code 50 times a second. The evidence, in nats, that the lips at moment t made
the sound at t + s is the inner product of their codes there; `reach` shifts to either side are
weighed. Codes are learned contrastively (InfoNCE, arXiv 1807.03748): the evidence of a window must
single out shift 0 among all shifts of the same line, which knows voice, face and words and so
teaches nothing but time. Summed evidence serves any length of window, as SyncNet's distances do.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from prior.sound.speech import FRAME_RATE

CLOCK = 50
"""Codes a second."""
HOP = FRAME_RATE // CLOCK
"""Frames of sound a code."""
REACH = 30
"""Shifts weighed on each side: 0.6 s."""


class Block(nn.Module):
    """Residual: normalise each moment, look `dilation` moments to either side, mix channels."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.look = nn.Conv1d(width, width, 3, dilation=dilation, padding=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B C T"]) -> Float[Tensor, "B C T"]:
        hidden = self.look(self.norm(x.transpose(1, 2)).transpose(1, 2))
        return x + self.mix(self.dropout(nn.functional.gelu(hidden)))


class Tower(nn.Module):
    """A stream to codes: one for each `stride` of its moments, with blocks of growing reach."""

    def __init__(
        self, inputs: int, stride: int, dilations: Sequence[int], width: int, codes: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.stem = nn.Conv1d(inputs, width, 5, stride=stride, padding=2)
        self.blocks = nn.Sequential(*(Block(width, d, dropout) for d in dilations))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, codes)

    def forward(self, stream: Float[Tensor, "B K C"]) -> Float[Tensor, "B T D"]:
        hidden = self.blocks(self.stem(stream.transpose(1, 2))).transpose(1, 2)
        return self.out(self.norm(hidden)) / self.out.out_features**0.5


class SyncNetwork(nn.Module, ABC):
    """Two towers that end in one space."""

    @abstractmethod
    def hear(self, sound: Float[Tensor, "B K C"]) -> Float[Tensor, "B T D"]:
        """Codes of the sound, one for two of its 100 frames a second."""

    @abstractmethod
    def see(self, lips: Float[Tensor, "B T L"]) -> Float[Tensor, "B T D"]:
        """Codes of the lips, 50 a second."""

    @abstractmethod
    def vary(self, windows: "Windows", random: np.random.Generator) -> "Windows":
        """The same moments as other voices, rooms, faces and errors of measurement show them."""


@dataclass(frozen=True, eq=False)
class SyncClip:
    """A line as a network takes it: sound at 100 Hz, lips at 50 Hz that hold where `known`."""

    sound: Float[Tensor, "K C"]
    lips: Float[Tensor, "N L"]
    known: Bool[Tensor, "N"]
    person: str

    def __post_init__(self) -> None:
        assert len(self.sound) == HOP * len(self.lips), (len(self.sound), len(self.lips))


@dataclass(frozen=True, eq=False)
class Windows:
    """Stretches of several lines, all of one length."""

    sound: Float[Tensor, "B K C"]
    lips: Float[Tensor, "B T L"]
    known: Bool[Tensor, "B T"]


def evidence(
    heard: Float[Tensor, "B T D"], seen: Float[Tensor, "B T D"], reach: int = REACH
) -> Float[Tensor, "B N S"]:
    """Evidence of moments `reach` to T − `reach` for each shift of the sound, −reach … reach."""
    shifted = heard.unfold(1, 2 * reach + 1, 1)
    return torch.einsum("btd,btds->bts", seen[:, reach : seen.shape[1] - reach], shifted)


@torch.no_grad()
def clip_codes(network: SyncNetwork, clip: SyncClip) -> tuple[Tensor, Tensor]:
    """Codes of a line's sound and lips [N D], less their means over it: what never changes tells
    nothing about time. Unknown lips are 0."""
    heard, seen = network.hear(clip.sound[None])[0], network.see(clip.lips[None])[0]
    known = clip.known[:, None]
    centre = (seen * known).sum(0) / known.sum().clamp_min(1)
    return heard - heard.mean(0), (seen - centre) * known


def clip_evidence(
    heard: Float[Tensor, "N D"], seen: Float[Tensor, "N D"], reach: int = REACH
) -> Float[Tensor, "N S"]:
    """Evidence of every moment of a line; beyond its ends there is none."""
    heard, seen = (nn.functional.pad(codes, (0, 0, reach, reach)) for codes in (heard, seen))
    return evidence(heard[None], seen[None], reach)[0]


@dataclass(frozen=True)
class Offset:
    """`seconds` > 0: the sound is late; what the lips do at t is heard at t + `seconds`.

    confidence: the cosine of all the clip's codes at that shift. margin: by how much it exceeds the
    best one more than 0.12 s away. All are NaN where nothing can be told.
    """

    seconds: float
    confidence: float
    margin: float


NEIGHBOURS = 6
"""Shifts to either side of the best that are the same offset: 0.12 s."""
STILL = 1e-3
"""Deviation of a stream's values below which nothing moves."""


def find_offset(network: SyncNetwork, clip: SyncClip, reach: int = REACH) -> Offset:
    """The shift with the most evidence, refined by the parabola through its neighbours.

    Evidence is summed over the overlap and divided by the norms of both whole streams, so that a
    few moments at the ends of a short clip cannot outdo the rest.
    """
    if still(clip.sound) or still(clip.lips[clip.known]):
        return Offset(np.nan, np.nan, np.nan)
    heard, seen = clip_codes(network, clip)
    norms = float(heard.norm()), float(seen.norm())
    total = clip_evidence(heard, seen, reach).sum(0)
    scores = total.double().numpy() / (norms[0] * norms[1])
    best = int(scores.argmax())
    far = np.abs(np.arange(len(scores)) - best) > NEIGHBOURS
    margin = float(scores[best] - scores[far].max()) if far.any() else np.nan
    return Offset((best - reach + vertex(scores, best)) / CLOCK, float(scores[best]), margin)


def still(stream: Float[Tensor, "N C"]) -> bool:
    """Nothing there changes, or nothing is there."""
    return len(stream) == 0 or bool((stream.std(0, correction=0) < STILL).all())


def vertex(scores: Float[np.ndarray, " S"], best: int) -> float:
    """Where the parabola through a maximum and its neighbours peaks, −½ to ½; 0 at the ends."""
    if not 0 < best < len(scores) - 1:
        return 0.0
    before, peak, after = scores[best - 1 : best + 2]
    bend = before - 2 * peak + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
