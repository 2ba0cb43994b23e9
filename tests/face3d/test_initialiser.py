"""Start values from outside, and what becomes of them."""

import sys
import types

import numpy as np
import pytest
import torch
from moving_head import CAMERA, detected, somebody, speaking

from core.errors import AssetError
from face3d.initialiser import DECA_SIDE, Deca, with_rotation
from face3d.landmarks import Landmarks
from face3d.morphable import default_model
from face3d.sighting import Sighting
from face3d.topology import LANDMARKS
from face3d.tracker import TrackerConfig, begin, track_clip, track_sighting
from media.clip import Clip

ROOT_TURN = torch.tensor([0.1, -0.7, 0.2])


def test_a_fit_starts_where_it_is_told_to() -> None:
    """Kills depths of the wrong sign or scale: a detector that sees the face flat starts facing the
    camera, turned by 0.7 radian or not; with rotations from outside the start is theirs within 5
    degrees (measured 2.4; 41 without)."""
    model = default_model().to(torch.float64)
    motion = speaking(4)
    motion.rotation[:] = ROOT_TURN
    landmarks = detected(somebody(), motion, noise=0)
    landmarks.depth[:] = 0
    landmarks.xy[2] = np.nan
    landmarks.depth[2] = np.nan
    rotation = motion.rotation.clone()
    rotation[2] = torch.nan
    seen = with_rotation(Sighting(7, landmarks, (1,)), rotation)
    assert (seen.start, seen.cuts) == (7, (1,))
    assert not np.isfinite(seen.landmarks.depth[2]).any()
    told, untold = (
        begin(model, points, CAMERA, TrackerConfig())[0].motion.rotation - ROOT_TURN
        for points in (seen.landmarks, landmarks)
    )
    assert float(told.norm(dim=-1).max().rad2deg()) < 5
    assert float(untold.norm(dim=-1).min().rad2deg()) > 15


def test_frames_it_knows_nothing_of_keep_their_depth() -> None:
    """Kills NaN that spreads from an unknown frame into the fit."""
    landmarks = detected(somebody(), speaking(2), noise=0)
    rotation = torch.tensor([[torch.nan] * 3, [0.0, 0.0, 0.0]])
    found = with_rotation(Sighting(0, landmarks), rotation).landmarks
    assert np.array_equal(found.depth[0], landmarks.depth[0])
    assert np.isfinite(found.depth).all()
    assert not np.array_equal(found.depth[1, :LANDMARKS], landmarks.depth[1, :LANDMARKS])


class FakeNetwork:
    """DECA's interface; remembers what it was shown and tells one pose."""

    shown: list[torch.Tensor]

    def __init__(self, config: object, device: str) -> None:
        assert (config, device) == ("its configuration", "cpu")
        self.shown = []

    def encode(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        self.shown.append(images)
        jaw = torch.tensor([9.0, 9.0, 9.0])
        return {"pose": torch.cat([ROOT_TURN, jaw]).expand(len(images), 6)}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {name: types.ModuleType(name) for name in
               ("decalib", "decalib.deca", "decalib.utils", "decalib.utils.config")}  # fmt: skip
    modules["decalib.deca"].DECA = FakeNetwork  # pyright: ignore
    modules["decalib.utils.config"].cfg = "its configuration"  # pyright: ignore
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def test_deca_sees_the_face_and_only_the_heads_pose_is_taken(
    installed: None, performer_clip: Clip, performer_landmarks: Landmarks
) -> None:
    """Kills a crop beside the face, colours of 0 to 255, the jaw taken for the head, and frames
    that are lost at the end of a batch."""
    landmarks = performer_landmarks[slice(5, 24)]
    landmarks = Landmarks(landmarks.xy.copy(), landmarks.depth.copy())
    landmarks.xy[3], landmarks.depth[3] = np.nan, np.nan
    seen = Sighting(5, landmarks)
    deca = Deca()
    found = deca(performer_clip, seen)
    shown = torch.cat(deca._network.shown)
    assert shown.shape == (18, 3, DECA_SIDE, DECA_SIDE)
    assert 0 <= float(shown.min()) < float(shown.max()) <= 1
    assert float(shown.max()) > 0.5
    skin = shown[:, :, 90:130, 90:130].mean((0, 2, 3))
    assert float(skin[0]) > float(skin[2]) + 0.05
    expected = with_rotation(seen, ROOT_TURN.expand(19, 3)).landmarks.depth
    known = np.arange(19) != 3
    np.testing.assert_allclose(found.landmarks.depth[known], expected[known], rtol=0, atol=1e-4)


def test_without_deca_there_is_a_sentence() -> None:
    """Kills a bare ImportError."""
    with pytest.raises(AssetError, match=r"DECA cannot be loaded .* install deca-pytorch"):
        Deca()


def test_the_start_is_used(performer_clip: Clip) -> None:
    """Kills an option that does nothing: the tracker fits what the initialiser made of it."""
    config = TrackerConfig(stage="landmarks")
    made = Sighting(0, detected(somebody(), speaking(2)))
    track = track_clip(performer_clip, range(2), config=config, initialiser=lambda *_: made)
    expected = track_sighting(performer_clip, made, config=config)
    assert torch.equal(track.motion.rotation, expected.motion.rotation)
