"""Wavefront OBJ, as far as face models use it: vertices, texture points, polygons, materials."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.errors import InputError


class ObjMesh(NamedTuple):
    """Vertices [V 3], uv [W 2], polygons and uv_polygons [P 4] (−1: none), a material a polygon.

    Indices are counted from 0. `uv_polygons` is empty when a polygon lacks texture points.
    """

    vertices: np.ndarray
    uv: np.ndarray
    polygons: np.ndarray
    uv_polygons: np.ndarray
    material: list[str]


def read_obj(path: Path) -> ObjMesh:
    """Raises InputError for a file that cannot be read or has polygons of five corners."""
    vertices: list[list[str]] = []
    uv: list[list[str]] = []
    polygons: list[list[int]] = []
    textured: list[list[int]] = []
    material: list[str] = []
    current = ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                word, *rest = line.split() or [""]
                if word == "v":
                    vertices.append(rest[:3])
                elif word == "vt":
                    uv.append(rest[:2])
                elif word == "usemtl":
                    current = rest[0]
                elif word == "f":
                    corners = [[int(n) if n else 0 for n in corner.split("/")] for corner in rest]
                    polygons.append([_from_zero(c[0], len(vertices)) for c in corners])
                    textured.append([_from_zero(c[1], len(uv)) for c in corners if any(c[1:2])])
                    material.append(current)
        return ObjMesh(
            np.array(vertices, np.float64).reshape(-1, 3),
            np.array(uv, np.float64).reshape(-1, 2),
            _four_columns(polygons),
            _four_columns(textured) if all(textured) else np.empty((0, 4), np.int32),
            material,
        )
    except (OSError, ValueError, IndexError) as error:
        raise InputError(f"{path} is no readable OBJ mesh ({error}); download it again.") from error


def _from_zero(index: int, count: int) -> int:
    """OBJ counts from 1, and negative numbers from the latest element back."""
    return index - 1 if index > 0 else count + index


def _four_columns(polygons: list[list[int]]) -> np.ndarray:
    odd = next((p for p in polygons if len(p) not in (3, 4)), None)
    if odd is not None:
        raise ValueError(f"a polygon of {len(odd)} corners")
    padded = [[*polygon, -1][:4] for polygon in polygons]
    return np.array(padded, np.int32).reshape(-1, 4)


def read_vertices(path: Path) -> np.ndarray:
    """The vertices [V 3] alone, many times faster. Raises InputError as `read_obj` does."""
    try:
        with open(path, "rb") as file:
            rows = b" ".join(line[2:] for line in file if line.startswith(b"v "))
        return np.fromstring(rows.decode("ascii"), np.float64, sep=" ").reshape(-1, 3)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no readable OBJ mesh ({error}); download it again.") from error
