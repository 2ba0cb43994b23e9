from dataclasses import replace

import numpy as np
import pytest
from random_planes import random_planes

from media.frame import Frame
from media.pixels import Colour, pixel_format

FORMATS = [
    "yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv410p",
    "yuva444p10le", "gray", "gray10le", "gbrp", "gbrp10le",
]  # fmt: skip


def a_frame(name: str, width: int = 33, height: int = 17, range_: int = 0) -> Frame:
    return Frame(0, 0, random_planes(name, width, height), pixel_format(name), Colour(range=range_))


def covers(matte: np.ndarray, left: int, top: int, frame: Frame, shift: tuple[int, int]):
    """Which samples of a subsampled plane see any matte, by a loop over pixels."""
    x, y = shift
    plane = np.zeros((-(-frame.height >> y), -(-frame.width >> x)), bool)
    for row, column in np.argwhere(matte > 0):
        r, c = row + top, column + left
        if 0 <= r < frame.height and 0 <= c < frame.width:
            plane[r >> y, c >> x] = True
    return plane


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("left", "top"), [(0, 0), (5, 3), (-4, -3), (27, 11), (-2, -2), (100, 0), (7, -50)]
)
def test_outside_the_matte_every_sample_is_identical(name: str, left: int, top: int) -> None:
    """Kills an RGB round trip, a matte grown on the chroma grid, and wrong clipping at borders."""
    frame = a_frame(name)
    generator = np.random.default_rng(1)
    rgb = generator.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    matte = generator.random((9, 11), dtype=np.float32) * (generator.random((9, 11)) < 0.3)
    result = frame.composited(rgb, matte.astype(np.float32), left, top)
    shifts = [*frame.pixels.shifts, (0, 0)]
    for index, (before, after) in enumerate(zip(frame.planes, result.planes, strict=True)):
        touched = covers(matte, left, top, frame, shifts[index])
        if index >= frame.pixels.colours:
            touched[:] = False
        np.testing.assert_array_equal(before[~touched], after[~touched])
        assert before.dtype == after.dtype
    assert result.pixels == frame.pixels


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("range_", [0, 1, 2])
def test_a_full_matte_shows_the_patch(name: str, range_: int) -> None:
    """Kills a swapped matrix or range between the two directions, and a shifted patch."""
    frame = a_frame(name, 64, 48, range_)
    rgb = np.zeros((24, 32, 3), np.uint8)
    rgb[:12, :16], rgb[:12, 16:], rgb[12:, :16] = (200, 60, 30), (20, 180, 90), (250, 250, 250)
    if frame.pixels.kind == "gray":
        rgb = np.repeat(rgb[..., :1], 3, axis=-1)
    result = frame.composited(rgb, np.ones((24, 32), np.float32), 16, 8)
    # Four pixels from every colour edge, where chroma is not shared.
    for row, column in [(6, 8), (6, 24), (18, 8), (18, 24)]:
        shown = result.rgb[8 + row, 16 + column].astype(int)
        assert np.abs(shown - rgb[row, column]).max() <= 2, (row, column, shown)


def test_half_a_matte_is_half_way_in_native_codes() -> None:
    """Kills blending by matte squared, and truncation instead of rounding."""
    frame = a_frame("yuv444p")
    rgb = np.full((17, 33, 3), 128, np.uint8)
    full = frame.composited(rgb, np.ones((17, 33), np.float32), 0, 0)
    half = frame.composited(rgb, np.full((17, 33), 0.5, np.float32), 0, 0)
    for before, there, blend in zip(frame.planes, full.planes, half.planes, strict=True):
        middle = (before.astype(float) + there) / 2
        assert np.abs(blend - middle).max() <= 0.5


def test_chroma_takes_the_colour_inside_the_matte_only() -> None:
    """Kills averaging the whole patch onto the grid: a red border pixel would tint the mouth."""
    planes = tuple(np.full(s, 128, np.uint8) for s in [(4, 4), (2, 2), (2, 2)])
    frame = Frame(0, 0, planes, pixel_format("yuv420p"), Colour())
    rgb = np.full((4, 4, 3), 128, np.uint8)
    rgb[0, 0] = (255, 0, 0)
    matte = np.ones((4, 4), np.float32)
    matte[0, 0] = 0
    result = frame.composited(rgb, matte, 0, 0)
    assert result.planes[1][0, 0] == result.planes[2][0, 0] == 128


def test_rgb_by_hand() -> None:
    """Kills swapped BT.601 and BT.709 and ignored range: known codes of pure red."""
    codes = {(1, 1): (63, 102, 240), (5, 1): (81, 90, 240), (5, 2): (76, 85, 255)}
    for (matrix, range_), (y, u, v) in codes.items():
        planes = (np.full((8, 8), y, np.uint8), np.full((4, 4), u, np.uint8))
        planes = (*planes, np.full((4, 4), v, np.uint8))
        frame = Frame(0, 0, planes, pixel_format("yuv420p"), Colour(matrix, range_))
        assert np.abs(frame.rgb.astype(int) - (255, 0, 0)).max() <= 2, (matrix, frame.rgb[4, 4])


