"""Figures of trackers: errors against a truth that the test makes up."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.tracking.closures_section import Spoken, around, group_lag
from benchmarks.tracking.findings import Finding
from benchmarks.tracking.known_truth import errors, mean_turn
from benchmarks.tracking.lip_gap import lip_gap
from core.camera import Camera
from core.rotation import matrix_from_axis_angle
from face3d.topology import INNER_PAIRS
from prior.sound.phonemes import BILABIAL, Phoneme
from scripts.acting.truth import Truth

FRAMES = 30


@pytest.fixture
def truth() -> Truth:
    random = torch.Generator().manual_seed(0)
    t = torch.arange(FRAMES) / 5
    lips = 200 + 10 * torch.randn(1, 40, 2, generator=random) + 5 * t.sin()[:, None, None]
    turn = torch.stack([0.1 * t.sin(), 0.6 * t.cos(), 0.05 * t.cos()], -1)
    return Truth(
        Camera(1000.0, (256.0, 256.0), 512, 512), turn, torch.zeros(FRAMES, 3), lips,
        0.01 * (3 * t).sin().clamp(min=0), tuple(range(40)), (), "",
    )  # fmt: skip


def turned(x: float, y: float, z: float) -> np.ndarray:
    return matrix_from_axis_angle(torch.tensor([x, y, z], dtype=torch.float64).deg2rad()).numpy()


def told(truth: Truth, turn: np.ndarray, lips: np.ndarray | None = None) -> Finding:
    """The truth, seen by a model whose head axes are turned."""
    true = matrix_from_axis_angle(truth.rotation.double()).numpy()
    points = truth.lips_pixels.double().numpy() if lips is None else lips
    opening = 3 * truth.opening_metres.double().numpy() + 1
    return Finding(true @ turn, points, opening, np.ones(FRAMES), np.ones(FRAMES, bool))


def test_a_constant_turn_of_the_axes_is_no_error_unless_it_is_asked_for(truth: Truth) -> None:
    """Kills a turn taken off in camera axes, and one that is never taken off."""
    axes = turned(10, -4, 3)
    found = errors(told(truth, axes), truth, 1.0)
    assert found.turned.max() < 1e-4
    assert found.turned_from(axes).max() < 1e-4
    assert found.turned_from(np.eye(3)) == pytest.approx(np.full(FRAMES, 11.17), abs=0.2)


def test_a_turn_shared_by_several_clips_leaves_what_differs(truth: Truth) -> None:
    """Kills a common turn that is fitted clip by clip: two clips 4 degrees apart are 2 off each."""
    both = [errors(told(truth, turned(0, angle, 0)), truth, 1.0) for angle in (0, 4)]
    shared = mean_turn(np.concatenate([each.apart for each in both]))
    for each in both:
        assert each.turned.max() < 1e-4
        assert each.turned_from(shared) == pytest.approx(np.full(FRAMES, 2.0), abs=1e-3)


def test_a_pitch_that_is_flattened_shows_as_a_slope(truth: Truth) -> None:
    """Kills slopes taken before the constant turn is off, and axes that are swapped."""
    flat = replace(truth, rotation=truth.rotation * torch.tensor([0.7, 1.0, 1.0]))
    found = errors(told(flat, turned(8, 0, 0)), truth, 1.0)
    assert found.gain == pytest.approx([0.7, 1.0], abs=0.03)


def test_lips_count_in_px256_and_shaking_counts_twice_where_it_is_doubled(truth: Truth) -> None:
    """Kills pixels for px256, and jitter of the first difference (a drift would count)."""
    lips = truth.lips_pixels.double().numpy()
    drift = np.arange(FRAMES)[:, None, None] * 0.5
    found = errors(told(truth, np.eye(3), 2 * lips - lips[:1] + drift), truth, 1.0)
    assert found.jitter_ratio == pytest.approx(2.0)
    aside = errors(told(truth, np.eye(3), lips + np.array([3.0, 4.0])), truth, 2.5)
    assert aside.lips == pytest.approx(np.full((FRAMES, 40), 2.0))
    assert aside.jitter_ratio == pytest.approx(1.0)
    assert aside.opening_corr == pytest.approx(1.0)


def test_frames_without_a_face_are_left_out(truth: Truth) -> None:
    """Kills one lost frame that turns every mean into nothing."""
    lips = truth.lips_pixels.double().numpy().copy()
    lips[7] = np.nan
    turn = np.tile(np.eye(3), (FRAMES, 1, 1))
    turn[7] = np.nan
    found = errors(told(truth, turn, lips), truth, 1.0)
    assert found.found == pytest.approx((FRAMES - 1) / FRAMES)
    assert np.nanmax(found.turned) < 1e-4
    assert found.jitter_ratio == pytest.approx(1.0)


def face(gap: float, roll: float) -> np.ndarray:
    """Landmarks [1 478 2] of a level face whose inner lips are `gap` apart, then rolled."""
    points = np.zeros((1, 478, 2))
    for right, left in ((33, 263), (133, 362)):
        points[0, [right, left]] = [[-30, -50], [30, -50]]
    for place, (upper, lower) in enumerate(INNER_PAIRS):
        points[0, [upper, lower]] = [[place - 4, -gap / 2], [place - 4, gap / 2]]
    c, s = np.cos(roll), np.sin(roll)
    return points @ np.array([[c, s], [-s, c]])


def test_the_gap_is_the_lips_own_whatever_the_head_does() -> None:
    """Kills a gap along the picture's columns, and overlapping lips that count as open."""
    for roll in (0.0, 0.7, -0.4):
        assert lip_gap(face(6.0, roll), 2.0) == pytest.approx([3.0])
        assert lip_gap(face(-2.0, roll), 2.0) == pytest.approx([0.0])


def test_a_late_sound_is_seen_earlier() -> None:
    """Kills a lag with the wrong sign: heard at frame 12 and 2 frames late is shown at frame 10."""
    gaps = {"ours": np.arange(20.0)}
    sounds = (Phoneme("B", 0.48, 0.52), Phoneme("AA", 0.52, 0.7), Phoneme("P", 0.0, 0.01))
    line = Spoken(sounds, gaps, 2.0, 0.5, 25.0)
    unsure = Spoken(sounds, gaps, -9.0, 0.1, 25.0)
    assert group_lag([line, unsure]) == 2.0
    assert around(line, "ours", 2.0, BILABIAL).tolist() == [[10.0, 9.0]]
    assert around(line, "ours", 0.0, BILABIAL).tolist() == [[12.0, 11.0], [0.0, 0.0]]
