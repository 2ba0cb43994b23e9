"""The packages import downwards only, and none of them leans on tests or scripts."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {
    "core": 0,
    "media": 1,
    "render": 2,
    "face3d": 3,
    "prior": 4,
    "evaluate": 5,
    "adapt": 6,
    "dub": 7,
}
"""Layer of each package; one may import from lower layers and from itself.

`adapt` stands above `evaluate`, whose measures its report uses, and below `dub`.
"""
OUTSIDE = {"tests", "scripts", "benchmarks"}


def imported(source: str) -> Iterator[str]:
    """Top-level names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            yield (node.module or "").split(".")[0]


def climbs(package: str, names: Iterator[str]) -> set[str]:
    """Imports of `package` that the layers forbid."""
    layer = LAYERS[package]
    return {name for name in names if name in OUTSIDE or LAYERS.get(name, -1) > layer}


@pytest.mark.parametrize("package", LAYERS)
def test_no_module_imports_from_a_higher_layer(package: str) -> None:
    """Kills: a measure that reaches for the adaptation it is to judge, code that needs a test."""
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    forbidden = {
        str(file.relative_to(ROOT)): found
        for file in files
        if (found := climbs(package, imported(file.read_text())))
    }
    assert forbidden == {}


def test_the_check_sees_an_import_inside_a_function() -> None:
    """Kills: looking at the top of files only."""
    source = "def f():\n    from dub.shot import dub_shot\n    import numpy\n"
    assert climbs("adapt", imported(source)) == {"dub"}


def test_every_package_is_a_layer_and_is_packed() -> None:
    """Kills: a package that a wheel leaves out, or that no layer holds."""
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        str(file.parent.relative_to(ROOT)).replace("/", ".")
        for package in LAYERS
        for file in (ROOT / package).rglob("__init__.py")
    }
    assert found == set(listed)
    assert {name.split(".")[0] for name in listed} == set(LAYERS)