@pytest.mark.parametrize(
    ("width", "height", "matrix"),
    [(720, 576, 5), (1280, 720, 1), (720, 1280, 1), (360, 640, 5), (512, 512, 5), (1920, 1080, 1)],
)
def test_untagged_colour_is_guessed_by_size(width: int, height: int, matrix: int) -> None:
    """Kills one matrix for all, and a guess by height alone, which takes portrait for tall."""
    assert Colour().resolved(pixel_format("yuv420p"), width, height).matrix == matrix


def test_planes_cannot_be_written() -> None:
    """Kills an in-place blend, which would alter the plate that a caller still holds."""
    frame = a_frame("yuv420p")
    with pytest.raises(ValueError, match="read-only"):
        frame.planes[0][0, 0] = 1


@pytest.mark.parametrize("range_", [1, 2])
@pytest.mark.parametrize("matrix", [1, 5, 6, 7, 9])
@pytest.mark.parametrize("name", ["yuv444p", "yuv444p10le", "yuv444p12le"])
def test_planes_and_rgb_are_inverses(name: str, matrix: int, range_: int) -> None:
    """Kills a wrong matrix or range in either direction, which are written independently.

    Measured worst: 1 code in 8 bits where chroma is quantised, rounding alone.
    """
    frame = a_frame(name, 64, 64)
    frame = replace(frame, colour=Colour(matrix, range_))
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    result = frame.composited(rgb, np.ones((64, 64), np.float32), 0, 0)
    assert np.abs(result.rgb.astype(int) - rgb).max() <= 2


def test_thumbnail_is_a_mean() -> None:
    """Kills picking every eighth pixel, which takes grain for change."""
    planes = tuple(np.full((64, 128), value, np.uint8) for value in (0, 128, 128))
    planes[0][:, ::2] = 200
    frame = Frame(0, 0, planes, pixel_format("yuv444p"), Colour(1, 2))
    small = frame.thumbnail(16)
    assert small.shape == (8, 16, 3)
    assert np.abs(small[:, 1:-1].astype(int) - 100).max() <= 2


def smooth_frame(name: str, matrix: int, range_: int) -> Frame:
    """A picture whose colours change slowly, so that chroma grids do not matter."""
    rows, columns = np.mgrid[:96, :160].astype(np.float32)
    rgb = np.stack([40 + rows, 230 - columns, 60 + 0.5 * rows + 0.5 * columns], -1)
    plain = a_frame(name, 160, 96)
    plain = replace(plain, colour=Colour(matrix, range_))
    return plain.composited(rgb.round().astype(np.uint8), np.ones((96, 160), np.float32), 0, 0)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("matrix", "range_"), [(1, 1), (5, 2), (9, 0)])
def test_a_glimpse_is_the_mean_of_the_true_colours(name: str, matrix: int, range_: int) -> None:
    """Kills a wrong matrix, range, bit depth or order of planes, a box read in another plane's
    pixels, and picking single pixels; chroma is shifted by at most a sample of its grid."""
    frame = smooth_frame(name, matrix, range_)
    for longest, box, scale in ((200, (0, 0, 160, 96), 1), (16, (32, 16, 128, 80), 4)):
        seen = frame.glimpse(longest, *box)
        assert (seen.left, seen.top, seen.scale) == (box[0], box[1], scale)
        true = frame.rgb[box[1] : box[3], box[0] : box[2]].astype(float)
        height, width = true.shape[0] // scale, true.shape[1] // scale
        true = true.reshape(height, scale, width, scale, 3).mean((1, 3))
        assert seen.rgb.shape == true.shape
        assert np.abs(seen.rgb - true)[2:-2, 2:-2].max() <= 4


def test_a_glimpse_begins_on_the_chroma_grid_and_knows_where() -> None:
    """Kills landmarks half a chroma sample beside the face, and lengths that are not scaled."""
    seen = a_frame("yuv420p", 161, 97).glimpse(40, 33, 17, 161, 97)
    assert (seen.left, seen.top, seen.scale) == (32, 16, 2)
    assert seen.rgb.shape == (40, 64, 3)
    placed = seen.placed(np.array([[3.0, 5.0, 7.0]], np.float32))
    np.testing.assert_array_equal(placed, [[38.0, 26.0, 14.0]])


def test_a_frame_of_rgb_is_that_picture() -> None:
    """Kills swapped channels."""
    rgb = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    frame = Frame.of_rgb(rgb)
    np.testing.assert_array_equal(frame.rgb, rgb)
    np.testing.assert_array_equal(frame.glimpse(100).rgb, rgb)
