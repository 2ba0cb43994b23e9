"""A canary: where shapes are said to be checked, a wrong one must raise."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

PROBE = """
from jaxtyping import install_import_hook

with install_import_hook(["core"], "beartype.beartype"):
    from core.rotation import cross_matrix
import torch

assert cross_matrix(torch.zeros(5, 3)).shape == (5, 3, 3)
try:
    cross_matrix(torch.zeros(5, 4))
except Exception as error:
    print(type(error).__module__.split(".")[0])
else:
    print("nothing was raised")
"""


def test_a_wrong_shape_raises_under_the_import_hook() -> None:
    """Kills: annotations turned into strings, a hook that checks nothing."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "jaxtyping"


def test_no_shaped_module_postpones_its_annotations() -> None:
    """Kills: `from __future__ import annotations`, under which no shape is ever looked at."""
    packages = ("core", "media", "render", "face3d", "prior", "adapt", "dub", "evaluate")
    postponed = [
        str(file.relative_to(ROOT))
        for package in packages
        for file in (ROOT / package).rglob("*.py")
        if "from __future__ import annotations" in file.read_text()
    ]
    assert postponed == []
