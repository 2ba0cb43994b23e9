"""How much memory this process has needed at most."""

import sys


def peak_rss_mb() -> float | None:
    """Peak resident memory in MB; None on Windows, whose Python does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
