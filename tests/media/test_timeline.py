from fractions import Fraction

import pytest

from core.errors import UsageError
from media.timeline import frames_of_timecode, parse_range, timecode_after

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, range(300)),
        ("0s:4s", range(120)),
        ("4s:8s", range(120, 240)),
        ("0:100", range(100)),
        ("4s:", range(120, 300)),
        (":4s", range(120)),
        (":", range(300)),
        ("250:9000", range(250, 300)),
        (".5s:1.5s", range(15, 45)),
        ("tc:01:00:00:00:01:00:04:00", range(120)),
        ("tc:01:00:02:00:01:00:04:00", range(60, 120)),
    ],
)
def test_ranges(text: str | None, expected: range) -> None:
    """Kills a floor at one end (ranges would overlap), inclusive stops, rounding 29.97 to 29."""
    assert parse_range(text, NTSC, 300, "01:00:00:00") == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("4s", "not A:B"),
        ("a:b", "not A:B"),
        ("-1:4", "not A:B"),
        ("8s:4s", "holds no frame"),
        ("100:100", "holds no frame"),
        ("300:", "frames 0 to 299"),
        ("20s:30s", "frames 0 to 299"),
        ("tc:01:00:00:00", "not two timecodes"),
        ("tc:00:59:00:00:01:00:01:00", "before the clip"),
        ("tc:01:00:00:30:01:00:01:00", "below 60, 60 and 30"),
    ],
)
def test_bad_ranges_name_the_value(text: str, says: str) -> None:
    """Kills an error without the value, or of the wrong exit code."""
    with pytest.raises(UsageError, match=says) as caught:
        parse_range(text, NTSC, 300, "01:00:00:00")
    assert text.removeprefix("tc:")[:11] in str(caught.value)


def test_drop_frame_counts_as_smpte_does() -> None:
    """Kills dropping at every tenth minute too, and treating labels as frames."""
    assert frames_of_timecode("00:01:00;02", NTSC) == 1800
    assert frames_of_timecode("00:00:59;29", NTSC) == 1799
    assert frames_of_timecode("00:10:00;00", NTSC) == 17982
    assert frames_of_timecode("01:00:00;00", NTSC) == 107892
    assert frames_of_timecode("00:01:00:02", NTSC) == 1802
    assert frames_of_timecode("00:01:00;04", Fraction(60000, 1001)) == 3600


@pytest.mark.parametrize("start", ["00:00:00;00", "00:59:58;10", "09:59:00:00"])
def test_timecode_after_inverts_counting(start: str) -> None:
    """Kills a label that drifts across minutes, tens of minutes or hours."""
    first = frames_of_timecode(start, NTSC)
    for frames in (*range(0, 4000, 1), 17981, 17982, 17983, 19780, 19782, 35964):
        assert frames_of_timecode(timecode_after(start, frames, NTSC), NTSC) == first + frames
