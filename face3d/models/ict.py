"""ICT-FaceKit (USC Institute for Creative Technologies, MIT licence): as released, or as one file.

The release's folder `FaceXModel` holds one OBJ a shape, all of one topology: the mean face
`generic_neutral_mesh.obj`, `identity000.obj` and so on, and one file an expression under the
expression's name. The single file `.npz` holds the same numbers as arrays: `neutral` [V 3],
`identity` [S V 3] and `expression` [E V 3] as differences, `expression_names`, `faces` and
`faces_uv` [P 4], `uv` [W 2], `face_material` [P], `materials`. Both are in centimetres.
"""

import re
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from core.errors import InputError
from face3d.models.eyes import on_irises
from face3d.models.obj import read_obj, read_vertices
from face3d.sculpt import Part, Sculpt

NEUTRAL = "generic_neutral_mesh.obj"
ARRAYS = ("neutral", "identity", "expression", "expression_names", "faces", "face_material",
          "materials", "uv", "faces_uv")  # fmt: skip

_METRES = 0.01
_FACE_VERTICES = 9409
"""The face's own vertices come first (the release's table of geometry)."""
_MOUTH_SOCKET = range(11248, 13294)
_EYE_SOCKETS = range(13294, 14062)
"""Vertices of the skin's inner sides, which share a material with the neck (same table)."""
_LIP_OUTLINE = (5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841)
"""The lips' outer contour among the release's 68 landmarks (numbers 49 to 60)."""
_AJAR = "jawOpen"
_AJAR_WEIGHT = 0.25
_PARTS = {
    "M_Face": Part.SKIN,
    "M_BackHead": Part.SKIN,
    "M_GumsTongue": Part.MOUTH,
    "M_Teeth": Part.TEETH,
    "M_ScleraLeft": Part.EYE,
    "M_ScleraRight": Part.EYE,
}


class Release(NamedTuple):
    """What either form of the model holds, centimetres; `material` names each polygon's."""

    neutral: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    names: tuple[str, ...]
    polygons: np.ndarray
    material: list[str]
    uv: np.ndarray
    uv_polygons: np.ndarray


def load_ict(path: Path, licence: str) -> Sculpt:
    """The model in a folder as released, or in a `.npz`. Raises InputError for anything else."""
    release = read_folder(path) if path.is_dir() else read_arrays(path)
    if _AJAR not in release.names:
        raise InputError(f"{path} has no expression {_AJAR}; give a complete ICT-FaceKit.")
    part = np.array([_PARTS.get(name, Part.UNSEEN) for name in release.material])
    for inner, kind in ((_MOUTH_SOCKET, Part.MOUTH), (_EYE_SOCKETS, Part.UNSEEN)):
        part[np.isin(release.polygons[:, :3], inner).all(1) & (part == Part.SKIN)] = kind
    part[_on_lips(release.neutral, release.polygons, part)] = Part.LIPS
    eyes = part == Part.EYE
    part[on_irises(release.neutral * _METRES, release.polygons, eyes)] = Part.IRIS

    def metres(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)) * _METRES

    ajar = torch.zeros(len(release.names))
    ajar[release.names.index(_AJAR)] = _AJAR_WEIGHT
    return Sculpt(
        name="ICT-FaceKit",
        licence=licence,
        neutral=metres(release.neutral),
        identity=metres(release.identity),
        expression=metres(release.expression),
        expression_names=release.names,
        local=True,
        ajar=ajar,
        polygons=torch.from_numpy(release.polygons.astype(np.int32)),
        part=torch.from_numpy(part.astype(np.int32)),
        uv=torch.from_numpy(release.uv.astype(np.float32)),
        uv_polygons=torch.from_numpy(release.uv_polygons.astype(np.int32)),
    )


def _on_lips(neutral: np.ndarray, polygons: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Polygons of the face, bool [P], whose middle lies inside the lips' outline from in front."""
    if len(neutral) <= max(_LIP_OUTLINE):
        return np.zeros(len(polygons), bool)
    outline = neutral[list(_LIP_OUTLINE), :2].astype(np.float32)[:, None]
    middle = neutral[polygons[:, :3]].mean(1)
    near = (part == Part.SKIN) & (polygons.max(1) < _FACE_VERTICES)
    inside = [
        bool(ours) and cv2.pointPolygonTest(outline, (float(x), float(y)), False) > 0
        for ours, (x, y, _) in zip(near, middle, strict=True)
    ]
    return np.array(inside)


def read_arrays(path: Path) -> Release:
    """The single file. Raises InputError when arrays are missing or do not fit each other."""
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in ARRAYS}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} is not an ICT-FaceKit file ({error}); it must hold {', '.join(ARRAYS)}."
        ) from error
    materials = [str(name) for name in held["materials"]]
    return Release(
        held["neutral"],
        held["identity"],
        held["expression"],
        tuple(str(name) for name in held["expression_names"]),
        held["faces"],
        [materials[i] for i in held["face_material"]],
        held["uv"],
        held["faces_uv"],
    )


def read_folder(folder: Path) -> Release:
    """The release's folder of OBJ files; every further OBJ in it is an expression."""
    mean = read_obj(folder / NEUTRAL)
    files = sorted(p for p in folder.glob("*.obj") if p.name != NEUTRAL)
    shapes = {p.stem: _difference(p, mean.vertices) for p in files}
    people = [name for name in shapes if re.fullmatch(r"identity\d+", name)]
    moves = [name for name in shapes if name not in people]
    if not people or not moves:
        raise InputError(
            f"{folder} holds {len(people)} identities and {len(moves)} expressions beside "
            f"{NEUTRAL}; give the whole folder FaceXModel of the release."
        )
    return Release(
        mean.vertices,
        np.stack([shapes[name] for name in people]),
        np.stack([shapes[name] for name in moves]),
        tuple(moves),
        mean.polygons,
        mean.material,
        mean.uv,
        mean.uv_polygons,
    )


def _difference(path: Path, mean: np.ndarray) -> np.ndarray:
    vertices = read_vertices(path)
    if vertices.shape != mean.shape:
        raise InputError(
            f"{path} has {len(vertices)} vertices and {NEUTRAL} {len(mean)}; "
            "download the release again."
        )
    return vertices - mean
