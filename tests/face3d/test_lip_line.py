"""Lips' borders on mouths drawn by hand."""

import numpy as np
import pytest

from face3d.lip_line import (
    INNER_LOWER,
    INNER_UPPER,
    OUTER_LOWER,
    OUTER_UPPER,
    borders,
    columns_of,
    crossing,
    ends_of,
    greatest_run,
    learn_lip_line,
    seen_inner_lips,
)
from face3d.topology import LANDMARKS

LIP, DARK, TEETH = (170, 120, 115), (40, 25, 25), (190, 180, 170)
COLUMNS = np.linspace(30, 90, 9)
UPPER_LIP, LOWER_LIP = 30.0, 70.0
"""Rows of the outer contours; the mouth opens about row 50."""


def mouth(opening: float, fill=DARK) -> np.ndarray:
    """Lips with a mouth of this height between rows 50 ± half of it, its border antialiased."""
    rows = np.arange(100)[:, None] + 0.5
    share = (opening / 2 + 0.5 - np.abs(rows - 50)).clip(0, 1) * min(opening, 1)
    column = share[..., None] * np.array(fill) + (1 - share[..., None]) * np.array(LIP)
    return np.broadcast_to(column, (100, 120, 3)).round().astype(np.uint8)


def landmarks(opening: float, shift: float = 0.0) -> np.ndarray:
    xy = np.zeros((LANDMARKS, 2))
    for rows, ring in (
        (UPPER_LIP, OUTER_UPPER), (50 - opening / 2 + shift, INNER_UPPER),
        (50 + opening / 2 + shift, INNER_LOWER), (LOWER_LIP, OUTER_LOWER),
    ):  # fmt: skip
        xy[ring] = np.stack([COLUMNS, np.full(9, rows)], -1)
    return xy


def test_the_greatest_run_is_the_one_of_all_runs() -> None:
    """Kills a run one point short and a start after the stop: against all runs, by brute force."""
    random = np.random.default_rng(0)
    score = random.normal(-0.3, 1, (20, 9))
    start, stop, best = greatest_run(score)
    for row, a, b, found in zip(score, start, stop, best, strict=True):
        runs = [row[i:j].sum() for i in range(9) for j in range(i + 1, 10)]
        assert found == pytest.approx(max(runs))
        assert row[a:b].sum() == pytest.approx(found)


def test_a_border_lies_where_the_score_changes_sign() -> None:
    """Kills a border on the point before or after: from −1 to 3 it is a quarter of the way."""
    score = np.full((1, 41), -1.0)
    score[0, 10:20] = 3.0
    assert crossing(score, np.array([10])) * 40 == pytest.approx(9.25)
    assert crossing(score, np.array([20])) * 40 == pytest.approx(19.75)


@pytest.mark.parametrize("fill", [DARK, TEETH])
def test_borders_are_seen_where_detections_miss_them(fill) -> None:
    """Kills teeth taken for lips, dark alone taken for mouth, and borders that stay on the
    detector's: detections are 2 px too narrow and 1 px off; measured 0.2 px."""
    openings = [6.0, 8.0, 10.0, 12.0]
    images = [mouth(o, fill) for o in openings]
    xy = np.stack([landmarks(o - 2, shift=1.0) for o in openings])
    columns = columns_of(images, xy)
    upper, lower = borders(columns, learn_lip_line(columns).ratio)
    top, bottom = ends_of(xy)
    for along, sign in ((upper, -1), (lower, 1)):
        rows = top[..., 1] + along * (bottom - top)[..., 1]
        expected = 50 + sign * np.array(openings)[:, None] / 2
        assert np.abs(rows - expected).max() < 0.6


def test_touching_lips_have_no_mouth_between_them() -> None:
    """Kills a mouth in every column: one colour all the way is closed."""
    columns = columns_of([mouth(0.0)] * 3, np.stack([landmarks(0.4)] * 3))
    upper, lower = borders(columns, learn_lip_line(columns).ratio)
    assert np.array_equal(upper, lower)


def test_seen_lips_keep_the_landmarks_scale() -> None:
    """Kills a gap in the picture's own measure: detections see half of every opening, one frame's
    is far off; that frame comes out as the others say, and the rest hardly change."""
    openings = np.array([3.0, 5.0, 6.0, 8.0, 10.0, 11.0, 12.0, 4.0])
    meant = openings / 2
    xy = np.stack([landmarks(gap) for gap in meant])
    xy[4] = landmarks(meant[4] + 4)
    columns = columns_of([mouth(o) for o in openings], xy)
    moved = seen_inner_lips(learn_lip_line(columns), columns, xy)
    gap = (moved[:, INNER_LOWER] - moved[:, INNER_UPPER])[..., 1].mean(1)
    assert np.abs(gap - meant).max() < 0.7
    assert np.array_equal(moved[:, OUTER_UPPER], xy[:, OUTER_UPPER])
    np.testing.assert_allclose(moved[..., 0], xy[..., 0], atol=1e-9)
