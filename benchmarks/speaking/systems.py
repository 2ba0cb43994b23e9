"""The systems that are measured: whatever answers sound with mouths, learned or plain."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.speaking.place import Place
from face3d.track import Track
from media.audio import Audio
from prior.motion.expression import load_driver
from prior.sound.speech import FRAME_RATE, SpeechFeatures, speech_features
from prior.training.speech_corpus import Utterance, prepare_expression

RIDGE_CONTEXT, RIDGE_STEP = 40, 4
"""Mel frames seen by the ridge regression on each side, every fourth of them."""
RIDGE_PENALTY = 300.0


class Generator(Protocol):
    """A speech model: mouths for a sound, and the same model in somebody's manner.

    Frame i shows the sound at its middle, `start_seconds` + (i + ½) / fps after picture 0 of the
    clock that `sound.start` counts on.
    """

    def mouth(
        self, sound: Audio, fps: Fraction, frames: int, start_seconds: Fraction = Fraction(0)
    ) -> Float[Tensor, "T M"]: ...

    def in_manner_of(self, sound: Audio, track: Track, lag_frames: float = 0.0) -> "Generator": ...


@dataclass(frozen=True, eq=False)
class Ridge:
    """Closed-form regression of the coefficients on mel frames around a moment."""

    mean: Float[Tensor, "D"]
    scale: Float[Tensor, "D"]
    weights: Float[Tensor, "D M"]
    rest: Float[Tensor, "M"]

    def mouth(
        self, sound: Audio, fps: Fraction, frames: int, start_seconds: Fraction = Fraction(0)
    ) -> Float[Tensor, "T M"]:
        features = speech_features(sound)
        middles = float(start_seconds) + (torch.arange(frames).double() + 0.5) / float(fps)
        rows = ridge_rows(features, (middles - float(features.start)) * FRAME_RATE)
        return (rows - self.mean) / self.scale @ self.weights + self.rest

    def in_manner_of(self, sound: Audio, track: Track, lag_frames: float = 0.0) -> "Ridge":
        """The same: a plain regression knows no manners."""
        return self


def ridge(utterances: Sequence[Utterance]) -> Ridge:
    """Fit to every fourth moment of the utterances."""
    rows, truth = [], []
    for u in utterances:
        assert isinstance(u.features, SpeechFeatures), "regressed on mel bands"
        moments = torch.arange(0, len(u.mouth), 4)[u.known[::4]]
        rows.append(ridge_rows(u.features, moments.double()))
        truth.append(u.mouth[moments])
    x, y = torch.cat(rows), torch.cat(truth)
    mean, scale = x.mean(0), x.std(0).clamp_min(0.1)
    x = (x - mean) / scale
    gram = x.T @ x + RIDGE_PENALTY * torch.eye(x.shape[1])
    return Ridge(mean, scale, torch.linalg.solve(gram, x.T @ (y - y.mean(0))), y.mean(0))


def ridge_rows(features: SpeechFeatures, moments: Float[Tensor, "T"]) -> Float[Tensor, "T D"]:
    """Mel frames around each moment, the moments in mel frames."""
    middle = moments.round().long()
    reach = torch.arange(-RIDGE_CONTEXT, RIDGE_CONTEXT + 1, RIDGE_STEP)
    first = int(middle.min()) - RIDGE_CONTEXT
    mel = features.section(first, int(middle.max()) + RIDGE_CONTEXT + 1)
    return mel[middle[:, None] + reach - first].flatten(1)


def fitted_ridge(place: Place) -> Ridge:
    """The ridge of the place's training examples, fitted once."""
    from core.serial import Schema, load_tensors, save_tensors

    path, schema = place.work / "ridge.safetensors", Schema("ridge", 1)
    if not path.exists():
        corpus = prepare_expression(place.training, place.reporter)
        save_tensors(path, schema, vars(ridge(corpus.utterances)), {})
    return Ridge(**load_tensors(path, schema)[0])


SYSTEMS: Mapping[str, Callable[[Place], Generator]] = {
    "ridge": fitted_ridge,
    "regressor": lambda place: load_driver(),
}
"""By name, how each is made; a learned generator is a line here."""
