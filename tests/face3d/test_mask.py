"""The masks of a dub: what they cover, and what they must not know."""

import torch
from moving_head import CAMERA, somebody, speaking

from core.camera import Camera
from face3d.mask import (
    BULGE_PIXELS,
    JAW_SWEEP,
    MARGIN_PIXELS,
    grown,
    hidden_mask,
    lower_face,
    sweep_covering,
    swept_mask,
)
from face3d.morphable import default_model
from face3d.track import Motion, camera_vertices
from face3d.view import look
from render.fragments import rasterize

MODEL = default_model()
WHO = somebody()
MOTION = speaking(40)[torch.tensor([0, 13, 27, 39])]
SMALL = CAMERA.cropped(100, 100, 0.5, 160, 160)


def test_the_outer_mask_does_not_know_the_expression() -> None:
    """Kills a leak of the old line: two performances of one head pose give the same mask, bit for
    bit; another head pose gives another."""
    other = Motion(
        MOTION.rotation, MOTION.translation, 3 * MOTION.mouth.flip(0), -40 * MOTION.upper
    )
    mask = swept_mask(MODEL, WHO, MOTION, SMALL)
    assert torch.equal(mask, swept_mask(MODEL, WHO, other, SMALL))
    assert not torch.equal(mask[0], mask[2])


def test_the_outer_mask_covers_whatever_the_mouth_says() -> None:
    """Kills a sweep that is too narrow: the lower face of real mouths lies within it, but for
    pixels at a wide cheek (measured 0.05 %)."""
    outer = swept_mask(MODEL, WHO, MOTION, SMALL)
    for opening in (-0.5, 0.0, 3.0, 5.0):
        mouth = 0.5 * MOTION.mouth
        mouth[:, 0] = opening
        inner = look(MODEL, WHO, MOTION.with_mouth(mouth), SMALL).inner
        assert inner.any(1).any(1).all()
        assert int((inner & ~outer).sum()) <= 0.002 * int(inner.sum())


def test_the_mask_ends_below_the_nose_and_a_margin_around_the_face() -> None:
    """Kills a mask that takes the whole face or the whole window."""
    outer = swept_mask(MODEL, WHO, MOTION, SMALL)
    xy = SMALL.pixels_from_camera(camera_vertices(MODEL, WHO, MOTION.with_mouth(0 * MOTION.mouth)))
    for mask, points in zip(outer, xy, strict=True):
        rows, columns = mask.nonzero().unbind(1)
        tip = points[4]
        assert not bool(mask[: int(tip[1]) - MARGIN_PIXELS].any())
        low, high = points[MODEL.lower_face].amin(0), points[MODEL.lower_face].amax(0)
        assert int(columns.min()) >= int(low[0]) - MARGIN_PIXELS - 3
        assert int(columns.max()) <= int(high[0]) + MARGIN_PIXELS + 3
        assert int(rows.max()) > int(high[1])  # the jaw drops further than a shut mouth


def test_cheeks_beside_the_mesh_are_hidden_and_the_nose_is_not() -> None:
    """Kills a hidden mask no wider than what is repainted, one that grows up and down as well, and
    one that knows the expression."""
    swept, hidden = (f(MODEL, WHO, MOTION, SMALL) for f in (swept_mask, hidden_mask))
    assert torch.equal(hidden.any(2), swept.any(2))
    for outside, inside in zip(hidden.flatten(0, 1), swept.flatten(0, 1), strict=True):
        if not inside.any():
            continue
        (left, right), (low, high) = (m.nonzero().flatten()[[0, -1]] for m in (outside, inside))
        assert (left, right) == (low - BULGE_PIXELS, high + BULGE_PIXELS)
    other = MOTION.with_mouth(3 * MOTION.mouth.flip(0))
    assert torch.equal(hidden, hidden_mask(MODEL, WHO, other, SMALL))


def test_the_lower_face_is_bounded_by_its_line() -> None:
    """Kills triangles that belong by one corner: the visible triangle's three vertices must."""
    clip = SMALL.clip_from_camera(camera_vertices(MODEL, WHO, MOTION))
    fragments = rasterize(clip, MODEL.triangles, SMALL.height, SMALL.width)
    inner = lower_face(MODEL, fragments)
    face = fragments.face.long()
    owned = MODEL.lower_face[MODEL.triangles[face.clamp_min(0)].long()].sum(-1)
    assert torch.equal(inner, (face >= 0) & (owned == 3))


def test_the_sweep_widens_once_for_a_wider_jaw() -> None:
    """Kills a mask that a scream leaves, and one that changes for a narrow mouth."""
    mouth = torch.zeros(3, len(MODEL.mouth))
    assert sweep_covering(mouth) == JAW_SWEEP == sweep_covering(mouth[:0])
    mouth[1, 0] = 14.0
    assert sweep_covering(mouth) == (*JAW_SWEEP, 9.5, 14.0)
    wide = MOTION[:1].with_mouth(mouth[1:2])
    plain = swept_mask(MODEL, WHO, wide, SMALL)
    inner = look(MODEL, WHO, wide, SMALL).inner
    assert int((inner & ~plain).sum()) > 0.01 * int(inner.sum())
    widened = swept_mask(MODEL, WHO, wide, SMALL, sweep_covering(mouth))
    assert int((inner & ~widened).sum()) <= 0.002 * int(inner.sum())


def test_a_face_outside_the_picture_masks_nothing() -> None:
    """Kills an index of −1 that wraps to the last triangle."""
    away = Camera(CAMERA.focal, (-5000.0, 256.0), 64, 64)
    assert not bool(swept_mask(MODEL, WHO, MOTION[:1], away).any())


def test_growing_reaches_a_square_around() -> None:
    """Kills a reach that is a pixel short, one-sided or skips: against every pixel's neighbours."""
    mask = torch.rand(2, 9, 14, generator=torch.Generator().manual_seed(0)) > 0.97
    for pixels in (0, 1, 2, 3, 6):
        result = grown(mask, pixels)
        for frame, row, column in torch.cartesian_prod(*map(torch.arange, mask.shape)).tolist():
            rows = slice(max(row - pixels, 0), row + pixels + 1)
            columns = slice(max(column - pixels, 0), column + pixels + 1)
            assert result[frame, row, column] == mask[frame, rows, columns].any()
