"""What `track` and `inspect` say of a track, against tracks whose answer is known."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from core import cores
from core.camera import Camera
from core.errors import InputError
from core.progress import Silent
from dub.inspection import inspect_clip, pose_range, shots
from dub.overlay import LIP_COLOUR, write_lit, write_overlay
from dub.tracking import crop_points, lip_error, printed, shot_jitter, track_measured
from face3d.landmarks import Landmarks
from face3d.morphable import default_model
from face3d.topology import LANDMARKS, LIPS
from face3d.track import Crop, Identity, Motion, Track
from media.clip import Clip
from media.frame import Frame


def still_track(frames: int, shot: list[int], valid: list[bool], rotation: torch.Tensor) -> Track:
    """A mean face half a metre away that turns as told."""
    model = default_model()
    motion = Motion(
        rotation,
        torch.tensor([0.0, 0.0, -0.5]).expand(frames, 3),
        torch.zeros(frames, len(model.mouth)),
        torch.zeros(frames, len(model.upper)),
    )
    identity = Identity(torch.zeros(len(model.identity)), torch.zeros(LANDMARKS, 3))
    return Track(
        fps=Fraction(25),
        start=10,
        camera=Camera(1000.0, (256.0, 256.0), 512, 512),
        crops=(Crop(0, 0, 512, 256),) * (1 + max(shot)),
        shot=torch.tensor(shot),
        identity=identity,
        motion=motion,
        valid=torch.tensor(valid),
        residual=torch.zeros(frames),
        confidence=torch.ones(frames),
    )


def test_jitter_neither_crosses_cuts_nor_counts_lost_frames() -> None:
    """Kills: a second difference over a cut, or over a frame whose fit is meaningless."""
    track = still_track(8, [0] * 4 + [1] * 4, [True] * 7 + [False], torch.zeros(8, 3))
    points = np.zeros((8, LANDMARKS, 2), np.float32)
    points[4:] = 50.0
    points[7] = 900.0
    assert shot_jitter(track, points) == 0
    points[2, :, 0] += 3.0  # p₀ − 2 p₁ + p₂ = 3, p₁ − 2 p₂ + p₃ = −6, and none across the cut
    assert shot_jitter(track, points) == pytest.approx((3 + 6 + 0) / 3)


def test_angles_count_to_the_subjects_left_up_and_over() -> None:
    """Kills: yaw and pitch swapped, and a sign turned."""
    turns = torch.zeros(3, 3)
    turns[0, 1] = 0.3  # about y (up): +z swings to +x, the subject's left
    turns[1, 0] = -0.2  # about x: the nose goes up
    found = pose_range(still_track(3, [0] * 3, [True] * 3, turns))
    assert found["yaw"] == pytest.approx([0.0, 17.2], abs=0.06)
    assert found["pitch"] == pytest.approx([0.0, 11.5], abs=0.06)
    assert found["roll"] == pytest.approx([0.0, 0.0], abs=0.06)


def test_shots_count_in_frames_of_the_clip() -> None:
    """Kills: shots counted from the range's first frame."""
    track = still_track(5, [0, 0, 1, 1, 1], [True, False, True, True, True], torch.zeros(5, 3))
    assert shots(track) == [
        {"start": 10, "stop": 12, "valid_frames": 1},
        {"start": 12, "stop": 15, "valid_frames": 3},
    ]


def test_fitted_lips_are_where_a_second_detection_finds_them(
    performer_clip: Clip, performer_track: Track, performer_landmarks: Landmarks
) -> None:
    """Kills: points in pixels of the frame, lips of another frame."""
    track = performer_track[40:60]
    points = np.stack([crop_points(default_model(), track, i) for i in range(20)])
    assert lip_error(performer_clip, track, points) < 1.5  # measured: 0.6
    assert lip_error(performer_clip, track, points[::-1]) > 1.5


Measured = tuple[Track, dict[str, float | int | str | None]]


@pytest.fixture(scope="module")
def by_pictures(performer_clip: Clip) -> Measured:
    return track_measured(performer_clip, range(12), Silent())


