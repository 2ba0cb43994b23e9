"""Speech to mouth: a dilated convolution over what is heard that answers with mouth coefficients.

    two hearings 100 Hz ─▶ networks 50 Hz ─▶ mean, read at each frame's middle ─▶ manner

Convolutions are unpadded: every output sees its own 0.5 s of sound on either side and nothing else,
so a line computed in blocks is the line computed at once. Past the sound's ends there is silence.
While training, a short code tells who speaks; the zero code is the average speaker, and it is what
every actor gets. What remains of the person is a `Manner`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.serial import Schema, load_tensors, save_tensors
from face3d.track import Track
from media.audio import Audio
from prior.motion.habit import Habit, learned_habit
from prior.motion.manner import Manner, personal_manner
from prior.sound.encoder import SpeechEncoder
from prior.sound.hearing import WIDTH, Heard, Hearings, hear_in_doubt
from prior.sound.speech import FRAME_RATE
from prior.weights import in_use

SCHEMA = Schema("expression", 3)

STRIDE = 2
CLOCK = FRAME_RATE // STRIDE
"""Outputs of the network a second."""
DILATIONS = (1, 2, 4, 8, 1, 2, 4)
STEM = 5
"""Heard frames under the first kernel."""
CONTEXT = STEM // 2 + STRIDE * sum(DILATIONS)
"""Heard frames an output needs on each side of its own: 0.46 s."""
LOOK_AHEAD = 8
"""Heard frames after its own that a live output waits for: 80 ms."""
APART_MILLIMETRES = 3.0
"""From this opening of the average speaker on, a habit may open the lips as it likes."""
BLOCK = 20 * CLOCK
"""Outputs computed at once: memory does not grow with the line."""


@dataclass(frozen=True)
class ExpressionShape:
    """Sizes of the network."""

    inputs: int = WIDTH
    """Numbers a heard frame has."""
    width: int = 96
    style: int = 8
    """Numbers in a person's code."""
    mouth: int = 20


