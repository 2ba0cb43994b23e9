"""The training loop on a corpus of two made-up people whose mouths follow their loudness."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import DivergedError, InputError
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from prior.expression import ExpressionShape
from prior.speech import SpeechFeatures
from prior.speech_corpus import SpeechCorpus, SpeechExample, Utterance
from prior.train_expression import (
    ExpressionConfig,
    finished,
    load_learner,
    train_expression,
)


def made_up_corpus(utterances: int = 4) -> SpeechCorpus:
    random = np.random.default_rng(0)
    made = []
    for number in range(utterances):
        steps = np.repeat(random.uniform(0, 1, 30), 10)
        swell = torch.from_numpy(np.convolve(steps, np.hanning(15) / 7, "same")).float()
        mel = -3.0 + 2.5 * swell[:, None].expand(-1, 80) + 0.05 * torch.randn(300, 80)
        mouth = torch.zeros(300, 20)
        mouth[:, 0] = 2 * swell - 0.1
        example = SpeechExample(Path("s"), Path("t"), str(number % 2))
        known = torch.ones(300, dtype=torch.bool)
        made.append(Utterance(SpeechFeatures(mel, Fraction(0)), mouth, known, number % 2, example))
    return SpeechCorpus(tuple(made), ("0", "1"))


CONFIG = ExpressionConfig(
    shape=ExpressionShape(width=16, style=2), steps=6, batch=2, outputs=16, save_every=3
)


def test_a_stopped_training_ends_in_the_same_weights(tmp_path: Path) -> None:
    """Kills forgotten optimiser memory, restarted schedules and batches or dropout that depend on
    what was drawn before."""
    corpus = made_up_corpus()
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    losses = [s.terms["point"] for s in train_expression(corpus, CONFIG, whole)]
    assert len(losses) == CONFIG.steps
    for step in train_expression(corpus, CONFIG, parts):
        if step.index == 4:
            break
    resumed = [s.index for s in train_expression(corpus, CONFIG, parts)]
    assert resumed == [4, 5, 6]
    a, b = (load_learner(path, CONFIG, corpus).state_dict() for path in (whole, parts))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    list(train_expression(made_up_corpus(), CONFIG, path))
    other = ExpressionConfig(**{**vars(CONFIG), "rate": 1e-4})
    with pytest.raises(InputError, match="another configuration"):
        next(train_expression(made_up_corpus(), other, path))


def test_a_loss_that_is_no_number_stops_with_its_step(tmp_path: Path) -> None:
    corpus = made_up_corpus()
    for u in corpus.utterances:
        u.mouth[100:] = torch.nan
    with pytest.raises(DivergedError, match="step 0 in its point term"):
        list(train_expression(corpus, CONFIG, tmp_path / "run.safetensors"))


def test_a_mouth_that_follows_loudness_is_learned(tmp_path: Path) -> None:
    """Kills losses with the wrong sign, a style that is never told, a curve that shrinks."""
    corpus = made_up_corpus(8)
    config = ExpressionConfig(
        shape=ExpressionShape(width=24, style=2), steps=80, batch=6, outputs=30, rate=6e-3
    )
    path = tmp_path / "run.safetensors"
    list(train_expression(corpus, config, path))
    model = finished(load_learner(path, config, corpus), corpus, {})
    unheard = made_up_corpus(9).utterances[-1]
    heard = model.manner(torch.cat(list(model.on_clock(unheard.features, 0, 150))))
    a, b = (mouth_opening(default_model(), m) for m in (heard, unheard.mouth[::2]))
    assert float(torch.corrcoef(torch.stack([a, b]))[0, 1]) > 0.8
    assert 0.75 < float(a.std() / b.std()) < 1.3
