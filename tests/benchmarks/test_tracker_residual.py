"""The judge of tracks: a mesh that slides over a painted head must pay, light must not."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from moving_head import CAMERA, detected, somebody, speaking
from painted_head import picture

from benchmarks.tracking.residual import Looks, harmonics, lit, reflectance, residual
from face3d.morphable import default_model
from face3d.track import Track
from face3d.tracker import TrackerConfig, track_landmarks
from media.clip import Clip
from scripts.acting.recording import write_clip

FPS, FRAMES = Fraction(25), 40


@pytest.fixture(scope="module")
def truth() -> Track:
    who, motion = somebody(), speaking(FRAMES)
    quick = TrackerConfig(joint_steps=1, key_frames=8)
    track = track_landmarks(detected(who, motion), 512, 512, FPS, config=quick)
    return replace(track, identity=who, motion=motion, camera=CAMERA)


@pytest.fixture(scope="module")
def clip(truth: Track, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """A painted head that goes from dark to bright."""
    path: Path = tmp_path_factory.mktemp("painted") / "head.mp4"
    drawn = [picture(truth.identity, truth.motion[i : i + 1], CAMERA)[0] for i in range(FRAMES)]
    shown = [
        (one.permute(1, 2, 0).numpy() * (0.6 + 0.4 * i / FRAMES)).astype(np.uint8)
        for i, one in enumerate(drawn)
    ]
    write_clip(path, shown, FPS, np.zeros(16000 * FRAMES // 25, np.float32), 16000)
    return Clip.open(path)


def test_the_true_track_explains_and_a_shaken_one_pays(clip: Clip, truth: Track) -> None:
    """Kills a residual of the same frames' albedo, and one that takes changing light for error."""
    model, random = default_model(), torch.Generator().manual_seed(3)
    motion = truth.motion
    moved = motion.translation + 0.003 * torch.randn(FRAMES, 3, generator=random)
    shaken = replace(truth, motion=replace(motion, translation=moved))
    shut = replace(truth, motion=motion.with_mouth(torch.zeros_like(motion.mouth)))
    true, slid, still = (residual(clip, model, track) for track in (truth, shaken, shut))
    assert slid.skin > 1.5 * true.skin
    assert slid.lips > 1.5 * true.lips
    assert still.lips > 1.5 * true.lips


def test_invalid_frames_are_not_judged(clip: Clip, truth: Track) -> None:
    """Kills frames that the tracker disowned but that count against it."""
    model = default_model()
    moved = truth.motion.translation.clone()
    moved[5:9] += 0.05
    lost = replace(truth, motion=replace(truth.motion, translation=moved))
    valid = truth.valid.clone()
    valid[5:9] = False
    true = residual(clip, model, truth)
    assert residual(clip, model, replace(lost, valid=valid)).skin == pytest.approx(
        true.skin, rel=0.1
    )


def test_albedo_and_light_are_told_apart() -> None:
    """Kills light that is left in the albedo: lit points come back, whatever lights them."""
    draw = np.random.default_rng(0)
    points, frames = 400, 12
    normal = draw.standard_normal((frames, points, 3))
    normal[..., 2] = np.abs(normal[..., 2]) + 0.5
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    albedo = draw.uniform(40, 200, (points, 3))
    strength = draw.uniform(0.6, 1.2, (frames, 1, 1))
    lights = np.stack([harmonics(n) @ (0.1 * draw.standard_normal((9, 3))) for n in normal])
    colour = albedo * strength * (1 + lights)
    looks = Looks(colour, normal, np.ones((frames, points)), np.zeros(points, bool))
    learned = reflectance(looks, np.arange(frames) < 8)
    for frame in range(8, frames):
        shown = learned * lit(looks, learned, frame)
        assert np.abs(shown - colour[frame]).mean() < 2.5