def test_the_stage_is_the_one_asked_for(performer_clip: Clip, by_pictures: Measured) -> None:
    """Kills a stage that is ignored: landmarks alone know no pictures, and pictures come nearer to
    the frames than landmarks do."""
    plain, figures = track_measured(performer_clip, range(12), Silent(), stage="landmarks")
    assert plain.photometric is None
    assert "photometric_residual_codes" not in figures
    track, figures = by_pictures
    assert track.photometric is not None
    assert figures["photometric_residual_codes"] < figures["landmark_residual_codes"]
    assert "code values off" in printed(figures)


def test_the_overlay_draws_on_the_face_and_nowhere_else(
    performer_clip: Clip, performer_track: Track, tmp_path: Path
) -> None:
    """Kills: a mesh drawn beside the face, on frames where none was found, a lost frame, and lips
    that look like the rest of the mesh."""
    track = performer_track[3:6]
    track = replace(track, valid=torch.tensor([True, False, True]))
    path = tmp_path / "overlay.mkv"
    write_overlay(performer_clip, track, path, Silent())
    drawn = list(Clip.open(path).frames())
    plate = list(performer_clip.frames(range(3, 6)))
    assert len(drawn) == 3
    changed = [
        np.abs(a.rgb.astype(int) - b.rgb).max(-1) > 20 for a, b in zip(drawn, plate, strict=True)
    ]
    rows, columns = np.nonzero(changed[0])
    assert changed[0].mean() > 0.02
    assert not changed[1].any()
    assert 100 < rows.min() < 200
    assert rows.max() < 480
    assert abs(columns.mean() - performer_clip.width / 2) < 60
    pink = (np.abs(drawn[0].rgb.astype(int) - LIP_COLOUR).max(-1) < 60).nonzero()
    lips = crop_points(default_model(), track, 0)[list(LIPS)]
    crop = track.crop(0)
    middle = lips.mean(0) / crop.scale + (crop.left, crop.top)
    assert len(pink[0]) > 40
    assert np.abs(np.mean(pink, 1)[::-1] - middle).max() < 10


def test_the_lit_model_looks_like_the_plate(
    performer_clip: Clip, by_pictures: Measured, tmp_path: Path
) -> None:
    """Kills: skin without light, red for blue, a model beside the face, a frame without a face
    that is drawn upon, and a track of landmarks alone shown in somebody's skin."""
    track = replace(by_pictures[0][3:5], valid=torch.tensor([True, False]))
    path = tmp_path / "lit.mkv"
    write_lit(performer_clip, track, path, Silent())
    drawn = [frame.rgb.astype(int) for frame in Clip.open(path).frames()]
    plate = [frame.rgb.astype(int) for frame in performer_clip.frames(range(3, 5))]
    assert np.abs(drawn[1] - plate[1]).max() <= 3
    off = drawn[0] - plate[0]
    face = np.abs(off).max(-1) > 3
    assert face.mean() > 0.05
    spread = plate[0][face] - plate[0][face].mean(0)
    assert np.square(off[face]).mean() < 0.4 * np.square(spread).mean()
    with pytest.raises(InputError, match="landmarks alone"):
        write_lit(performer_clip, replace(track, photometric=None), path, Silent())


def test_a_clip_without_a_face_is_a_finding(performer_clip: Clip) -> None:
    """Kills: an inspection that fails where it is most useful."""
    blank = replace(performer_clip)
    object.__setattr__(blank, "frames", lambda frames=None: iter(_blank(performer_clip, frames)))
    found = inspect_clip(blank, Silent())
    assert found["most_faces"] == 0
    assert found["passed_through"] == [{"start": 0, "stop": len(blank), "reason": "no face"}]
    assert "shots" not in found


def _blank(clip: Clip, frames: range | None) -> Iterator[Frame]:
    first = next(clip.frames(range(1)))
    grey = tuple(np.full_like(plane, 128) for plane in first.planes)
    for index in range(len(clip)) if frames is None else frames:
        yield replace(first, index=index, planes=grey)


def test_idle_cores_are_those_that_nobody_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills: counting ourselves, no core at all, and one burst that decides."""
    monkeypatch.setattr(cores.os, "cpu_count", lambda: 8)
    busy = iter([3, 3, 7, 3, 3, 3])
    monkeypatch.setattr(cores, "_running", lambda: next(busy))
    assert cores.idle_cores() == 5
    monkeypatch.setattr(cores, "_running", lambda: 20)
    assert cores.idle_cores() == 1
