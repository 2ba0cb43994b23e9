"""Where the mouth's inside is, and when teeth show in it."""

import numpy as np

from evaluate.metrics.lips import LIPS_INNER_LOWER, LIPS_INNER_UPPER
from evaluate.metrics.open_mouth import mouth_inside, teeth_show

SKIN, LIP, TOOTH, TONGUE, DARK = (
    np.array(colour, np.uint8)
    for colour in ([200, 150, 130], [180, 90, 90], [190, 180, 170], [170, 80, 80], [40, 20, 20])
)


def lips(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Landmarks whose inner lips are a box; corners lie halfway down its sides."""
    landmarks = np.zeros((1, 478, 2))
    across = np.linspace(left, right, 9)
    landmarks[0, list(LIPS_INNER_UPPER[1:-1])] = np.stack([across, np.full(9, top)], 1)
    landmarks[0, list(LIPS_INNER_LOWER)] = np.stack([across, np.full(9, bottom)], 1)
    landmarks[0, LIPS_INNER_UPPER[0]] = (left, (top + bottom) / 2)
    landmarks[0, LIPS_INNER_UPPER[-1]] = (right, (top + bottom) / 2)
    return landmarks


def test_the_inside_is_the_box_between_the_lips() -> None:
    """Kills a polygon that crosses itself (lower lip drawn from the wrong end), the outer lips, and
    x taken for y."""
    inside = mouth_inside(lips(10, 20, 40, 30), 48, 64)[0]
    expected = np.zeros((48, 64), bool)
    expected[20:31, 10:41] = True  # a polygon's own border counts as inside
    assert (inside == expected).all()


def test_unknown_lips_have_no_inside() -> None:
    """Kills NaN cast to a pixel."""
    assert not mouth_inside(np.full((1, 478, 2), np.nan), 20, 20).any()


def picture(inside: np.ndarray, colour: np.ndarray, share: float) -> np.ndarray:
    """Skin, and in the hole the colour on the upper share of the rows, dark below."""
    frame = np.broadcast_to(SKIN, (*inside.shape, 3)).copy()
    frame[inside] = DARK
    rows = np.unique(np.nonzero(inside)[0])
    upper = np.zeros_like(inside)
    upper[rows[: round(share * len(rows))]] = True
    frame[inside & upper] = colour
    return frame


def test_teeth_are_bright_and_colourless_and_more_than_a_glint() -> None:
    """Kills "bright" alone (tongue, lips), "open" alone (a dark hole), one bright row of many, and
    a threshold in code values: the same mouth in dim light shows its teeth as well."""
    landmarks = lips(10, 10, 50, 30)
    inside = mouth_inside(landmarks, 40, 60)
    around = np.ones((1, 40, 60), bool)
    frames = {
        "teeth": picture(inside[0], TOOTH, 0.4),
        "tongue": picture(inside[0], TONGUE, 0.4),
        "hole": picture(inside[0], DARK, 0.4),
        "glint": picture(inside[0], TOOTH, 0.05),
        "dim": (0.3 * picture(inside[0], TOOTH, 0.4)).astype(np.uint8),
    }
    shown = {name: teeth_show(frame[None], inside, around)[0] for name, frame in frames.items()}
    assert shown == {"teeth": True, "tongue": False, "hole": False, "glint": False, "dim": True}


def test_a_slit_is_not_an_open_mouth() -> None:
    """Kills SSIM taken over a line between closed lips."""
    slit = mouth_inside(lips(10, 20, 38, 21), 48, 64)
    frame = picture(slit[0], TOOTH, 1.0)
    assert not teeth_show(frame[None], slit, np.ones((1, 48, 64), bool))[0]
