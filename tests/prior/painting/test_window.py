"""Windows hold what is laid over the plate, and their place tells nothing of what is said."""

import torch
from moving_head import CAMERA, somebody, speaking

from core.camera import Camera
from face3d.mask import covered_mask, swept_mask
from face3d.morphable import default_model
from face3d.track import Motion
from face3d.view import WINDOW_WIDTH, window_corner
from prior.painting.window import Window, standard, window_of
from render.deferred import STRIDE

MODEL = default_model()
WHO = somebody()
NEAR = CAMERA.cropped(0, 0, 2.5, 1280, 1280)
HEAD = speaking(24)[torch.arange(0, 24, 4)]


def saying(jaw: float) -> Motion:
    """The same heads, all with the jaw so far open."""
    mouth = torch.zeros_like(HEAD.mouth)
    mouth[:, 0] = jaw
    return HEAD.with_mouth(mouth)


def window(plate: Motion, line: Motion, camera: Camera = CAMERA) -> Window:
    return window_of(MODEL, WHO, plate, line, camera)


def test_whatever_either_mouth_covers_lies_inside() -> None:
    """Kills a window for one of two mouths: jaws wide open in the plate, then in the line; and a
    window whose place or size does not fit together."""
    for plate, line in ((saying(4.5), saying(0)), (saying(0), saying(4.5)), (HEAD, HEAD)):
        here = window(plate, line)
        for k, (left, top) in enumerate(here.corners(MODEL, WHO, plate, CAMERA)):
            for motion in (plate, line):
                # What the sweep does not reach is the plate's whoever speaks.
                seen = covered_mask(MODEL, WHO, motion[k : k + 1], CAMERA)[0]
                seen &= swept_mask(MODEL, WHO, motion[k : k + 1], CAMERA)[0]
                rows, columns = torch.nonzero(seen).unbind(1)
                assert top <= int(rows.min())
                assert int(rows.max()) < top + here.height
                assert left <= int(columns.min())
                assert int(columns.max()) < left + here.width


def test_silent_shots_get_low_windows() -> None:
    """Kills windows for the widest mouth of all: a third of the work for nothing."""
    shut, wide = (window(saying(0), saying(jaw), NEAR) for jaw in (0, 4.5))
    assert shut.width == wide.width
    assert shut.height < wide.height
    assert window(saying(4.5), saying(0), NEAR) == wide


def test_no_frame_moves_its_window() -> None:
    """Kills a window that follows what a frame says: the shot's mouths in another order, and the
    windows stay where they are."""
    shuffled = HEAD.with_mouth(HEAD.mouth.roll(2, 0))
    before, after = window(HEAD, HEAD), window(shuffled, HEAD)
    assert abs(before.top - after.top) <= 2  # the head turns what it shows of each mouth
    assert before.size == after.size
    corners = before.corners(MODEL, WHO, HEAD, CAMERA)
    assert corners == before.corners(MODEL, WHO, shuffled, CAMERA)
    middles = window_corner(MODEL, WHO, HEAD, CAMERA, 0, 0)
    offsets = {(x - u, y - v) for (x, y), (u, v) in zip(corners, middles, strict=True)}
    assert offsets == {(before.left, before.top)}


def test_windows_grow_with_the_face_in_whole_strides() -> None:
    """Kills a face cut off by its window: twice the scale needs a larger window; no frame at all
    gets the plain one."""
    assert window(HEAD, HEAD).width == WINDOW_WIDTH
    large = window(HEAD, HEAD, NEAR)
    assert large.width > 300
    assert large.height > 200
    assert large.width % STRIDE == large.height % STRIDE == 0
    assert window(HEAD[:0], HEAD[:0], NEAR) == standard(1)
