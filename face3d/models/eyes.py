"""Irises, where a model paints none: a detector that looks for eyes wants them."""

import numpy as np

IRIS_METRES = 0.006


def on_irises(vertices: np.ndarray, polygons: np.ndarray, is_eye: np.ndarray) -> np.ndarray:
    """Polygons of the eyeballs, bool [P], around each ball's foremost point.

    `vertices` [V 3] metres, `polygons` [P 3+], `is_eye` bool [P].
    """
    middle = vertices[polygons[:, :3]].mean(1)
    result = np.zeros(len(polygons), bool)
    for side in (middle[:, 0] > 0, middle[:, 0] <= 0):
        ball = np.flatnonzero(is_eye & side)
        if len(ball):
            front = middle[ball[middle[ball, 2].argmax()]]
            result[ball] = np.linalg.norm(middle[ball] - front, axis=-1) < IRIS_METRES
    return result
