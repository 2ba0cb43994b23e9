"""The training loop on a corpus of two made-up people whose mouths follow their loudness."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import DivergedError, InputError
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from prior.motion.expression import CONTEXT, LOOK_AHEAD, STRIDE, ExpressionShape
from prior.sound.speech import SpeechFeatures
from prior.training.speech_corpus import Batch, SpeechCorpus, SpeechExample, Utterance
from prior.training.train_expression import (
    ExpressionConfig,
    Learner,
    cut_short,
    equal_say,
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
        example = SpeechExample(Path(str(number)), Path("t"), str(number % 2))
        known = torch.ones(300, dtype=torch.bool)
        made.append(Utterance(SpeechFeatures(mel, Fraction(0)), mouth, known, number % 2, example))
    return SpeechCorpus(tuple(made), ("0", "1"))


CONFIG = ExpressionConfig(
    shape=ExpressionShape(80, width=16, style=2), steps=6, batch=2, outputs=16, save_every=3
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
        shape=ExpressionShape(80, width=24, style=2), steps=80, batch=6, outputs=30, rate=6e-3
    )
    path = tmp_path / "run.safetensors"
    list(train_expression(corpus, config, path))
    model = finished([load_learner(path, config, corpus)], corpus, {})
    unheard = made_up_corpus(9).utterances[-1]
    heard = model.manner(torch.cat(list(model.on_clock(unheard.features, 0, 150))))
    a, b = (mouth_opening(default_model(), m) for m in (heard, unheard.mouth[::2]))
    assert float(torch.corrcoef(torch.stack([a, b]))[0, 1]) > 0.8
    assert 0.75 < float(a.std() / b.std()) < 1.3


def test_what_ships_is_the_running_average(tmp_path: Path) -> None:
    """Kills the last step's network in its place, an average that runs the other way, and one that
    the optimiser decays."""
    corpus = made_up_corpus()
    torch.manual_seed(0)
    learner = Learner(CONFIG, 2)
    before = learner.average.mouth.weight.clone()
    learner.network.mouth.weight.data += 1
    learner.remember(0.75)
    now = learner.network.mouth.weight
    assert torch.allclose(learner.average.mouth.weight, 0.25 * now + 0.75 * before)
    list(train_expression(corpus, CONFIG, tmp_path / "run.safetensors"))
    trained = load_learner(tmp_path / "run.safetensors", CONFIG, corpus)
    shipped = finished([trained], corpus, {}).network.members[0]
    assert torch.equal(shipped.mouth.weight, trained.average.mouth.weight)
    assert not torch.equal(shipped.mouth.weight, trained.network.mouth.weight)
    assert float(shipped.mouth.weight.norm()) > 0.2 * float(trained.network.mouth.weight.norm())


def test_who_moves_twice_as_far_counts_half() -> None:
    """Kills variances for deviations, weights upside down, and weights that change the rate."""
    corpus = made_up_corpus()
    for u in corpus.utterances:
        if u.person == 1:
            u.mouth.copy_(2 * corpus.utterances[int(u.example.sound.name) - 1].mouth)
    say = equal_say(corpus, 0.5)
    assert abs(float(say.mean()) - 1) < 1e-6
    assert abs(float(say[0] / say[1]) - 2) < 1e-3
    assert torch.equal(equal_say(corpus, 0.0), torch.ones(2))


def test_a_live_window_knows_nothing_past_its_look_ahead() -> None:
    """Kills a future that leaks, moments asked after the cut, and windows that are never cut."""
    outputs = 20
    heard = torch.ones(64, STRIDE * (outputs - 1) + 1 + 2 * CONTEXT, 3)
    known = torch.ones(64, outputs, dtype=torch.bool)
    batch = Batch(heard, torch.zeros(64, outputs, 20), known, torch.zeros(64, dtype=torch.int64))
    torch.manual_seed(0)
    found = cut_short(batch, torch.full((3,), -7.0), 0.5)
    last = found.known.sum(1) - 1
    lived = (found.heard == -7).any(2).any(1)
    assert 16 < int(lived.sum()) < 48
    for row in range(64):
        unknown = (found.heard[row] == -7).all(1)
        expected = CONTEXT + STRIDE * int(last[row]) + LOOK_AHEAD if lived[row] else len(unknown)
        assert not unknown[: expected + 1].any()
        assert unknown[expected + 1 :].all()
    assert bool(found.known[~lived].all())
