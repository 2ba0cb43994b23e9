"""Pictures woven of two fields are told from pictures that merely have fine lines."""

from dataclasses import replace

import numpy as np
import pytest

from media.clip import Clip
from media.frame import Frame
from media.interlace import is_combed, teeth


def woven(first: Frame, second: Frame) -> Frame:
    planes = []
    for one, other in zip(first.planes, second.planes, strict=True):
        plane = one.copy()
        plane[1::2] = other[1::2]
        planes.append(plane)
    return replace(first, planes=tuple(planes))


@pytest.fixture(scope="module")
def frames(performer_clip: Clip) -> list[Frame]:
    return list(performer_clip.frames(range(0, 50, 1)))


def test_fields_of_two_moments_leave_teeth(frames: list[Frame]) -> None:
    """Kills a measure that motion or H.264 sets off, and one that does not see fields: no frame of
    the performer is combed, and among those woven of two moments some are."""
    assert not any(is_combed(frame) for frame in frames[::5])
    assert any(is_combed(woven(a, b)) for a, b in zip(frames[:-4:3], frames[4::3], strict=False))


def test_lines_of_a_picture_are_no_teeth(frames: list[Frame]) -> None:
    """Kills a count of all steep rows: a bright line, two of them and an edge are none, rows
    that alternate for long are; depth is the format's."""
    grey = np.full((32, 32), 100, np.uint8)
    line, pair, edge, comb = (grey.copy() for _ in range(4))
    line[16], pair[[12, 20]], edge[16:] = 200, 200, 200
    comb[10:22:2] = 200

    def share(luma: np.ndarray) -> float:
        return teeth(replace(frames[0], planes=(luma, *frames[0].planes[1:])))

    assert share(line) == share(pair) == share(edge) == 0
    assert share(comb) > 0.2
