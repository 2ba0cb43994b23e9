"""Contact sheets: where cells land, what differences show, what PNG files hold."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ResourceError
from evaluate.sheet import (
    INK,
    PAPER,
    contact_sheet,
    difference_image,
    difference_row,
    save_png,
    spread_indices,
    strip,
)


def flat(value: int, height: int = 20, width: int = 30) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def places(sheet: np.ndarray, value: int) -> tuple[int, int, int, int]:
    """The box (x0, y0, x1, y1) of the pixels of one grey value; fails unless it is filled."""
    rows, columns = np.nonzero((sheet == value).all(-1))
    x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert (sheet[y0:y1, x0:x1] == value).all()
    return int(x0), int(y0), int(x1), int(y1)


def test_cells_are_scaled_whole_and_stand_under_each_other() -> None:
    """Kills swapped rows and columns, cropped cells, and columns that drift with their widths."""
    rows = [
        ("truth", [flat(40), flat(60, 20, 50)]),
        ("this result", [flat(80, 80, 120), flat(99, 40, 100), flat(120)]),
    ]
    sheet = contact_sheet(rows, ("frame 1", "frame 2", "frame 3"), cell_height=40, title="Shot")
    boxes = {value: places(sheet, value) for value in (40, 60, 80, 99, 120)}
    sizes = {value: (x1 - x0, y1 - y0) for value, (x0, y0, x1, y1) in boxes.items()}
    assert sizes == {40: (60, 40), 60: (100, 40), 80: (60, 40), 99: (100, 40), 120: (60, 40)}
    assert boxes[40][0] == boxes[80][0] < boxes[60][0] == boxes[99][0] < boxes[120][0]
    assert boxes[40][1] == boxes[60][1] < boxes[80][1] == boxes[120][1]


def test_every_label_is_drawn_on_paper_beside_its_row() -> None:
    """Kills labels painted over pictures or off the page."""
    sheet = contact_sheet([("truth", [flat(40)]), ("", [flat(80)])], cell_height=40)
    x0, y0, _, y1 = places(sheet, 40)
    label = sheet[y0:y1, :x0]
    assert (np.abs(label.astype(int) - INK).sum(-1) < 30).sum() > 30
    below = places(sheet, 80)
    assert (sheet[below[1] : below[3], : below[0]] == PAPER).all()


def test_a_sheet_without_pictures_is_a_page_all_the_same() -> None:
    assert contact_sheet([("nothing found", [])]).ndim == 3
    assert contact_sheet([], title="nothing").ndim == 3


def test_differences_are_amplified_about_grey_and_clipped() -> None:
    """Kills absolute differences, a swapped sign and uint8 wrap-around."""
    truth = flat(100)
    generated = truth.copy()
    generated[0, 0] = (110, 95, 100)
    generated[0, 1] = (255, 0, 100)
    image = difference_image(generated, truth)
    assert image.dtype == np.uint8
    assert image[0, 0].tolist() == [168, 108, 128]
    assert image[0, 1].tolist() == [255, 0, 128]
    label, images = difference_row([generated], [truth], gain=2.0)
    assert label == "difference x2"
    assert images[0][0, 0].tolist() == [148, 118, 128]


def test_spread_indices_reach_both_ends_and_never_repeat() -> None:
    assert spread_indices(101, 5) == [0, 25, 50, 75, 100]
    assert spread_indices(3, 8) == [0, 1, 2]
    assert spread_indices(1, 4) == [0]
    assert spread_indices(0, 4) == []


def test_strip_keeps_order_and_height() -> None:
    image = strip([flat(10), flat(20, 10, 10)], height=10)
    assert image.shape == (10, 25, 3)
    assert image[5, :, 0].tolist() == [10] * 15 + [20] * 10


def test_png_gives_back_every_pixel_and_its_error_is_a_sentence(tmp_path: Path) -> None:
    """Kills swapped channels and lossy files."""
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    save_png(tmp_path / "new" / "sheet.png", picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new/sheet.png")), picture)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        save_png(tmp_path / "file" / "sheet.png", picture)
