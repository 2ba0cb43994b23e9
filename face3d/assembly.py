"""A face's 468 landmark vertices and their bases, joined by our anatomy to a whole model.

The face may come from footage (`scripts/learn_face_model.py`) or from another model's surface
(`face3d/retopology.py`): skirt, teeth and oral cavity hang on it by the same linear rules.
"""

import numpy as np
import torch

from face3d import anatomy
from face3d.morphable import MorphableModel
from face3d.topology import JAW_LINE, LANDMARKS, NOSE_BASE, tesselation


def mouth_share(height: np.ndarray) -> np.ndarray:
    """How much of the motion at a height (metres above the nose's base) belongs to the mouth.

    All of it below the nose, none above, a smooth step between.
    """
    t = np.clip((0.032 - height) / 0.028, 0, 1)
    return t * t * (3 - 2 * t)


def completed(
    face: np.ndarray, identity: np.ndarray, mouth: np.ndarray, upper: np.ndarray, about: dict
) -> MorphableModel:
    """Join our anatomy to a face and its bases [K 468 3]."""
    uv = anatomy.face_uv(face)
    line = face[NOSE_BASE, 1] - 0.004
    triangles, cut = anatomy.cut_along(face, uv, tesselation(), face[:, 1] - line)
    parts = [
        cut,
        anatomy.skirt(face, uv),
        anatomy.upper_teeth(face),
        anatomy.lower_teeth(face),
        anatomy.cavity(face),
    ]

    def extend(basis: np.ndarray, rules: list[np.ndarray]) -> np.ndarray:
        flat = basis.reshape(len(basis), -1)
        more = [(flat @ rule.T).reshape(len(basis), -1, 3) for rule in rules]
        return np.concatenate([basis, *more], axis=1)

    starts = np.cumsum([LANDMARKS, *(len(part.rest) for part in parts)])
    own = [p.triangles + start for p, start in zip(parts, starts, strict=False)]
    below = face[:, 1] < line
    skirt_below = np.tile(below[list(JAW_LINE)], len(anatomy.SKIRT_ROWS) + 1)
    rest = np.ones(starts[-1] - starts[2], bool)
    inside = np.arange(starts[-1]) >= starts[2]
    moving = [p.motion_rule for p in parts]
    # Brows and lids move the cut, which lies on the face, but neither the skirt nor the mouth.
    still = [cut.motion_rule, *(np.zeros_like(rule) for rule in moving[1:])]

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))

    return MorphableModel(
        mean=tensor(np.concatenate([face, *(p.rest for p in parts)])),
        identity=tensor(extend(identity, [p.shape_rule for p in parts])),
        mouth=tensor(extend(mouth, moving)),
        upper=tensor(extend(upper, still)),
        triangles=torch.from_numpy(np.concatenate([triangles, *own]).astype(np.int32)),
        uv=tensor(np.concatenate([uv, *(p.uv for p in parts)])),
        lower_face=torch.from_numpy(
            np.concatenate([below, np.ones(len(cut.rest), bool), skirt_below, rest])
        ),
        inside=torch.from_numpy(inside),
        attachment=tensor(np.concatenate([p.shape_rule[::3, ::3] for p in parts])),
        about=about,
    )
