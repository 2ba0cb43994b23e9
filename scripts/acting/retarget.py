"""Mouth motion of a real person on the computed head: lips that move as tracked lips did."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import lsq_linear
from scipy.signal import savgol_filter

from .head import Head
from .lips import SurfacePoints

CHIN_IBUG = 8
RIDGE_METRES = 0.0015
"""What a whole control may cost: it keeps controls that the lips do not need at rest."""
SHUT_METRES, APART_METRES = 0.0004, 0.0016
"""Gaps below the first are lips that touch, above the second lips that do not."""
_MOUTH = ("jaw", "mouth")


def retargeted(
    lips: Float[np.ndarray, "T L 3"],
    chin: Float[np.ndarray, "T 3"],
    gap: Float[np.ndarray, " T"],
    head: Head,
    points: SurfacePoints,
) -> dict[str, np.ndarray]:
    """Control curves `[T]` that move the head's lip `points` as head-local `lips` moved (metres).

    Displacements count from the tenth of the frames with the smallest `gap` between the lips, and
    scale with the mouths' widths. Every frame is a bounded least-squares problem with a ridge; the
    control `seal` shuts lips that touched.
    """
    still = gap <= np.quantile(gap, 0.1)
    marks = np.concatenate([lips, chin[:, None]], 1)
    rest_marks = np.concatenate(
        [points.on(head.rest).numpy(), head.rest[head.landmarks[CHIN_IBUG]][None].numpy()]
    )
    size = np.ptp(rest_marks[:-1, 0]) / np.ptp(lips[still].mean(0)[:, 0])
    wanted = savgol_filter(marks - marks[still].mean(0), 5, 3, axis=0) * size
    names = [name for name in head.controls if name.startswith(_MOUTH)]
    reach = [
        torch.cat(
            [
                points.on(head.controls[name]),
                head.controls[name][head.landmarks[CHIN_IBUG]][None],
            ]
        )
        for name in names
    ]
    design = np.concatenate(
        [torch.stack(reach).flatten(1).numpy().T, RIDGE_METRES * np.eye(len(names))]
    )
    targets = np.concatenate(
        [wanted.reshape(len(wanted), -1), np.zeros((len(wanted), len(names)))], 1
    )
    weights = np.stack([lsq_linear(design, target, (0, 1)).x for target in targets])
    apart = (gap - gap[still].mean()) * size
    open_share = np.clip((apart - SHUT_METRES) / (APART_METRES - SHUT_METRES), 0, 1)
    curves = dict(zip(names, weights.T, strict=True))
    return {**curves, "seal": 1 - open_share * open_share * (3 - 2 * open_share)}
