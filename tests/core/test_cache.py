"""Where results are kept that can be made again."""

import sys
from pathlib import Path

import pytest

from core.cache import cache_folder


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "kept/redub"),
        ("win32", "LOCALAPPDATA", "kept/redub"),
        ("linux", None, "home/.cache/redub"),
        ("darwin", None, "home/Library/Caches/redub"),
        ("win32", None, "home/AppData/Local/redub"),
    ],
)
def test_each_system_has_its_custom(
    platform: str,
    variable: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kills a cache in the working folder, and one in another system's place."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "kept"))
    assert cache_folder() == tmp_path / expected
