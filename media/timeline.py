"""Which frames a range names, and timecode, all in integers.

Frame i covers [i/fps, (i+1)/fps) after the first picture. Drop-frame timecode is a label that skips
numbers; no frame is ever dropped.
"""

import re
from fractions import Fraction
from math import ceil

from core.errors import UsageError

_TIMECODE = r"\d{1,2}:\d\d:\d\d[:;.]\d\d"


def parse_range(
    text: str | None, fps: Fraction, frames: int, start_timecode: str | None = None
) -> range:
    """The frames named by `A:B`, half-open, of a clip of `frames` frames.

    Each end is seconds (`4s`, `1.5s`), a frame index (`100`) or empty for the clip's own end;
    `tc:HH:MM:SS:FF:HH:MM:SS:FF` counts from the clip's `start_timecode` (from zero if it has none).
    A moment names the first frame that starts at or after it, so `0s:4s` and `4s:8s` tile. A stop
    beyond the clip is cut to its end. Raises UsageError for anything else.
    """
    if text is None:
        return range(frames)
    if text.startswith("tc:"):
        start, stop = _timecode_ends(text, fps, start_timecode)
    else:
        start, stop = _plain_ends(text, fps, frames)
    if start >= frames:
        raise UsageError(
            f"--range {text} starts at frame {start} and the clip has frames 0 to {frames - 1}; "
            f"start it before {float(frames / fps):.3f}s."
        )
    if start < 0 or stop <= start:
        raise UsageError(
            f"--range {text} means frames {start} to {stop}, which holds no frame of the clip; "
            "let it end after it starts, as in 0s:4s."
        )
    return range(start, min(stop, frames))


def _plain_ends(text: str, fps: Fraction, frames: int) -> tuple[int, int]:
    ends = re.fullmatch(r"(\d+|\d*\.?\d+s|):(\d+|\d*\.?\d+s|)", text)
    if ends is None:
        raise UsageError(
            f"--range {text} is not A:B in seconds, frames or timecode; write it like 0s:4s, "
            "0:100 or tc:01:00:00:00:01:00:04:00."
        )
    first, last = ends.groups()
    return _moment(first or "0", fps), _moment(last or str(frames), fps)


def _moment(text: str, fps: Fraction) -> int:
    return ceil(Fraction(text[:-1]) * fps) if text.endswith("s") else int(text)


def _timecode_ends(text: str, fps: Fraction, start_timecode: str | None) -> tuple[int, int]:
    ends = re.fullmatch(rf"tc:({_TIMECODE})?:({_TIMECODE})?", text)
    if ends is None or ends.group(1) is None or ends.group(2) is None:
        raise UsageError(
            f"--range {text} is not two timecodes; write it like tc:01:00:00:00:01:00:04:00."
        )
    origin = frames_of_timecode(start_timecode, fps) if start_timecode else 0
    first, last = (frames_of_timecode(end, fps) - origin for end in ends.groups())
    if first < 0:
        raise UsageError(
            f"--range {text} starts before the clip, whose first frame is "
            f"{start_timecode or '00:00:00:00'}; start it there or later."
        )
    return first, last


def frames_of_timecode(text: str, fps: Fraction) -> int:
    """How many frames after 00:00:00:00 the label `text` stands; `;` or `.` marks drop-frame.

    Drop-frame labels skip the first 2 numbers (4 at 59.94) of every minute but each tenth
    (SMPTE ST 12-1).
    """
    if re.fullmatch(_TIMECODE, text) is None:
        raise UsageError(f"timecode {text} is not HH:MM:SS:FF; write it like 01:00:00:00.")
    hours, minutes, seconds, count = (int(part) for part in re.split("[:;.]", text))
    base = round(fps)
    if minutes > 59 or seconds > 59 or count >= base:
        raise UsageError(
            f"timecode {text} names minute {minutes}, second {seconds}, frame {count}, and at "
            f"{float(fps):.3f} frames a second they stay below 60, 60 and {base}."
        )
    total_minutes = 60 * hours + minutes
    skipped = _skipped_a_minute(base) * (total_minutes - total_minutes // 10)
    return (60 * total_minutes + seconds) * base + count - (skipped if _is_drop(text) else 0)


def timecode_after(text: str, frames: int, fps: Fraction) -> str:
    """The label `frames` frames after the label `text`, in the same notation."""
    base = round(fps)
    number = frames_of_timecode(text, fps) + frames
    if _is_drop(text):
        skip = _skipped_a_minute(base)
        tens, rest = divmod(number, 600 * base - 9 * skip)
        minutes = max(0, rest - 60 * base) // (60 * base - skip) + (rest >= 60 * base)
        number += skip * (9 * tens + minutes)
    seconds, count = divmod(number, base)
    minutes, seconds = divmod(seconds, 60)
    separator = text[-3]
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}:{seconds:02}{separator}{count:02}"


def _is_drop(text: str) -> bool:
    return text[-3] in ";."


def _skipped_a_minute(base: int) -> int:
    return base // 15
