"""Features of speech: their clock, their level, and the corpus' clock."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from core.camera import Camera
from core.errors import InputError
from face3d.track import Crop, Identity, Motion, Track
from media.audio import Audio
from prior.sound import speech
from prior.sound.speech import mel_decibels, mel_weights, speech_features, speech_level
from prior.training.speech_corpus import (
    NOBODY,
    SpeechCorpus,
    SpeechExample,
    Utterance,
    draw_batch,
    heard_corpus,
    load_examples,
    save_examples,
    utterance,
)


def babble(seconds: float, seed: int = 0, rate: int = 16000) -> np.ndarray:
    """Noise that swells four times a second: as loud and as restless as speech."""
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(size=len(t))
    return (0.1 * noise * (0.55 - 0.45 * np.cos(2 * np.pi * 4 * t))).astype(np.float32)


def sound(samples: np.ndarray, start: Fraction = Fraction(0)) -> Audio:
    return Audio(samples[None].astype(np.float32), 16000, start)


def test_a_click_is_heard_in_its_own_frame() -> None:
    """Kills frames that begin, not lie, at k · 10 ms, and blocks glued one frame off."""
    samples = np.zeros(16000 * 3)
    samples[160 * 137] = 1.0
    whole = mel_decibels(samples.astype(np.float32))
    assert whole.shape == (301, 80)
    assert whole.sum(1).argmax() == 137


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills padding at the seams of blocks."""
    samples = babble(2.0)
    whole = mel_decibels(samples)
    monkeypatch.setattr(speech, "BLOCK_FRAMES", 17)
    np.testing.assert_allclose(mel_decibels(samples), whole, rtol=0, atol=1e-3)


def test_every_frequency_counts_once() -> None:
    """Kills edges in the wrong scale, bands that leave gaps, and triangles of unit area."""
    weights = mel_weights()
    centres = weights.argmax(1)
    np.testing.assert_allclose(
        weights[:, centres[0] + 1 : centres[-1]].sum(0), 1, rtol=0, atol=1e-9
    )
    # Below 1 kHz bands are evenly spaced: 45.25 steps of 200/3 Hz over 81 gaps, 31.25 Hz a bin.
    hertz = 31.25 * (weights @ np.arange(257)) / weights.sum(1)
    np.testing.assert_allclose(np.diff(hertz[5:22]).mean(), 45.245 * 200 / 3 / 81, rtol=0, atol=0.5)


def test_a_sine_reads_its_decibels_in_its_band() -> None:
    """Kills power for amplitude, a missing window gain, bands in the wrong order."""
    t = np.arange(16000) / 16000
    low, high = (
        mel_decibels((0.1 * np.sin(2 * np.pi * f * t)).astype(np.float32))[50] for f in (300, 5000)
    )
    assert low.max() == pytest.approx(-20, abs=1.5)
    assert high.max() == pytest.approx(-20, abs=2)
    assert low.argmax() < 20 < 55 < high.argmax()


@pytest.mark.parametrize("gain", [0.4, 3.0])
def test_level_opens_no_mouth(gain: float) -> None:
    """Kills absolute levels: a line at another gain is the same line."""
    line = babble(2.0)
    a, b = speech_features(sound(line)).mel, speech_features(sound(gain * line)).mel
    torch.testing.assert_close(a, b, rtol=0, atol=2e-3)


def test_pauses_do_not_raise_the_speech_around_them() -> None:
    """Kills a mean over the whole line: twenty seconds of pause would lift it by 10 dB."""
    line = babble(2.0)
    paused = np.concatenate([line, np.zeros(16000 * 20, np.float32)])
    a, b = (speech_level(mel_decibels(s)) for s in (line, paused))
    assert b == pytest.approx(a, abs=0.3)


def test_room_tone_is_not_turned_up_to_speech() -> None:
    """Kills a normalisation without an end."""
    hum = speech_features(sound(babble(2.0) * 0.003)).mel
    assert float(hum.max()) < -1.0
    silent = speech_features(sound(np.zeros(16000))).mel
    assert bool((silent == -3.5).all())


def test_outside_the_sound_there_is_silence() -> None:
    features = speech_features(sound(babble(0.3)))
    around = features.section(-5, len(features.mel) + 7)
    torch.testing.assert_close(around[5:-7], features.mel, rtol=0, atol=0)
    assert bool((around[:5] == -3.5).all())
    assert bool((around[-7:] == -3.5).all())
    for first, stop in ((-20, -10), (900, 905), (3, 3)):
        assert len(features.section(first, stop)) == stop - first


def track_with(mouth: torch.Tensor, fps: Fraction, start: int = 0) -> Track:
    frames = len(mouth)
    motion = Motion(torch.zeros(frames, 3), torch.zeros(frames, 3), mouth, torch.zeros(frames, 4))
    return Track(
        fps, start, Camera(500.0, (50.0, 50.0), 100, 100), (Crop(0, 0, 100, 96),),
        torch.zeros(frames, dtype=torch.int64), Identity(torch.zeros(3), torch.zeros(468, 3)),
        motion, torch.ones(frames, dtype=torch.bool), torch.zeros(frames), torch.ones(frames),
    )  # fmt: skip


