"""The speech benchmark's own arithmetic, on sounds and mouths made by hand."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.speaking.closures_section import Tally, count
from benchmarks.speaking.identity_section import top_one
from benchmarks.speaking.motion_section import correlation, figures, own
from benchmarks.speaking.place import Spoken
from benchmarks.speaking.sync_section import surprise, threshold_of
from benchmarks.speaking.systems import Ridge, ridge
from benchmarks.speaking.under import babble, mixed, music
from face3d.lips import mouth_opening, mouth_protrusion, mouth_width, opening_weights
from face3d.morphable import default_model
from face3d.track import Track
from media.audio import Audio
from prior.sound.phonemes import Phoneme
from prior.sound.speech import SpeechFeatures
from prior.sync.evidence import REACH
from prior.training.speech_corpus import SpeechExample, Utterance

FACE = default_model()


def tone(seconds: float = 2.0, start: Fraction = Fraction(0)) -> Audio:
    t = np.arange(int(16000 * seconds)) / 16000
    return Audio(np.sin(1000 * t, dtype=np.float32)[None], 16000, start)


def line(track: Track, late_frames: float = 0.0) -> Spoken:
    return Spoken(SpeechExample(Path("a"), Path("a"), "p"), track, tone(4), late_frames, True)


def test_what_lies_under_a_line_lies_as_far_under_as_it_says() -> None:
    """Kills amplitudes taken for powers, and decibels with their sign turned."""
    speech = tone()
    for under in (music(1.0), babble([tone(), tone(0.5)], 3.0)):
        added = mixed(speech, under, -10.0).samples - speech.samples
        ratio = np.square(added).mean() / np.square(speech.samples).mean()
        assert 10 * np.log10(ratio) == pytest.approx(-10, abs=0.05)


def test_ridge_finds_a_linear_rule() -> None:
    """Kills truth and features of different moments."""
    random = np.random.default_rng(0)
    mel = torch.from_numpy(random.normal(size=(6000, 80))).float()
    mouth = torch.zeros(6000, 20)
    mouth[:, 0] = mel[:, 3] - 0.5 * mel[:, 7] + 2
    example = SpeechExample(Path("a"), Path("a"), "p")
    known = torch.ones(6000, dtype=torch.bool)
    fitted = ridge([Utterance(SpeechFeatures(mel, Fraction(0)), mouth, known, 0, example)])
    by_lag = fitted.weights[:, 0].reshape(-1, 80) / fitted.scale.reshape(-1, 80)
    middle = len(by_lag) // 2
    assert 0.5 < float(by_lag[middle, 3]) < 1.1  # 1500 rows for 1680 columns: shrunk
    assert int(by_lag.abs().argmax()) == middle * 80 + 3
    assert float(fitted.rest[0]) == pytest.approx(2, abs=0.1)


def test_curves_are_what_the_mesh_does() -> None:
    """Kills a width of the wrong corners, and lips that come forward with their sign turned."""
    mouth = torch.randn(5, 20)
    points = 1000 * (FACE.mean[None] + torch.einsum("tm,mvc->tvc", mouth, FACE.mouth))
    width = points[:, 291, 0] - points[:, 61, 0]
    torch.testing.assert_close(mouth_width(FACE, mouth), width, rtol=0, atol=1e-3)
    forward = points[:, [17, 0], 2] - 1000 * FACE.mean[[17, 0], 2]
    assert np.corrcoef(mouth_protrusion(FACE, mouth), forward.mean(1))[0, 1] > 0.9


def test_a_scaled_mouth_correlates_fully_and_keeps_its_ratio() -> None:
    """Kills a ratio turned round and correlations of curves that were not centred."""
    truth = torch.randn(60, 20)
    pair = (0.5 * truth, truth, 25.0)
    found = figures([pair])
    assert found["opening"] == pytest.approx(1, abs=1e-5)
    assert found["std ratio"] == pytest.approx(0.5, abs=1e-4)
    assert correlation([(-truth, truth, 25.0)], "width") == pytest.approx(-1, abs=1e-5)


class Echo(Ridge):
    """Says when it was asked to begin, and by what it was taught."""

    taught = -1

    def mouth(self, audio, fps, frames, start_seconds=Fraction(0)):
        mouths = torch.full((frames, 20), float(start_seconds * fps))
        mouths[:, 1] = self.taught
        return mouths

    def in_manner_of(self, audio, track, lag_frames=0.0):
        other = Echo(self.mean, self.scale, self.weights, self.rest)
        object.__setattr__(other, "taught", track.start)
        return other


def test_each_half_is_spoken_in_the_manner_of_the_other(performer_track: Track) -> None:
    """Kills manners learned from the half that is measured, and halves that begin elsewhere."""
    track = replace(performer_track[:11], start=30)
    nothing = torch.zeros(1)
    echo = Echo(nothing, nothing, nothing[None], nothing)
    mouths = torch.cat([said for said, _, _ in own(echo, line(track, late_frames=2.0))])
    assert mouths[:, 0].tolist() == [32.0] * 5 + [37.0] * 6
    assert mouths[:, 1].tolist() == [35.0] * 5 + [30.0] * 6


def test_closures_are_looked_for_where_and_when_they_sound(performer_track: Track) -> None:
    """Kills lateness taken out the wrong way, and frames after the sound that count."""
    track = performer_track[:50]
    track = replace(track, start=0, valid=torch.ones(50, dtype=torch.bool))
    opening = np.full(50, 5.0)
    opening[22] = 0.0
    for late, lowest in ((0.0, 0.0), (4.0, 5.0), (-4.0, 5.0)):
        tally = Tally([], [], [])
        count(tally, line(track, late), opening, [Phoneme("B", 0.88, 0.92), Phoneme("AA", 1, 1.2)])
        assert tally.closures == [lowest]
        assert tally.vowels == [5.0]
        assert tally.teeth == []
    moved = Tally([], [], [])
    count(moved, line(track, 4.0), opening, [Phoneme("B", 1.04, 1.08)])
    assert moved.closures == [0.0]


def test_a_threshold_parts_windows_in_sync_from_windows_off() -> None:
    """Kills shifts of the wrong side, and a threshold that counts one kind twice."""
    total = torch.zeros(40, 2 * REACH + 1)
    total[:, REACH] = 3
    right, wrong = surprise(total, 0), surprise(total, 10)
    bar = threshold_of([total])
    assert (right > bar).all()
    assert (wrong <= bar).all()


def test_people_are_found_among_their_own() -> None:
    """Kills neighbours that are farthest, and people matched by their place in the question."""
    random = np.random.default_rng(0)

    def moving(scale: float) -> np.ndarray:
        return scale * random.normal(size=(200, 1))

    known = {"a": [moving(1)], "b": [moving(5)], "c": [moving(25)]}
    asked = {"c": [moving(25)], "a": [moving(1)]}
    assert top_one(known, asked, lambda m: np.log(m.std(0))) == 1.0
    assert top_one(known, {"a": [moving(25)]}, lambda m: np.log(m.std(0))) == 0.0


def test_openings_are_linear() -> None:
    mouth = torch.randn(4, 20)
    rise = mouth_opening(FACE, 2 * mouth) - mouth_opening(FACE, mouth)
    torch.testing.assert_close(rise, mouth @ opening_weights(FACE), rtol=0, atol=1e-4)
