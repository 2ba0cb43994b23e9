"""The tracker on the bundled performer, a computed head whose pose and lips are known exactly."""

from pathlib import Path

import numpy as np
import torch

from core.rotation import axis_angle_from_matrix, matrix_from_axis_angle
from face3d.landmarks import Landmarks, mouth_gap
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from face3d.track import FACE_PIXELS, Track, camera_vertices
from face3d.tracker import face_height
from scripts.acting.truth import load_truth

MODEL = default_model()
TRUTH = load_truth(Path(__file__).parents[2] / "scripts" / "performer" / "truth.safetensors")


def test_every_frame_is_tracked(performer_track: Track) -> None:
    """Kills a clip cut short: as many frames as the truth has, all of them valid."""
    assert len(performer_track) == len(TRUTH.rotation)
    assert bool(performer_track.valid.all())


def test_the_head_turns_as_it_did(performer_track: Track) -> None:
    """Kills a wrong pose. The model's axes differ from the performer's by one fixed turn, which is
    taken off; measured 1.3° mean."""
    found = matrix_from_axis_angle(performer_track.motion.rotation.double())
    true = matrix_from_axis_angle(TRUTH.rotation.double())
    apart = true.mT @ found
    u, _, vt = torch.linalg.svd(apart.mean(0))
    error = axis_angle_from_matrix(apart @ (u @ vt).mT).norm(dim=-1).rad2deg()
    assert float(error.mean()) < 1.5
    assert float(axis_angle_from_matrix(u @ vt).norm().rad2deg()) < 15


def test_the_lips_are_where_they_were(
    performer_track: Track, performer_landmarks: Landmarks
) -> None:
    """Kills lips that lag, are smoothed away or follow another landmark; measured 0.8 px256."""
    vertices = camera_vertices(MODEL, performer_track.identity, performer_track.motion)
    pixels = performer_track.camera.pixels_from_camera(vertices)
    lips = pixels[:, list(TRUTH.lip_landmarks)].double()
    scale = FACE_PIXELS / face_height(performer_landmarks)
    error = (lips - TRUTH.lips_pixels).norm(dim=-1) * scale
    assert float(error.mean()) < 1.5
    assert float(error.mean(1).quantile(0.95)) < 2.5


def test_the_opening_follows_the_lips_without_delay(performer_track: Track) -> None:
    """Kills a lag of one frame: the opening correlates best with the truth of the same frame."""
    opening = mouth_opening(MODEL, performer_track.motion.mouth).numpy()
    true = TRUTH.opening_metres.numpy()
    fits = [
        np.corrcoef(opening[3 + lag : len(true) - 3 + lag], true[3:-3])[0, 1] for lag in (-1, 0, 1)
    ]
    assert fits[1] == max(fits)
    assert fits[1] > 0.9


def test_the_gap_of_the_landmarks_is_the_lips_distance(performer_landmarks: Landmarks) -> None:
    """Kills a gap of the wrong points: it follows the true opening and misses where no face is."""
    gap = mouth_gap(performer_landmarks.xy)
    assert np.corrcoef(gap, TRUTH.opening_metres.numpy())[0, 1] > 0.9
    assert performer_landmarks.found.all()
