"""What a director asks of a dub, as it is written."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError, UsageError
from dub.direction import kept_frames, strength_of

FPS = Fraction(25)


def curve(folder: Path, text: str) -> str:
    path = folder / "curve.txt"
    path.write_text(text)
    return str(path)


def test_a_number_is_a_strength() -> None:
    assert strength_of("0.8", FPS, None, range(10)) == 0.8


def test_a_curve_runs_evenly_between_its_moments(tmp_path: Path) -> None:
    """Kills seconds read as frames, frames counted from the range, and steps instead of lines."""
    text = curve(tmp_path, "# wide at the end\n2s 0.5\n\n60, 1.5  # frame 60\n")
    found = strength_of(text, FPS, None, range(48, 63))
    middles = np.arange(48, 63) + 0.5
    expected = np.clip(0.5 + (middles - 50) / 10, 0.5, 1.5)
    np.testing.assert_allclose(found, expected)


def test_timecode_counts_from_the_plate_s(tmp_path: Path) -> None:
    text = curve(tmp_path, "tc:01:00:01:00 0\ntc:01:00:02:00 1\n")
    found = strength_of(text, FPS, "01:00:00:00", range(25, 50))
    np.testing.assert_allclose(found, (np.arange(25) + 0.5) / 25)


@pytest.mark.parametrize(
    ("text", "error", "rule"),
    [
        ("1s 0.8 0.9", InputError, "line 1 is '1s 0.8 0.9'"),
        ("1s wide", InputError, "a moment and a strength"),
        ("1s 3.5", UsageError, "not between 0 and 3"),
        ("2s 1\n1s 1", InputError, "each later than the one before"),
        ("", InputError, "0 moments"),
    ],
)
def test_a_wrong_curve_is_a_sentence(
    tmp_path: Path, text: str, error: type[Exception], rule: str
) -> None:
    with pytest.raises(error, match=rule):
        strength_of(curve(tmp_path, text), FPS, None, range(5))


@pytest.mark.parametrize("text", ["-0.1", "3.01", "nan", "no such file"])
def test_a_wrong_strength_is_a_sentence(text: str) -> None:
    """Kills NaN, which no comparison refuses unless asked the right way round."""
    with pytest.raises(UsageError, match="strength"):
        strength_of(text, FPS, None, range(5))


def test_kept_ranges_are_the_plate_s_frames() -> None:
    """Kills ranges that count from the dubbed range's start, and the last range winning."""
    kept = kept_frames(("10:12", "0.6s:17"), FPS, 100, None, range(8, 20))
    assert np.flatnonzero(kept).tolist() == [2, 3, 7, 8]
    assert not kept_frames((), FPS, 100, None, range(8, 20)).any()
