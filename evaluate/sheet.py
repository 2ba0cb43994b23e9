"""Contact sheets: labelled rows of pictures on one page, and differences one can see.

Pictures are `rgb_coded` `[H W 3]`, uint8 or float in 0 to 255; sheets are uint8.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image, ImageDraw, ImageFont

from core.serial import atomic_path

Picture: TypeAlias = Num[np.ndarray, "_ _ 3"]
Sheet: TypeAlias = UInt8[np.ndarray, "_ _ 3"]

DIFFERENCE_GAIN = 4.0
MID_GREY = 128

PAPER = (250, 250, 248)
INK = (32, 34, 38)
FAINT_INK = (120, 124, 130)
TEXT_PIXELS = 17
GAP_PIXELS = 6
MARGIN_PIXELS = 16


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[Picture]]],
    columns: Sequence[str] = (),
    cell_height: int = 160,
    title: str = "",
) -> Sheet:
    """Rows of (label, pictures), label at the left; `columns` are labels above the pictures.

    Labels are ASCII: the built-in font has little more. Every picture is scaled to `cell_height`.
    Rows may differ in length; pictures in the same place of two rows stand under each other.
    """
    cells = [[scaled(picture, cell_height) for picture in pictures] for _, pictures in rows]
    count = max((len(row) for row in cells), default=0)
    widths = [max(row[i].shape[1] for row in cells if i < len(row)) for i in range(count)]
    font = ImageFont.load_default(TEXT_PIXELS)
    label_width = max((round(font.getlength(label)) for label, _ in rows), default=0)
    left = MARGIN_PIXELS + label_width + 2 * GAP_PIXELS
    title_height = 2 * TEXT_PIXELS if title else 0
    top = MARGIN_PIXELS + title_height + (TEXT_PIXELS + 2 * GAP_PIXELS if columns else 0)
    xs = [left + sum(widths[:i]) + GAP_PIXELS * i for i in range(count)]
    ys = [top + (cell_height + GAP_PIXELS) * i for i in range(len(rows))]
    width = max(
        left + sum(widths) + GAP_PIXELS * max(count - 1, 0),
        MARGIN_PIXELS + round(font.getlength(title)),
    )
    height = top + (cell_height + GAP_PIXELS) * len(rows) - GAP_PIXELS

    page = Image.new("RGB", (width + MARGIN_PIXELS, height + MARGIN_PIXELS), PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((MARGIN_PIXELS, MARGIN_PIXELS), title, INK, font)
    for x, cell_width, name in zip(xs, widths, columns, strict=False):
        pen.text((x + cell_width // 2, top - GAP_PIXELS), name, FAINT_INK, font, "mb")
    for y, (label, _), row in zip(ys, rows, cells, strict=True):
        pen.text((left - 2 * GAP_PIXELS, y + cell_height // 2), label, INK, font, "rm")
        for x, cell in zip(xs, row, strict=False):
            page.paste(Image.fromarray(cell), (x, y))
    return np.array(page)


def difference_image(generated: Picture, truth: Picture, gain: float = DIFFERENCE_GAIN) -> Sheet:
    """Mid grey plus `gain` times generated − truth: grey is equal, brighter is too bright."""
    difference = generated.astype(np.float64) - truth.astype(np.float64)
    return as_uint8(MID_GREY + gain * difference)


def difference_row(
    generated: Sequence[Picture], truth: Sequence[Picture], gain: float = DIFFERENCE_GAIN
) -> tuple[str, list[Sheet]]:
    """A labelled row of difference images for `contact_sheet`."""
    pairs = zip(generated, truth, strict=True)
    return f"difference x{gain:g}", [difference_image(ours, true, gain) for ours, true in pairs]


def spread_indices(total: int, count: int) -> list[int]:
    """At most `count` different indices, evenly spread over `total` frames, first and last in."""
    return sorted(set(np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist()))


def strip(pictures: Sequence[Picture], height: int = 160) -> Sheet:
    """Pictures side by side at one height, without gaps or labels."""
    return np.concatenate([scaled(picture, height) for picture in pictures], axis=1)


def save_png(path: Path, picture: Picture) -> None:
    """Write the picture, whole or not at all. Raises ResourceError where it cannot be written."""
    with atomic_path(path) as temporary:
        Image.fromarray(as_uint8(picture)).save(temporary, "PNG", optimize=True)


def scaled(picture: Picture, height: int) -> Sheet:
    """The picture at the given height, averaged down or interpolated up."""
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    method = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(as_uint8(picture), (width, height), interpolation=method)


def as_uint8(picture: Num[np.ndarray, "_ _ 3"]) -> Sheet:
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)
