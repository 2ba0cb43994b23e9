"""Wall-clock times as people write them."""

import re

from core.errors import UsageError


def parse_seconds(text: str, flag: str = "--budget") -> float:
    """Seconds of `90s`, `3m`, `1.5m` or `90`. Raises UsageError for anything else, and for none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|)", text)
    if found is None or float(found[1]) == 0:
        raise UsageError(f"{flag} {text} is not a time; write it like 90s or 3m.")
    return float(found[1]) * (60 if found[2] == "m" else 1)
