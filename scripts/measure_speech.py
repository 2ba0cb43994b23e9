"""Measure a speech model on tracked speech that it was not trained on, beside ridge regression.

    python scripts/measure_speech.py CORPUS.json [--model expression.safetensors]

Prints a table for the model card: one row a person, "held-out" examples of training people first,
examples of split "test" below. Ridge regression from the same features, on the "train" examples,
stands beside it. Lags are estimated and taken out before anything is compared, for both alike.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.progress import Console
from face3d.lips import MOUTH_POINTS, mouth_opening, mouth_point_basis
from face3d.morphable import default_model
from face3d.track import Track
from media.audio import Audio, load_audio, silence
from prior.alignment import estimate_lag
from prior.expression import ExpressionModel, load_driver
from prior.speech import FRAME_RATE, SpeechFeatures
from prior.speech_corpus import (
    HELD_OUT,
    TRAIN,
    SpeechExample,
    Utterance,
    load_examples,
    prepare_expression,
)

RIDGE_CONTEXT, RIDGE_STEP = 40, 4
"""Mel frames seen by the ridge regression on each side, every fourth of them."""
RIDGE_PENALTY = 300.0


@dataclass(frozen=True)
class Heard:
    """Predicted and tracked mouths of one clip, `known` frames only."""

    predicted: Float[Tensor, "T M"]
    truth: Float[Tensor, "T M"]
    fps: Fraction


def ridge(utterances: list[Utterance]) -> Callable[[SpeechFeatures, Float[Tensor, "T"]], Tensor]:
    """Closed-form regression of the coefficients on mel frames around a moment."""
    rows, truth = [], []
    for u in utterances:
        moments = torch.arange(0, len(u.mouth), 4)[u.known[::4]]
        rows.append(ridge_rows(u.features, moments.double()))
        truth.append(u.mouth[moments])
    x, y = torch.cat(rows), torch.cat(truth)
    mean, scale = x.mean(0), x.std(0).clamp_min(0.1)
    x = (x - mean) / scale
    gram = x.T @ x + RIDGE_PENALTY * torch.eye(x.shape[1])
    weights = torch.linalg.solve(gram, x.T @ (y - y.mean(0)))
    return lambda features, at: (ridge_rows(features, at) - mean) / scale @ weights + y.mean(0)


def ridge_rows(features: SpeechFeatures, moments: Float[Tensor, "T"]) -> Float[Tensor, "T D"]:
    """Mel frames around each moment, the moments in mel frames."""
    middle = moments.round().long()
    reach = torch.arange(-RIDGE_CONTEXT, RIDGE_CONTEXT + 1, RIDGE_STEP)
    first = int(middle.min()) - RIDGE_CONTEXT
    mel = features.section(first, int(middle.max()) + RIDGE_CONTEXT + 1)
    return mel[middle[:, None] + reach - first].flatten(1)


def lag_of(predict: Callable[[float], Tensor], track: Track) -> tuple[float, float]:
    """Estimated lag in frames, and its confidence."""
    face = default_model()
    heard, seen = (mouth_opening(face, m).numpy() for m in (predict(0.0), track.motion.mouth))
    lag = estimate_lag(heard, seen, track.fps)
    return lag.frames, lag.confidence


def figures(heard: list[Heard]) -> dict[str, float]:
    """Means over a person's clips, each frame counting once."""
    face = default_model()
    basis = mouth_point_basis(face)
    assert basis.shape[1] == len(MOUTH_POINTS)
    parts = defaultdict(list)
    for h in heard:
        a, b = (mouth_opening(face, m) for m in (h.predicted, h.truth))
        points = torch.einsum("tm,mpc->tpc", h.predicted - h.truth, basis)
        speed = points.diff(dim=0).norm(dim=-1).mean(-1) * float(h.fps)
        shut = b < b.quantile(0.1)
        parts["opening"].append(torch.stack([a, b]))
        parts["centred"].append(torch.stack([a - a.mean(), b - b.mean()]))
        parts["points_mm"].append(points.norm(dim=-1).mean(-1))
        parts["velocity_mm_s"].append(speed)
        parts["ajar_mm"].append((a - b)[shut])
    a, b = torch.cat(parts["centred"], 1)
    whole = torch.cat(parts["opening"], 1)
    return {
        "corr": float((a @ b) / (a.norm() * b.norm())),
        "std ratio": float(a.norm() / b.norm()),
        "bias_mm": float((whole[0] - whole[1]).mean()),
        **{k: float(torch.cat(parts[k]).mean()) for k in ("points_mm", "velocity_mm_s", "ajar_mm")},
    }


def silence_motion(model: ExpressionModel) -> dict[str, float]:
    """Opening, mm, and its deviation, over 5 s of digital silence and of room tone at −60 dBFS."""
    random = np.random.default_rng(0)
    tone = (1e-3 * random.normal(size=(1, 80000))).astype(np.float32)
    result = {}
    for name, sound in (("silence", silence(5.0, 16000)), ("room tone", Audio(tone, 16000))):
        opening = mouth_opening(default_model(), model.mouth(sound, Fraction(25), 125))
        result[f"{name} opening_mm"] = float(opening.mean())
        result[f"{name} std_mm"] = float(opening.std())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    model = ExpressionModel.load(arguments.model) if arguments.model else load_driver()
    examples = load_examples(arguments.corpus)
    training = [e for e in examples if e.split == TRAIN]
    plain = ridge(list(prepare_expression(training, Console()).utterances))
    by_person: dict[tuple[bool, str], dict[str, list[Heard]]] = {}
    lags: list[tuple[SpeechExample, float, float]] = []
    for example in (e for e in examples if e.split != TRAIN):
        track, audio = Track.load(example.track), load_audio(example.sound, mono=True)
        features = prepare_expression([example]).utterances[0].features
        first = Fraction(track.start) / track.fps

        def network(late: float, audio=audio, track=track, first=first) -> Tensor:
            start = first + Fraction(late) / track.fps
            return model.mouth(audio, track.fps, len(track), start)

        def linear(late: float, features=features, track=track) -> Tensor:
            frames = track.start + torch.arange(len(track)).double() + 0.5 + late
            seconds = frames / float(track.fps) - float(features.start)
            return plain(features, seconds * FRAME_RATE)

        late, confidence = example.lag_frames, 1.0
        if example.split != HELD_OUT:
            late, confidence = lag_of(network, track)
            lags.append((example, late, confidence))
        person = by_person.setdefault((example.split != HELD_OUT, example.person), {})
        for name, predict in (("network", network), ("ridge", linear)):
            heard = Heard(predict(late)[track.valid], track.motion.mouth[track.valid], track.fps)
            person.setdefault(name, []).append(heard)
    for (_, name), heard in sorted(by_person.items()):
        for method in ("network", "ridge"):
            row = " | ".join(f"{v:.2f}" for v in figures(heard[method]).values())
            keys = " | ".join(figures(heard[method]))
            print(f"| {name} | {method} | {row} |   ({keys})")
    for example, late, confidence in lags:
        print(f"{example.sound.stem}: sound late by {late:.2f} frames ({confidence:.2f})")
    print(silence_motion(model))


if __name__ == "__main__":
    main()