class Block(nn.Module):
    """Residual: normalise each moment, look `dilation` outputs to either side, mix channels."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.reach = dilation
        self.norm = nn.LayerNorm(width)
        self.look = nn.Conv1d(width, width, 3, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B C T"]) -> Float[Tensor, "B C S"]:
        hidden = self.look(self.norm(x.transpose(1, 2)).transpose(1, 2))
        hidden = self.mix(self.dropout(nn.functional.gelu(hidden)))
        return x[..., self.reach : -self.reach] + hidden


class ExpressionNetwork(nn.Module):
    """Heard frames to mouth coefficients, 50 a second; shorter by `CONTEXT` frames a side.

    A frame of which nothing is known, as those that are still to be spoken, is `mean` itself.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: ExpressionShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("mean", torch.zeros(shape.inputs))
        self.register_buffer("scale", torch.ones(shape.inputs))
        self.stem = nn.Conv1d(shape.inputs, shape.width, STEM, stride=STRIDE)
        self.blocks = nn.ModuleList([Block(shape.width, d, dropout) for d in DILATIONS])
        self.code = nn.Linear(shape.style, 2 * shape.width, bias=False)
        self.norm = nn.LayerNorm(shape.width)
        self.hidden = nn.Conv1d(shape.width, shape.width, 1)
        self.mouth = nn.Conv1d(shape.width, shape.mouth, 1)
        nn.init.zeros_(self.mouth.weight)

    def forward(
        self, heard: Float[Tensor, "B K I"], style: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B T M"]:
        return self.shown(self.understood(heard, style))

    def understood(
        self, heard: Float[Tensor, "B K I"], style: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B T C"]:
        """The last layer but one: what the sound asks of the mouth, in this style."""
        x = self.stem(((heard - self.mean) / self.scale).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        x = self.norm(x.transpose(1, 2))
        scale, shift = self.code(style)[:, None].chunk(2, -1)
        x = (x * (1 + scale) + shift).transpose(1, 2)
        return nn.functional.gelu(self.hidden(x)).transpose(1, 2)

    def shown(self, understood: Float[Tensor, "B T C"]) -> Float[Tensor, "B T M"]:
        """Mouths for what was `understood`."""
        return self.mouth(understood.transpose(1, 2)).transpose(1, 2)


class Ensemble(nn.Module):
    """Networks of one shape, trained apart: their mouths are averaged, and what each understood
    stands side by side."""

    members: Sequence[ExpressionNetwork]

    def __init__(self, members: Sequence[ExpressionNetwork]) -> None:
        super().__init__()
        self.add_module("members", nn.ModuleList(members))

    @property
    def shape(self) -> ExpressionShape:
        return self.members[0].shape

    @property
    def unknown(self) -> Float[Tensor, "I"]:
        """A heard frame of which nothing is known; the members, taught alike, agree on it."""
        return self.members[0].mean

    def understood(self, heard: Float[Tensor, "B K I"]) -> Float[Tensor, "B T C"]:
        """The members' last layers but one, for the average speaker."""
        style = heard.new_zeros(len(heard), self.shape.style)
        return torch.cat([member.understood(heard, style) for member in self.members], -1)

    def shown(self, understood: Float[Tensor, "B T C"]) -> Float[Tensor, "B T M"]:
        """Mouths for what was `understood`."""
        parts = understood.chunk(len(self.members), -1)
        mouths = [member.shown(part) for member, part in zip(self.members, parts, strict=True)]
        return torch.stack(mouths).mean(0)


@dataclass(frozen=True, eq=False)
class Line:
    """What was `understood` of a line and the mouths `expected` of it, 50 a second from output
    `first` of the sound on, and the `place` among them of every frame's middle."""

    understood: Float[Tensor, "N C"]
    expected: Float[Tensor, "N M"]
    place: Float[Tensor, "T"]
    first: int


@dataclass(frozen=True, eq=False)
class ExpressionModel:
    """Trained networks and the manner of who speaks, ready to drive a mouth."""

    network: Ensemble
    manner: Manner
    about: dict[str, Any]
    habit: Habit | None = None
    """What the speaker does otherwise than the average one."""
    encoder: SpeechEncoder | None = None
    """Through which it hears beside its own hearing, if it was trained so."""

    @cached_property
    def stamp(self) -> str:
        """A short text that only these networks have."""
        weights = self.network.state_dict().values()
        content = b"".join(w.half().contiguous().numpy().tobytes() for w in weights)
        return sha256(content).hexdigest()[:12]

    def mouth(
        self,
        sound: Audio | Hearings,
        fps: Fraction,
        frames: int,
        start_seconds: Fraction = Fraction(0),
    ) -> Float[Tensor, "T M"]:
        """The mouth in each of `frames` frames, at any rate.

        Frame i shows the sound at its middle, `start_seconds` + (i + ½) / fps after picture 0 of
        the clock that `sound.start` counts on; where there is no sound the mouth rests.
        """
        return self.manner(self.heard(sound, fps, frames, start_seconds))

    @torch.no_grad()
    def in_manner_of(
        self, sound: Audio | Hearings, track: Track, lag_frames: float = 0.0
    ) -> "ExpressionModel":
        """This model speaking as the tracked person does in `sound`, the track's own.

        `lag_frames` is by how much that sound is late, see `alignment.Lag`. Seconds suffice; none
        leave the average speaker.
        """
        start = (Fraction(track.start) + Fraction(lag_frames)) / track.fps
        line = replace(self, habit=None).line(sound, track.fps, len(track), start)
        understood, heard = (
            read_at(rows, line.place)[track.valid] for rows in (line.understood, line.expected)
        )
        seen = track.motion.mouth[track.valid]
        habit = learned_habit(understood, seen - heard, float(track.fps))
        own = replace(self, habit=habit).expected(understood)
        return replace(self, habit=habit, manner=personal_manner(self.manner, own, seen))

    def heard(
        self,
        sound: Audio | Hearings,
        fps: Fraction,
        frames: int,
        start_seconds: Fraction = Fraction(0),
    ) -> Float[Tensor, "T M"]:
        """The network's own mouths, before any manner; see `mouth`."""
        line = self.line(sound, fps, frames, start_seconds)
        return read_at(line.expected, line.place)

    @torch.no_grad()
    def line(
        self,
        sound: Audio | Hearings,
        fps: Fraction,
        frames: int,
        start_seconds: Fraction = Fraction(0),
    ) -> Line:
        """What the network makes of a line, on its own clock; see `mouth`."""
        hearings = hear_in_doubt(sound)
        moments = [
            (start_seconds + (i + Fraction(1, 2)) / fps - hearings.start) * CLOCK
            for i in range(frames)
        ]
        first = moments[0].__floor__() if moments else 0
        stop = moments[-1].__floor__() + 2 if moments else 2
        understood = self.understood_in(hearings, first, stop)
        place = torch.tensor([float(m - first) for m in moments], dtype=torch.float64)
        return Line(understood, self.expected(understood), place, first)

    def expected(self, understood: Float[Tensor, "N C"]) -> Float[Tensor, "N M"]:
        """Mouths for what was understood, before any manner."""
        mouth = self.network.shown(understood[None])[0]
        if self.habit is None:
            return mouth
        correction, manner = self.habit(understood), self.manner
        # A habit averages over closures; lips that the average speaker shuts it must not open.
        shut = 1 - (manner.closed + mouth @ manner.weights) / APART_MILLIMETRES
        ajar = shut.clamp(0, 1) * (correction @ manner.weights).clamp_min(0)
        return mouth + correction - ajar[:, None] * manner.direction

    @torch.no_grad()
    def understood_in(self, hearings: Hearings, first: int, stop: int) -> Float[Tensor, "N C"]:
        """What the network understood for its outputs `first` to `stop`, on average over the
        hearings; mouths are linear in it."""
        heard = self.encoder.beside(hearings) if self.encoder else hearings.each
        understood = (torch.cat(list(self.understood_on_clock(h, first, stop))) for h in heard)
        return torch.stack(list(understood)).mean(0)

    def on_clock(self, features: Heard, first: int, stop: int) -> Iterator[Float[Tensor, "N M"]]:
        """Uncorrected outputs `first` to `stop`, block by block; output j is heard j / 50 s in."""
        for understood in self.understood_on_clock(features, first, stop):
            yield self.expected(understood)

    def understood_on_clock(
        self, features: Heard, first: int, stop: int
    ) -> Iterator[Float[Tensor, "N C"]]:
        """What the network understood for its outputs `first` to `stop`, block by block."""
        for begin in range(first, stop, BLOCK):
            end = min(begin + BLOCK, stop)
            heard = features.section(STRIDE * begin - CONTEXT, STRIDE * (end - 1) + CONTEXT + 1)
            yield self.network.understood(heard[None])[0]

    def save(self, path: Path) -> None:
        """Weights in float16, the manner in float32."""
        tensors = {f"network.{k}": v.half() for k, v in self.network.state_dict().items()}
        manner = {k: v for k, v in vars(self.manner).items() if isinstance(v, Tensor)}
        tensors |= {f"manner.{k}": v for k, v in manner.items()}
        header = {"shape": vars(self.network.shape), "members": len(self.network.members)}
        header |= {"closed": self.manner.closed, "about": self.about}
        if self.encoder:
            header["encoder"] = self.encoder.facts()
        save_tensors(path, SCHEMA, tensors, header)

    @staticmethod
    def load(path: Path) -> "ExpressionModel":
        """Raises InputError for a file that is not an expression model of this schema."""
        tensors, header = load_tensors(path, SCHEMA)
        shape = ExpressionShape(**header["shape"])
        network = Ensemble([ExpressionNetwork(shape) for _ in range(header["members"])])
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "manner": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value.float()
        network.load_state_dict(parts["network"])
        manner = Manner(**parts["manner"], closed=header["closed"])
        facts = header.get("encoder")
        encoder = SpeechEncoder.told(facts) if facts else None
        return ExpressionModel(network.eval(), manner, header["about"], encoder=encoder)


def read_at(values: Float[Tensor, "N M"], place: Float[Tensor, "T"]) -> Float[Tensor, "T M"]:
    """Rows between rows, linearly."""
    below = place.floor().long()
    share = (place - below).to(values.dtype)[:, None]
    return torch.lerp(values[below], values[below + 1], share)


@cache
def load_driver() -> ExpressionModel:
    """The model in use (`weights.in_use`). Raises AssetError where it is missing or damaged."""
    return in_use("expression.safetensors", ExpressionModel.load)


def point_error(
    predicted: Float[Tensor, "B T M"], truth: Float[Tensor, "B T M"], basis: Float[Tensor, "M P 3"]
) -> Float[Tensor, "B T"]:
    """Mean squared distance over the mouth's points, mm²."""
    return torch.einsum("btm,mpc->btpc", predicted - truth, basis).square().sum(-1).mean(-1)


def velocity_error(
    predicted: Float[Tensor, "B T M"], truth: Float[Tensor, "B T M"], basis: Float[Tensor, "M P 3"]
) -> Float[Tensor, "B S"]:
    """`point_error` of the change from each moment to the next in time, mm² per step."""
    return point_error(predicted.diff(dim=1), truth.diff(dim=1), basis)


def closure_error(
    predicted: Float[Tensor, "B T"], truth: Float[Tensor, "B T"], closed_millimetres: float = 1.0
) -> Float[Tensor, "B T"]:
    """How far open, mm², lips are predicted whose true opening is below 1 mm; 0 elsewhere."""
    ajar = (predicted - truth.clamp_min(0)).clamp_min(0).square()
    return torch.where(truth < closed_millimetres, ajar, torch.zeros_like(ajar))
