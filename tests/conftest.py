"""What all tests share: one thread, and the bundled performer, decoded and detected once."""

import os
from pathlib import Path

import pytest
import torch

from face3d.landmarks import Landmarks, detect_landmarks
from face3d.track import Track
from face3d.tracker import track_landmarks
from media.clip import Clip

# On a busy machine the waiting of OpenMP's threads costs more than their help.
torch.set_num_threads(1)
# Tests are about the weights that ship.
os.environ.pop("REDUB_WEIGHTS", None)

PERFORMER = Path(__file__).parents[1] / "scripts" / "performer"


@pytest.fixture(scope="session")
def performer_clip() -> Clip:
    return Clip.open(PERFORMER / "clip.mp4")


@pytest.fixture(scope="session")
def performer_landmarks(performer_clip: Clip) -> Landmarks:
    return detect_landmarks(frame.rgb for frame in performer_clip.frames())


@pytest.fixture(scope="session")
def performer_track(performer_clip: Clip, performer_landmarks: Landmarks) -> Track:
    clip = performer_clip
    return track_landmarks(performer_landmarks, clip.width, clip.height, clip.fps)
