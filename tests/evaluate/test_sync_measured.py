"""Offsets as `evaluate` reports them: the judge on a computed head, by sign, rate and range."""

import math
from fractions import Fraction

import numpy as np
import pytest

from evaluate.metrics.sync import Sync, measure_sync
from face3d.landmarks import Landmarks
from media.audio import Audio, load_audio
from media.clip import Clip

RATE = 16000


@pytest.fixture(scope="module")
def sound(performer_clip: Clip) -> Audio:
    audio = load_audio(performer_clip.path).mono16k()
    return audio.section(0, audio.seconds)


def measured(clip: Clip, landmarks: Landmarks, sound: Audio, late_frames: int) -> Sync:
    lost = max(-late_frames, 0) * RATE // 25
    before = np.zeros(max(late_frames, 0) * RATE // 25, np.float32)
    samples = np.concatenate([before, sound.samples[0, lost:]])
    return measure_sync(landmarks.xy, clip.fps, samples, RATE)


def test_late_and_early_sound_are_told_with_their_signs(
    performer_clip: Clip, performer_landmarks: Landmarks, sound: Audio
) -> None:
    """Kills a turned sign and seconds reported as frames. Real people: benchmarks/speech.md."""
    assert performer_clip.fps == 25
    found = {
        late: measured(performer_clip, performer_landmarks, sound, late) for late in (-5, 0, 6)
    }
    assert abs(found[0].offset_frames) < 1.5
    for late in (-5, 6):
        assert found[late].offset_frames - found[0].offset_frames == pytest.approx(late, abs=0.6)
    assert found[0].confidence > 0.1


def test_silence_and_a_still_face_have_no_offset(performer_landmarks: Landmarks) -> None:
    """Kills an offset told from a hiss of rounding, or from a face that says nothing."""
    still = np.repeat(performer_landmarks.xy[:1], 50, 0)
    noise = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
    assert math.isnan(measure_sync(still, Fraction(25), noise, RATE).offset_frames)
    nobody = np.full_like(still, np.nan)
    assert math.isnan(measure_sync(nobody, Fraction(25), noise, RATE).confidence)
