"""Sync: known shifts come back to the frame, with the documented sign."""

import csv
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from evaluate.metrics.lips import INNER_PAIRS
from evaluate.metrics.loudness import (
    band_loudness,
    lip_signal,
    loudness_sync,
    shift_correlations,
    without_drift,
)

RATE = 16000
CLIPS = Path(__file__).parents[3] / "shared/footage/clips"


def syllables(seconds: float, seed: int = 0) -> np.ndarray:
    """A loudness between 0 and 1 at 1 kHz, that rises and falls about four times a second."""
    rng = np.random.default_rng(seed)
    beats = np.cumsum(rng.uniform(0.12, 0.4, 400))
    t = np.arange(0, seconds, 1e-3)
    return sum(np.exp(-(((t - beat) / 0.04) ** 2)) for beat in beats if beat < seconds)


def sound_of(loudness: np.ndarray, late_seconds: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n = int(len(loudness) * RATE / 1000)
    t = np.arange(n) / RATE - late_seconds
    envelope = np.interp(t, np.arange(len(loudness)) / 1000, loudness, left=0, right=0)
    return envelope * rng.normal(0, 0.1, n) + rng.normal(0, 1e-3, n)


def lips_of(loudness: np.ndarray, fps: Fraction) -> np.ndarray:
    """Faces whose inner lips part with the loudness in the middle of each frame."""
    frames = int(len(loudness) / 1000 * fps)
    middles = (np.arange(frames) + 0.5) / float(fps)
    gaps = 20 * np.interp(middles, np.arange(len(loudness)) / 1000, loudness)
    face = np.zeros((frames, 478, 2))
    face[:, [33, 133]], face[:, [362, 263]] = [0, 0], [100, 0]
    face[:, 61], face[:, 291] = [30, 80], [70, 80]
    upper, lower = np.array(INNER_PAIRS).T
    face[:, upper], face[:, lower] = [50, 80], [50, 80]
    face[:, lower, 1] += gaps[:, None]
    return face


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001)])
@pytest.mark.parametrize("late", [-15, -6, -1, 0, 1, 4, 15])
def test_a_known_shift_comes_back_with_its_sign(fps: Fraction, late: int) -> None:
    """Kills a swapped sign, an off-by-one shift, and a rate taken as 25 or as an int."""
    loudness = syllables(20)
    found = loudness_sync(lips_of(loudness, fps), fps, sound_of(loudness, float(late / fps)), RATE)
    assert found.offset_frames == late
    assert found.confidence > 0.6
    assert found.margin > 0.2


def test_correlations_and_margin_equal_their_brute_force_twin() -> None:
    """Kills norms of the overlap alone, and a margin against a neighbour of the best shift."""
    fps = Fraction(25)
    loudness = syllables(3)
    face, sound = lips_of(loudness, fps), sound_of(loudness, 0.08)
    lips = without_drift(lip_signal(face), fps)
    bands = [without_drift(band, fps) for band in band_loudness(sound, RATE, fps, len(face))]
    expected = []
    for shift in range(-15, 16):
        pairs = [(t, t + shift) for t in range(len(lips)) if 0 <= t + shift < len(lips)]
        sums = [
            sum(lips[t] * band[u] for t, u in pairs) / math.sqrt((lips @ lips) * (band @ band))
            for band in bands
        ]
        expected.append(sum(sums) / 3)
    scores = shift_correlations(
        lip_signal(face), band_loudness(sound, RATE, fps, len(face)), fps, 15
    )
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)
    # The best shift is 2, at index 17; shifts −1 to 5 are its neighbours.
    rivals = expected[:14] + expected[21:]
    margin = loudness_sync(face, fps, sound, RATE).margin
    assert margin == pytest.approx(expected[17] - max(rivals), abs=1e-12)


def test_unrelated_sound_earns_no_margin() -> None:
    """Kills a margin against the neighbouring shift or against the mean."""
    found = loudness_sync(
        lips_of(syllables(20), Fraction(25)), Fraction(25), sound_of(syllables(20, 7), 0.0), RATE
    )
    assert found.confidence < 0.4
    assert found.margin < 0.1


