"""Where results are kept that can be made again, outside of anybody's project."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder for redub, by the system's custom; it need not exist yet."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "redub"
