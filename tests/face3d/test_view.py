"""Crops and windows: pixels and cameras must agree on where everything is."""

import numpy as np
import pytest
import torch
from moving_head import CAMERA, somebody, speaking

from face3d.morphable import default_model
from face3d.topology import LIPS, LIPS_BETWEEN
from face3d.track import Crop, Motion, camera_vertices
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH, crop_image, cut, look, window_corner

MODEL = default_model()
WHO = somebody()
MOTION = speaking(3)
CROPS = [
    Crop(120, 110, 280, 280),
    Crop(120, 110, 280, 560),
    Crop(97, 83, 330, 144),
    Crop(-60, -45, 420, 336),
    Crop(200, 190, 400, 400),
    Crop(-30, -40, 600, 752),
]


def dot(x: float, y: float, radius: float = 9.0) -> np.ndarray:
    """A smooth bright dot centred on (x, y) of a 512-pixel picture."""
    rows, columns = np.mgrid[:512, :512] + 0.5
    falls = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * (radius / 3) ** 2))
    return np.repeat(np.rint(255 * falls)[..., None], 3, 2).astype(np.uint8)


def centroid(image: np.ndarray) -> np.ndarray:
    weight = image[..., 0].astype(float)
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


@pytest.mark.parametrize("crop", CROPS, ids=str)
def test_a_dot_lands_where_the_crops_camera_says(crop: Crop) -> None:
    """Kills half-pixel shifts, a scale on one side only, and crops that lose their place beyond
    the border: a dot painted at a projected vertex is found at the crop camera's pixel."""
    vertex = camera_vertices(MODEL, WHO, MOTION)[0, 13]
    x, y = CAMERA.pixels_from_camera(vertex).tolist()
    image = crop_image(dot(x, y), crop)
    assert image.shape == (crop.pixels, crop.pixels, 3)
    predicted = crop.camera(CAMERA).pixels_from_camera(vertex).numpy()
    np.testing.assert_allclose(centroid(image), predicted, atol=0.06 * max(1, crop.scale))


def test_beyond_the_border_a_crop_is_black() -> None:
    """Kills wrapped rows: negative indices would bring the other side of the picture."""
    white = np.full((512, 512, 3), 255, np.uint8)
    crop = Crop(-100, 412, 200, 200)
    image = crop_image(white, crop)
    assert image[:100, 100:].min() == 255
    assert image[:, :100].max() == 0
    assert image[100:].max() == 0
    assert crop_image(white, Crop(600, 600, 50, 50)).max() == 0


def test_a_crop_at_its_own_scale_is_a_copy() -> None:
    """Kills needless resampling."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    np.testing.assert_array_equal(crop_image(noise, Crop(10, 5, 40, 40)), noise[5:45, 10:50])


def test_a_cut_repeats_the_border() -> None:
    """Kills windows that wrap or shrink at the picture's edge."""
    image = np.arange(12).reshape(3, 4)
    expected = np.pad(image, ((2, 3), (1, 2)), "edge")
    np.testing.assert_array_equal(cut(image, -1, -2, 7, 8), expected)
    np.testing.assert_array_equal(cut(image, 1, 1, 2, 2), image[1:3, 1:3])


def test_the_window_does_not_know_the_expression() -> None:
    """Kills a window that follows the jaw: its place would tell the old line."""
    other = Motion(MOTION.rotation, MOTION.translation, 4 - MOTION.mouth, 2 * MOTION.upper + 1)
    corners = window_corner(MODEL, WHO, MOTION, CAMERA)
    assert corners == window_corner(MODEL, WHO, other, CAMERA)
    shifted = Motion(MOTION.rotation, MOTION.translation + torch.tensor([0.0, 0.05, 0.0]),
                     MOTION.mouth, MOTION.upper)  # fmt: skip
    assert window_corner(MODEL, WHO, shifted, CAMERA)[0][1] < corners[0][1] - 40


def test_the_window_holds_the_lower_face() -> None:
    """Kills a window about the wrong point: the lips lie near its middle at any jaw opening."""
    for opening in (0.0, 5.0):
        mouth = torch.zeros_like(MOTION.mouth)
        mouth[:, 0] = opening
        motion = MOTION.with_mouth(mouth)
        xy = CAMERA.pixels_from_camera(camera_vertices(MODEL, WHO, motion))
        for (left, top), points in zip(window_corner(MODEL, WHO, MOTION, CAMERA), xy, strict=True):
            place = points[MODEL.lower_face] - torch.tensor([left, top])
            assert float(place.min()) > 0
            assert bool((place < torch.tensor([WINDOW_WIDTH, WINDOW_HEIGHT])).all())


def test_a_view_shows_each_vertex_at_its_pixel() -> None:
    """Kills uv of another triangle or frame: the uv seen at a lip vertex's pixel is its own."""
    camera = CAMERA.cropped(120, 120, 2.0, 520, 560)
    view = look(MODEL, WHO, MOTION, camera)
    assert view.uv.shape == (3, 2, 560, 520)
    outer = [v for v in LIPS if v not in (61, 291)]
    for frame in range(3):
        x, y = view.pixels[frame, outer].long().T
        seen = view.uv[frame, :, y, x].T
        apart = (seen - MODEL.uv[outer]).norm(dim=1)
        assert float(apart.median()) < 0.004


def test_the_mouth_is_lips_teeth_and_cavity() -> None:
    """Kills a mouth that spills over the skin: against the visible triangle's own corners."""
    view = look(MODEL, WHO, MOTION, CAMERA.cropped(120, 120, 1.0, 260, 280))
    corners = MODEL.triangles[view.fragments.face.clamp_min(0).long()]
    of_lips = torch.isin(corners, torch.tensor(LIPS + LIPS_BETWEEN)).all(-1)
    expected = (of_lips | MODEL.inside[corners.long()].all(-1)) & (view.fragments.face >= 0)
    assert torch.equal(view.mouth, expected)
    assert bool((view.inner | ~view.mouth).all())
    assert int(view.mouth.sum()) > 1500
