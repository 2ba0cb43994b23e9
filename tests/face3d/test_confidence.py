"""Evidence of bad detections, and what is made of it."""

from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

from face3d.confidence import Calibration, default_calibration, learned
from face3d.evidence import (
    UNSEEN_PX256,
    Evidence,
    Examiner,
    above_the_nose,
    below_the_nose,
    mirror_partner,
    strangeness,
)
from face3d.landmarks import FaceMesh, Landmarks
from face3d.morphable import default_model
from face3d.topology import LIPS
from face3d.tracker import TrackerConfig, judged, track_landmarks
from media.clip import Clip
from media.frame import Frame
from scripts.hardships import behind_a_hand, blurred_by_motion

FRAMES = 24


def evidence_of(pictures: list[np.ndarray], cut: int | None = None) -> Evidence:
    examiner = Examiner(len(pictures))
    with closing(FaceMesh()) as mesh:
        for picture in pictures:
            examiner.examine(Frame.of_rgb(picture), mesh.detect(picture))
    examiner.close()
    edges = [0, *([cut] if cut else []), len(pictures)]
    return examiner.evidence([slice(a, b) for a, b in pairwise(edges)])


@pytest.fixture(scope="module")
def pictures(performer_clip: Clip) -> list[np.ndarray]:
    return [frame.rgb for frame in performer_clip.frames(range(FRAMES))]


@pytest.fixture(scope="module")
def plain(pictures: list[np.ndarray]) -> Evidence:
    return evidence_of(pictures)


def points_of(landmarks: Landmarks) -> np.ndarray:
    return np.concatenate([landmarks.xy, landmarks.depth[..., None]], -1)


def test_mirror_partners_are_across_the_face() -> None:
    """Kills a permutation that is none, and one that keeps left left."""
    partner = mirror_partner()
    assert (partner[partner] == np.arange(468)).mean() > 0.98
    mean = default_model().mean[:468].numpy()
    assert np.abs(mean[partner, 0] + mean[:, 0]).max() < 0.004
    assert partner[61] == 291
    assert partner[33] == 263


def test_skin_points_leave_out_the_lips() -> None:
    """Kills strangeness that is speech: no lip is among them, and the two groups do not meet."""
    low, high = set(below_the_nose().tolist()), set(above_the_nose().tolist())
    assert len(low) > 30
    assert len(high) > 10
    assert not low & set(LIPS)
    assert not low & high


def test_an_easy_clip_is_trusted(plain: Evidence) -> None:
    """Kills disagreement left in mirrored pixels: both looks at the performer agree within 4 px256,
    and every frame is trusted."""
    assert float(plain.disagreement.max()) < 4
    assert float(plain.strangeness.max()) < 3
    assert float(default_calibration().confidence(plain).min()) > TrackerConfig().min_confidence


@pytest.mark.parametrize("harden", [behind_a_hand, blurred_by_motion])
def test_hard_frames_are_trusted_less(
    harden, pictures: list[np.ndarray], plain: Evidence, performer_landmarks: Landmarks
) -> None:
    """Kills confidence that does not see hands or smears, or sees them everywhere."""
    points, random = points_of(performer_landmarks), np.random.default_rng(0)
    hard = [
        harden(picture, points[i], float(i >= 14), random) for i, picture in enumerate(pictures)
    ]
    sure = default_calibration().confidence(evidence_of(hard))
    before = default_calibration().confidence(plain)
    assert sure[:11].min() > TrackerConfig().min_confidence
    assert np.median(sure[17:]) < 0.5 * np.median(before[17:])


def test_frames_without_a_face_have_none(pictures: list[np.ndarray]) -> None:
    """Kills a gap that spreads into its neighbours, and evidence that crosses a cut."""
    grey = np.full_like(pictures[0], 96)
    seen = evidence_of([*pictures[:4], grey, *pictures[4:7]], cut=4)
    assert np.isnan(seen.disagreement).tolist() == [False] * 4 + [True] + [False] * 3
    assert default_calibration().confidence(seen)[4] == 0
    assert (seen[5:].strangeness == 1).all()


def test_strangeness_counts_from_the_better_half() -> None:
    """Kills a median that the hand is part of: 45 % strange frames are strange, not the others."""
    random = np.random.default_rng(0)
    colours = 0.02 * random.standard_normal((40, 30, 3))
    apart = np.full(40, 1.0)
    colours[22:] += 0.5
    apart[22:] = UNSEEN_PX256
    strange = strangeness(colours, apart)
    assert strange[:22].max() < 1.5
    assert strange[22:].min() > 10
    assert (strangeness(colours[:9], apart[:9]) == 1).all()


def test_learning_finds_the_probabilities_that_made_the_data() -> None:
    """Kills weights of standardised evidence used on plain evidence, and a sign turned round."""
    random = np.random.default_rng(0)
    logs = random.standard_normal((20000, 3)) * [0.5, 1.0, 2.0] + [1.0, 0.0, -1.0]
    truth = Calibration(np.array([-2.0, 1.0, 0.5]), 1.0)
    evidence = Evidence(*np.exp(np.maximum(logs, np.log(0.01))).T)
    sure = truth.confidence(evidence)
    found = learned(np.maximum(logs, np.log(0.01)), (random.random(20000) < sure).astype(float))
    np.testing.assert_allclose(found.weights, truth.weights, atol=0.1)
    assert abs(found.bias - 1.0) < 0.1


def test_doubtful_frames_are_not_valid(performer_landmarks: Landmarks) -> None:
    """Kills a confidence that nobody heeds, and one that revives frames the mesh does not fit."""
    track = track_landmarks(performer_landmarks[:6], 512, 512, Fraction(25))
    sure, doubtful = 1.0, 20.0
    columns = np.array([[sure, sure, doubtful, doubtful, sure, np.nan]] * 2 + [[1.0] * 6])
    seen = judged(track, Evidence(*columns), TrackerConfig())
    assert seen.valid.tolist() == [True, True, False, False, True, False]
    assert bool((seen.confidence[:2] > 0.8).all())
    assert seen.reasons() == ["", "", *["face not clear"] * 2, "", "face not clear"]
    missed = replace(seen, residual=torch.where(seen.valid, seen.residual, torch.inf))
    assert missed.reasons() == ["", "", "no face", "no face", "", "no face"]
    lost = replace(track, valid=torch.zeros(6, dtype=torch.bool))
    assert not bool(judged(lost, Evidence(*columns), TrackerConfig()).valid.any())
