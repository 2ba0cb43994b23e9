"""How many cores are idle: OpenMP threads that wait for a core someone else holds cost more than
they bring (measured: two threads on two busy cores were ten times slower than one)."""

import os
import time
from pathlib import Path

SAMPLES = 6
PAUSE_SECONDS = 0.01


def idle_cores() -> int:
    """Cores that nobody uses right now, at least 1; all of them where the system does not tell."""
    cores = os.cpu_count() or 1
    try:
        running = sorted(_running() for _ in range(SAMPLES))
    except (OSError, ValueError, IndexError):
        return cores
    return max(1, cores - running[SAMPLES // 2])


def _running() -> int:
    """Other threads that run or wait for a core at this moment."""
    time.sleep(PAUSE_SECONDS)
    return int(Path("/proc/loadavg").read_text().split()[3].split("/")[0]) - 1
