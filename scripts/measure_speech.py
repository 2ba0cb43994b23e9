"""Measure a speech model on tracked speech that it was not trained on, beside ridge regression.

    python scripts/measure_speech.py CORPUS.json [--model expression.safetensors]

Prints a table for the model card with rows for each person: the network as it comes; in the manner
of the person, learned from the other half of each clip; ridge regression from the same features on
the "train" examples; and the clip's own mean mouth, which no error should exceed. Lags of clips not
"held-out" are estimated and taken out first, for all alike.
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
from face3d.lips import mouth_opening, mouth_point_basis
from face3d.morphable import default_model
from face3d.track import Track
from media.audio import Audio, load_audio, silence
from prior.alignment import Lag, estimate_lag
from prior.expression import ExpressionModel, load_driver
from prior.speech import FRAME_RATE, SpeechFeatures, speech_features
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

BELIEVED = 0.2
"""Lags of less confidence are taken for none."""
CLOSED_MILLIMETRES = 0.5
"""Lips of which less than this is seen apart are shut."""


@dataclass(frozen=True)
class Heard:
    """Predicted and tracked mouths of one clip, `known` frames only."""

    predicted: Float[Tensor, "T M"]
    truth: Float[Tensor, "T M"]
    fps: Fraction


Regression = Callable[[SpeechFeatures, Tensor], Tensor]
"""Features and moments, in mel frames, to mouths."""


def ridge(utterances: list[Utterance]) -> Regression:
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


def nearly_lowest(opening: Float[Tensor, "T"]) -> Float[Tensor, "T"]:
    """The lowest opening of each frame and its two neighbours: a closure may come a frame early."""
    return -torch.nn.functional.max_pool1d(-opening[None], 3, stride=1, padding=1)[0]


def figures(heard: list[Heard]) -> dict[str, float]:
    """Means over a person's clips, each frame counting once; `ajar_mm` is the predicted opening
    where lips are shut."""
    face = default_model()
    basis = mouth_point_basis(face)
    parts = defaultdict(list)
    for h in heard:
        a, b = (mouth_opening(face, m) for m in (h.predicted, h.truth))
        points = torch.einsum("tm,mpc->tpc", h.predicted - h.truth, basis)
        speed = points.diff(dim=0).norm(dim=-1).mean(-1) * float(h.fps)
        shut = b < CLOSED_MILLIMETRES
        parts["opening"].append(torch.stack([a, b]))
        parts["centred"].append(torch.stack([a - a.mean(), b - b.mean()]))
        parts["points_mm"].append(points.norm(dim=-1).mean(-1))
        parts["velocity_mm_s"].append(speed)
        parts["ajar_mm"].append(nearly_lowest(a)[shut])
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


def halves(track: Track) -> tuple[Track, Track]:
    middle = len(track) // 2
    return track[:middle], track[middle:]


def own_manner(
    model: ExpressionModel, audio: Audio, track: Track, late: float
) -> Float[Tensor, "T M"]:
    """Each half of a clip spoken in the manner learned from its other half."""
    mouths = []
    for known, asked in zip(reversed(halves(track)), halves(track), strict=True):
        start = (Fraction(asked.start) + Fraction(late)) / track.fps
        driver = model.in_manner_of(audio, known, late)
        mouths.append(driver.mouth(audio, track.fps, len(asked), start))
    return torch.cat(mouths)


def measured(
    model: ExpressionModel, plain: Regression, example: SpeechExample
) -> tuple[dict[str, Heard], Lag]:
    """One clip by every method, and its lag: the corpus' own for held-out examples."""
    track, audio = Track.load(example.track), load_audio(example.sound, mono=True)
    features = speech_features(audio)
    face = default_model()

    def network(late: float) -> Float[Tensor, "T M"]:
        return model.mouth(
            audio, track.fps, len(track), (Fraction(track.start) + Fraction(late)) / track.fps
        )

    lag = Lag(example.lag_frames, 1.0)
    if example.split != HELD_OUT:
        heard, seen = (mouth_opening(face, m).numpy() for m in (network(0.0), track.motion.mouth))
        lag = estimate_lag(heard, seen, track.fps)
        lag = lag if lag.confidence >= BELIEVED else Lag(0.0, lag.confidence)
    frames = track.start + torch.arange(len(track)).double() + 0.5 + lag.frames
    moments = (frames / float(track.fps) - float(features.start)) * FRAME_RATE
    predicted = {
        "network": network(lag.frames),
        "own manner": own_manner(model, audio, track, lag.frames),
        "ridge": plain(features, moments),
        "truth, still": track.motion.mouth.mean(0).expand_as(track.motion.mouth),
    }
    valid = track.valid
    truth = track.motion.mouth[valid]
    return {name: Heard(m[valid], truth, track.fps) for name, m in predicted.items()}, lag


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    model = ExpressionModel.load(arguments.model) if arguments.model else load_driver()
    examples = load_examples(arguments.corpus)
    training = [e for e in examples if e.split == TRAIN]
    plain = ridge(list(prepare_expression(training, Console()).utterances))
    people: dict[str, dict[str, list[Heard]]] = defaultdict(lambda: defaultdict(list))
    for example in (e for e in examples if e.split != TRAIN):
        clip, lag = measured(model, plain, example)
        for method, heard in clip.items():
            people[example.person][method].append(heard)
        if example.split != HELD_OUT:
            print(f"{example.sound.stem}: late by {lag.frames:.2f} frames ({lag.confidence:.2f})")
    print("| person | method | " + " | ".join(figures(people[example.person]["network"])) + " |")
    for person, methods in people.items():
        for method, heard in methods.items():
            row = " | ".join(f"{value:.2f}" for value in figures(heard).values())
            print(f"| {person} | {method} | {row} |")
    print(silence_motion(model))


if __name__ == "__main__":
    main()
