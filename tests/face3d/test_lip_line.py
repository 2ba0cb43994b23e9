"""Lips' borders on mouths drawn by hand."""

import numpy as np
import pytest

from face3d.lip_line import (
    INNER_LOWER,
    INNER_UPPER,
    OUTER_LOWER,
    OUTER_UPPER,
    SHUT_GUESSES,
    SHUT_LINE,
    agreed_gap,
    borders,
    columns_of,
    crossing,
    dearest_run,
    ends_of,
    learn_lip_line,
    parted,
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


def test_the_dearest_run_is_the_one_of_all_runs() -> None:
    """Kills a run one point short, a start after the stop, prices at the wrong end and runs that
    cannot be empty: against all runs, by brute force."""
    random = np.random.default_rng(0)
    score = random.normal(-0.3, 1, (40, 9))
    begun, ended = random.uniform(0, 2, (2, 40, 10))
    start, stop = dearest_run(score, begun, ended)
    empty = 0
    for row, b, e, first, last in zip(score, begun, ended, start, stop, strict=True):
        worth = {(i, j): row[i:j].sum() - b[i] - e[j] for i in range(10) for j in range(i, 10)}
        assert worth[first, last] == pytest.approx(max(worth.values()))
        empty += first == last
    assert 0 < empty < 40


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


def gaps_of(images: list[np.ndarray], xy: np.ndarray) -> np.ndarray:
    """Heights of the mouths where they are seen, pixels."""
    columns = columns_of(images, xy)
    moved, _ = seen_inner_lips(learn_lip_line(columns), columns, xy)
    assert np.array_equal(moved[:, OUTER_UPPER], xy[:, OUTER_UPPER])
    np.testing.assert_allclose(moved[..., 0], xy[..., 0], atol=1e-9)
    return (moved[:, INNER_LOWER] - moved[:, INNER_UPPER])[..., 1].mean(1)


def test_a_dark_line_between_shut_lips_is_no_gap_and_openings_keep_their_height() -> None:
    """Kills every dark run taken for a gap (2 px and more), and the line's thickness taken off
    every opening or openings regressed on the landmarks, which damps them.
    Detections of openings are 1 px off: measured 0.8 px."""
    shown = [2.0, 2.4, 2.0, 2.2, 2.0, 10.0, 12.0, 8.0]
    meant = [0.0, 0.1, 0.0, 0.1, 0.0, 9.0, 13.0, 7.0]
    gaps = gaps_of([mouth(o) for o in shown], np.stack([landmarks(m) for m in meant]))
    assert gaps[:5].max() < 0.5
    assert np.abs(gaps[5:] - shown[5:]).max() < 0.9


def test_teeth_under_a_lip_that_detections_call_shut_are_seen() -> None:
    """Kills shut wherever a detector says shut: the last frame shows 5 px of teeth."""
    shown, fill = [1.5] * 6 + [8.0, 8.0, 5.0], [DARK] * 6 + [TEETH] * 3
    images = [mouth(o, f) for o, f in zip(shown, fill, strict=True)]
    gaps = gaps_of(images, np.stack([landmarks(m) for m in [0.1] * 6 + [8.0, 8.0, 0.1]]))
    assert gaps[:6].max() < 0.5
    assert gaps[8] > 3


def test_teeth_brighter_than_any_bin_are_mouth() -> None:
    """Kills bins that tell nothing of teeth thrice as bright as dark lips: landmarks 3 px too
    narrow decided."""
    rows = np.abs(np.arange(100)[:, None, None] - 49.5)
    image = np.where(rows < 5, (230, 225, 215), np.where(rows < 30, (130, 55, 60), LIP))
    image = np.where(rows < 1, DARK, image)
    image = np.broadcast_to(image, (100, 120, 3)).astype(np.uint8)
    gaps = gaps_of([image] * 4, np.stack([landmarks(7.0)] * 4))
    assert np.abs(gaps - 10).max() < 1.5


def test_a_tongue_as_red_as_lips_does_not_shut_half_a_mouth() -> None:
    """Kills a mouth that is never like lips: of 16 px the lower 8 show a tongue;
    measured 10, without it 8.5."""
    image = mouth(16.0).copy()
    image[50:58] = LIP
    gaps = gaps_of([image] * 4, np.stack([landmarks(16.0)] * 4))
    assert gaps.min() > 9.3


def test_a_shadow_far_from_the_detected_mouth_is_not_the_mouth() -> None:
    """Kills borders at any distance from the landmarks: below the lip lies a shadow twice as high
    as the mouth, and as dark."""
    image = mouth(4.0).copy()
    image[60:68] = DARK
    columns = columns_of([image] * 4, np.stack([landmarks(3.6)] * 4))
    upper, lower = borders(columns, learn_lip_line(columns).ratio)
    top, bottom = ends_of(np.stack([landmarks(3.6)] * 4))
    rows = top[..., 1] + lower * (bottom - top)[..., 1]
    assert np.abs(rows - 52).max() < 1
    assert (upper < lower).all()


def test_gaps_and_the_shut_line_add_in_squares() -> None:
    """Kills a difference: 5 is what 3 and 4 make, and no gap is below zero."""
    gaps = parted(np.array([[5.0], [3.0], [2.0]]), np.array([3.0]))
    np.testing.assert_allclose(gaps[:, 0], [4, 0, 0])


def test_the_landmarks_decide_where_the_picture_cannot_tell() -> None:
    """Kills a run as thin as the shut line taken for shut, landmarks that count as much where they
    contradict a plain picture, and an error that does not grow with the gap."""
    shut = np.array([2.0])
    thin, meant = np.array([[1.0], [2.0]]), np.array([[1.5], [0.3]])
    gap, _ = agreed_gap(thin, meant, shut)
    np.testing.assert_allclose(gap, meant, atol=1e-6)
    gap, _ = agreed_gap(np.array([[6.0]]), np.array([[0.2]]), shut)
    assert gap[0, 0] > 4
    _, error = agreed_gap(np.array([[1.0], [10.0]]), np.array([[0.2], [10.0]]), shut)
    assert 1.5 * error[0, 0] < error[1, 0]


def test_the_shut_line_is_learned_where_landmarks_say_shut() -> None:
    """Kills a line of open mouths and a guess that never yields: 20 shut frames outweigh it."""
    meant = np.array([0.1] * 20 + [8.0] * 10)
    shown = np.where(meant < 1, 1.4, 8.0)
    xy = np.stack([landmarks(m) for m in meant])
    line = learn_lip_line(columns_of([mouth(o) for o in shown], xy))
    guess = SHUT_GUESSES * SHUT_LINE / (20 + SHUT_GUESSES)
    assert np.all((line.shut > guess + 0.5) & (line.shut < 2.2))
