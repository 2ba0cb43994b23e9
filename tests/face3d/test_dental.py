"""A person's upper teeth end where their pictures show it."""

import pytest
import torch
from moving_head import CAMERA, somebody, speaking
from painted_head import CROP, picture
from torch import Tensor

from face3d.anatomy import FACE_V, UPPER_ARC_V
from face3d.dental import upper_teeth_height
from face3d.morphable import default_model
from face3d.track import Identity, Motion, camera_vertices

MODEL = default_model()


def mouth(uv: Tensor, teeth: float) -> Tensor:
    """Red lips and skin, a dark mouth, upper teeth of a brightness."""
    u, v = uv[:, :1], uv[:, 1:]
    inside, arc = v > FACE_V, (u < 0.5) & (v > FACE_V) & (v < UPPER_ARC_V[1] + 0.01)
    red = torch.where(inside, -0.8, 0.9)
    rest = torch.where(inside, -0.8, -0.2)
    colours = torch.cat([red, rest, rest], 1)
    return torch.where(arc, torch.full_like(colours, teeth), colours)


def opening(frames: int) -> Motion:
    """A turning head that opens its mouth wide."""
    motion = speaking(frames)
    mouth = torch.zeros_like(motion.mouth)
    mouth[:, 0] = torch.linspace(2.0, 4.0, frames)
    return motion.with_mouth(mouth)


def found(height: float, teeth: float) -> float:
    who = somebody()
    motion = opening(8)
    shown = Identity(who.shape, who.offset, teeth=height)
    camera = CROP.camera(CAMERA)
    images = picture(shown, motion, camera, paint=lambda uv: mouth(uv, teeth))
    return upper_teeth_height(MODEL, who, motion, images, [camera] * len(motion))


@pytest.mark.parametrize("height", [-0.002, 0.0, 0.004])
def test_the_edge_is_found_where_it_was_painted(height: float) -> None:
    """Kills a wrong sign or scale, an edge that follows the lips, and red lips taken for teeth."""
    assert found(height, 0.8) == pytest.approx(height, abs=0.0006)


def test_who_shows_no_teeth_has_average_ones() -> None:
    """Kills an edge found in a dark mouth: noise must not move teeth that nobody saw."""
    assert found(0.003, -0.7) == 0.0


def test_height_moves_the_upper_arc_alone() -> None:
    """Kills a height that moves lips, lower teeth or cavity, or the arc along another axis."""
    who, motion = somebody(), speaking(3)
    still = camera_vertices(MODEL, who, motion)
    moved = camera_vertices(MODEL, Identity(who.shape, who.offset, teeth=0.004), motion)
    step = (moved - still).norm(dim=-1)
    torch.testing.assert_close(step[:, MODEL.upper_arc], torch.full((3, 45), 0.004))
    assert float(step[:, ~MODEL.upper_arc].max()) == 0
    assert bool((moved - still)[:, MODEL.upper_arc, 1].mean(1).gt(0.003).all())