def test_slow_drift_and_missing_faces_do_not_mislead() -> None:
    """Kills correlations of raw curves, and NaN frames read as shut mouths."""
    loudness = syllables(20)
    fps = Fraction(25)
    face = lips_of(loudness, fps)
    lower = np.array(INNER_PAIRS)[:, 1]
    face[:, lower, 1] += np.linspace(0, 60, len(face))[:, None]
    face[100:130] = np.nan
    sound = sound_of(loudness * np.linspace(1, 0.3, len(loudness)), 0.12)
    assert loudness_sync(face, fps, sound, RATE).offset_frames == 3


@pytest.mark.parametrize("seconds", [0, 0.02, 8])
def test_silence_still_lips_and_short_sound_have_no_offset(seconds: float) -> None:
    """Kills an offset made of rounding noise."""
    fps = Fraction(25)
    silence = np.zeros(int(seconds * RATE))
    assert math.isnan(loudness_sync(lips_of(syllables(8), fps), fps, silence, RATE).offset_frames)
    still = lips_of(np.full(8000, 0.37), fps)
    assert math.isnan(loudness_sync(still, fps, sound_of(syllables(8), 0), RATE).margin)


def test_one_and_two_frame_clips_do_not_fail() -> None:
    loudness = syllables(8)
    face = lips_of(loudness, Fraction(25))
    for frames in (1, 2):
        loudness_sync(face[:frames], Fraction(25), sound_of(loudness, 0), RATE)


def test_loudness_frames_tile_the_sound_exactly() -> None:
    """Kills frames of a rounded length: at 29.97 the click would drift into a neighbour."""
    fps = Fraction(30000, 1001)
    frames = 900
    for frame in (0, 1, 599, 899):
        first = -(-frame * RATE * 1001 // 30000)
        last = -(-(frame + 1) * RATE * 1001 // 30000) - 1
        for sample in (first, last):
            sound = np.zeros(math.ceil(frames * RATE / fps))
            sound[sample] = 1.0
            near = band_loudness(sound, RATE, fps, frames)
            # The filter rings into the neighbour; the click's own frame hears it at least as well.
            other = frame - 1 if sample == first else frame + 1
            if 0 <= other < frames:
                assert (near[:, frame] >= near[:, other]).all()
    assert np.isnan(band_loudness(np.ones(RATE), RATE, fps, frames)[:, 29:]).all()
    assert np.isfinite(band_loudness(np.ones(RATE), RATE, fps, frames)[:, :29]).all()


@pytest.mark.footage
@pytest.mark.skipif(not CLIPS.exists(), reason="no footage here")
def test_a_real_speakers_offset_agrees_with_the_manifest_and_follows_a_shift() -> None:
    """Kills tuning to synthetic speech. Measured: 6 frames, confidence 0.4 to 0.5, margin 0.3."""
    import av
    import mediapipe

    detector = mediapipe.solutions.face_mesh.FaceMesh(refine_landmarks=True)
    points, parts = [], []
    with av.open(str(CLIPS / "obama_edtalk.mp4")) as container:
        for frame in container.decode(video=0):
            if len(points) == 250:
                break
            found = detector.process(frame.to_ndarray(format="rgb24")).multi_face_landmarks[0]
            points.append([(p.x * frame.width, p.y * frame.height) for p in found.landmark])
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(CLIPS / "obama_edtalk.mp4")) as container:
        for packet in container.decode(audio=0):
            parts += [piece.to_ndarray()[0] for piece in resampler.resample(packet)]
    landmarks, sound, fps = np.array(points), np.concatenate(parts), Fraction(25)
    with (CLIPS.parent / "manifest.csv").open() as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    listed = int(rows["obama_edtalk.mp4"]["audio_late_by_frames25"])
    found = loudness_sync(landmarks, fps, sound, RATE)
    assert abs(found.offset_frames - listed) <= 1
    early = loudness_sync(landmarks, fps, sound[5 * RATE // 25 :], RATE)
    assert early.offset_frames == found.offset_frames - 5