def example_of(folder: Path, track: Track, seconds: float, lag: float) -> SpeechExample:
    folder.mkdir(parents=True, exist_ok=True)
    track.save(folder / "t.safetensors")
    wavfile.write(folder / "s.wav", 16000, (babble(seconds) * 20000).astype(np.int16))
    return SpeechExample(folder / "s.wav", folder / "t.safetensors", "someone", lag)


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
@pytest.mark.parametrize(("start", "lag"), [(0, 0.0), (10, 2.5)])
def test_truth_stands_at_the_middle_of_frames_and_late_sound_is_met_late(
    tmp_path: Path, fps: Fraction, start: int, lag: float
) -> None:
    """Kills frame starts for middles, a lag of the wrong sign, a track's start forgotten."""
    frames = 40
    ramp = torch.arange(frames, dtype=torch.float32)[:, None].expand(-1, 20).clone()
    u = utterance(example_of(tmp_path, track_with(ramp, fps, start), 3.0, lag), 0)
    clock = np.arange(len(u.mouth)) / 100
    expected = clock * float(fps) - 0.5 - start - lag
    inside = (expected >= 0) & (expected <= frames - 1)
    np.testing.assert_array_equal(u.known.numpy(), inside)
    np.testing.assert_allclose(u.mouth[u.known][:, 3], expected[inside], rtol=0, atol=1e-4)


def test_moments_beside_an_invalid_frame_are_unknown(tmp_path: Path) -> None:
    """Kills truth interpolated across frames that show no face."""
    track = track_with(torch.zeros(20, 20), Fraction(25))
    valid = track.valid.clone()
    valid[10] = False
    u = utterance(example_of(tmp_path, replace(track, valid=valid), 1.0, 0.0), 0)
    unknown = np.flatnonzero(~u.known.numpy()) / 100
    between = unknown[(unknown > 0.3) & (unknown < 0.5)]
    assert between.min() == pytest.approx(0.385, abs=0.01)
    assert between.max() == pytest.approx(0.455, abs=0.01)


def corpus_of_ramps() -> SpeechCorpus:
    """Truth and mel both tell the time: coefficient 0 is k / 100, band 0's position follows it."""
    utterances = []
    for person in range(2):
        clock = torch.arange(500) / 100
        mel = (clock[:, None] / 10 - 1).expand(-1, 80).clone()
        mouth = clock[:, None].expand(-1, 20).clone()
        example = SpeechExample(Path("s"), Path("t"), str(person))
        features = speech.SpeechFeatures(mel, Fraction(0))
        utterances.append(
            Utterance(features, mouth, torch.ones(500, dtype=torch.bool), person, example)
        )
    return SpeechCorpus(tuple(utterances), ("0", "1"))


def test_batches_keep_sound_and_truth_together() -> None:
    """Kills windows whose truth starts with the context, or runs at another speed."""
    batch = draw_batch(corpus_of_ramps(), 16, 50, 46, 2, seed=3)
    heard = (batch.heard[:, 46:-46:2, 0] + 1) * 10
    assert heard.shape == batch.known.shape == (16, 50)
    assert 0.5 < batch.known.float().mean() <= 1
    torch.testing.assert_close(
        heard[batch.known], batch.mouth[..., 0][batch.known], rtol=0, atol=1e-3
    )
    steps = batch.mouth[..., 0].diff(dim=1).amax(1) / 0.02
    assert steps.min() < 0.97
    assert steps.max() > 1.03


def test_batches_follow_from_their_seed() -> None:
    corpus = corpus_of_ramps()
    a, b, c = (draw_batch(corpus, 4, 20, 46, 2, seed) for seed in (1, 1, 2))
    assert torch.equal(a.heard, b.heard)
    assert not torch.equal(a.heard, c.heard)


def test_nobody_speaks_in_a_share_of_windows() -> None:
    """Kills silence drawn by its length, and people whose share silence changes."""
    corpus = corpus_of_ramps()
    silent = replace(corpus.utterances[0], person=NOBODY, mouth=torch.zeros(500, 20))
    both = replace(corpus, utterances=(*corpus.utterances, silent))
    people = draw_batch(both, 600, 2, 46, 2, seed=0).person
    shares = [float((people == person).float().mean()) for person in (NOBODY, 0, 1)]
    np.testing.assert_allclose(shares, [0.08, 0.46, 0.46], atol=0.06)


def test_takes_keep_truth_with_their_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a take whose truth runs at the untouched speed, and quiet rooms whose mouth moves."""
    monkeypatch.setattr("prior.training.speech_corpus.QUIET_ROOMS", 2)
    frames = 50
    ramp = torch.arange(frames, dtype=torch.float32)[:, None].expand(-1, 20).clone()
    example = example_of(tmp_path, track_with(ramp, Fraction(25)), 2.0, 0.0)
    corpus = heard_corpus([example], 3, seed=1)
    spoken = [u for u in corpus.utterances if u.person != NOBODY]
    assert len(spoken) >= 4
    for u in spoken:
        seconds = len(u.mouth) / 100
        steps = u.mouth[u.known][:, 0].diff()
        assert float(steps.mean()) == pytest.approx(25 / 100 * 2.0 / seconds, rel=0.02)
    rooms = [u for u in corpus.utterances if u.person == NOBODY]
    assert rooms
    assert all(float(u.mouth.abs().max()) == 0 for u in rooms)


def test_examples_round_trip_beside_their_list(tmp_path: Path) -> None:
    """Kills absolute paths: a corpus folder can be moved."""
    kept = [SpeechExample(tmp_path / "a/s.wav", tmp_path / "a/t.safetensors", "x", 1.5, "held-out")]
    save_examples(tmp_path / "corpus.json", kept)
    assert str(tmp_path) not in (tmp_path / "corpus.json").read_text()
    assert load_examples(tmp_path / "corpus.json") == kept
    (tmp_path / "bad.json").write_text('{"examples": [{"sound": 1}]}')
    with pytest.raises(InputError, match="not a speech corpus"):
        load_examples(tmp_path / "bad.json")
    with pytest.raises(InputError, match="not a speech corpus"):
        load_examples(tmp_path / "none.json")
