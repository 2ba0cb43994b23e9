"""FLAME 2020 and 2023 (Max Planck Institute for Intelligent Systems), supplied by the user.

FLAME (Li et al. 2017) is distributed as a pickle, which redub never reads:
`scripts/convert_flame.py` takes the arrays out of it once. Of FLAME we use the mean head, its 300
shapes of people and 100 of expressions, and the jaw: its skinning weights and joint give what a
small turn of the jaw does, equation 1 of the paper to first order. The neck and the eyeballs stay,
and the corrective shapes of poses (`posedirs`) are left out: both are small in speech.
"""

from pathlib import Path

import numpy as np
import torch

from core.errors import InputError
from face3d.models.eyes import on_irises
from face3d.sculpt import Part, Sculpt

ARRAYS = ("v_template", "shapedirs", "f", "J_regressor", "weights")
PEOPLE, EXPRESSIONS = 300, 100
JAW, EYES = 2, (3, 4)
"""Joints, in FLAME's order: root, neck, jaw, left and right eye."""
JAW_DEVIATION = {"jaw_open": 0.08, "jaw_aside": 0.03, "jaw_roll": 0.02}
"""Expected turn about x, y and z, radians."""
AJAR_DEVIATIONS = 1.5


def load_flame(path: Path, licence: str) -> Sculpt:
    """The model in a `.npz` of FLAME's own arrays. Raises InputError for another shape of them."""
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: np.asarray(file[name]) for name in ARRAYS}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} is not a FLAME file ({error}); it must hold {', '.join(ARRAYS)}: make it "
            "with scripts/convert_flame.py."
        ) from error
    mean = held["v_template"].astype(np.float64)
    _check(path, held, len(mean))
    shapes = held["shapedirs"].transpose(2, 0, 1)
    joint = held["J_regressor"][JAW] @ mean
    turns = jaw_turns(mean, held["weights"][:, JAW], joint)
    expression = np.concatenate([turns, shapes[PEOPLE:]])
    polygons = np.pad(held["f"].astype(np.int32), ((0, 0), (0, 1)), constant_values=-1)
    ajar = np.zeros(len(expression))
    ajar[0] = AJAR_DEVIATIONS
    names = (*JAW_DEVIATION, *(f"expression{i:03}" for i in range(EXPRESSIONS)))

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))

    return Sculpt(
        name="FLAME",
        licence=licence,
        neutral=tensor(mean),
        identity=tensor(shapes[:PEOPLE]),
        expression=tensor(expression),
        expression_names=names,
        local=False,
        ajar=tensor(ajar),
        polygons=torch.from_numpy(polygons),
        part=torch.from_numpy(_parts(mean, polygons, held["weights"])),
        uv=torch.empty(0, 2),
        uv_polygons=torch.empty(0, 4, dtype=torch.int32),
    )


def _check(path: Path, held: dict[str, np.ndarray], count: int) -> None:
    wanted = {
        "v_template": (count, 3),
        "shapedirs": (count, 3, PEOPLE + EXPRESSIONS),
        "f": (len(held["f"]), 3),
        "J_regressor": (5, count),
        "weights": (count, 5),
    }
    for name, shape in wanted.items():
        if held[name].shape != shape:
            raise InputError(
                f"{path} has {name} of shape {held[name].shape} and FLAME's is {shape}; "
                "convert the released file again."
            )


def jaw_turns(mean: np.ndarray, weight: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """What a deviation of jaw rotation about x, y and z does [3 V 3], to first order.

    Linear blend skinning moves a vertex by w (R − 1)(v − j); a small turn ω makes it w ω × (v − j).
    A turn about x opens the mouth: the chin lies in front of the joint.
    """
    axes = np.eye(3) * np.array(list(JAW_DEVIATION.values()))[:, None]
    return weight[:, None] * np.cross(axes[:, None], mean - joint)


def _parts(mean: np.ndarray, polygons: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Eyeballs are what the eyes' joints move; all else is skin."""
    ball = (weights[:, EYES] > 0.5).any(1)
    part = np.full(len(polygons), Part.SKIN, np.int32)
    part[ball[polygons[:, :3]].all(1)] = Part.EYE
    part[on_irises(mean, polygons, part == Part.EYE)] = Part.IRIS
    return part
