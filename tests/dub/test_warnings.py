"""What a dub tells of before anybody looks at it."""

from pathlib import Path

import numpy as np
import torch

from dub.shot import length_warnings, light_warnings
from media.audio import Audio
from prior.painting.grade import Grade
from prior.painting.skin import TEXELS


def test_a_line_longer_than_its_plate_is_told() -> None:
    """Kills a warning for every line, and seconds counted from the wrong end."""
    line = Audio(np.zeros((1, 16000 * 3), np.float32), 16000)
    assert length_warnings(line, 3.0) == []
    (warning,) = length_warnings(line, 2.25)
    assert "the last 0.75 s of it drive nothing" in warning


def test_other_light_in_any_shot_is_told_once() -> None:
    """Kills a warning for plates that look like the footage, and one for each shot."""
    grade = Grade(torch.ones(3), torch.zeros(3, TEXELS, TEXELS))
    plate = Path("a folder/shot 3.mov")
    assert light_warnings(plate, (None, None)) == []
    (warning,) = light_warnings(plate, (None, grade, grade))
    assert "adapt --actor shot 3.mov --actor FOOTAGE" in warning
