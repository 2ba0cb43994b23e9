"""A FLAME file of redub's own mean face: the released format, with numbers that are known."""

from pathlib import Path

import numpy as np

from face3d.models.flame import EXPRESSIONS, PEOPLE
from face3d.morphable import default_model
from face3d.topology import CHIN, JAW_LINE, LIPS_INNER_LOWER, LIPS_OUTER_LOWER


def flame_arrays() -> dict[str, np.ndarray]:
    """What the released pickle holds, of which redub reads five arrays.

    28 shapes of people and 32 of expressions are our own model's, the rest are nothing. The jaw
    moves what lies below the mouth's corners and behind the lower lip.
    """
    model = default_model()
    mean = model.mean.numpy().astype(np.float64)
    shapes = np.zeros((PEOPLE + EXPRESSIONS, *mean.shape))
    shapes[: len(model.identity)] = model.identity.numpy()
    moves = np.concatenate([model.mouth.numpy(), model.upper.numpy()])
    shapes[PEOPLE : PEOPLE + len(moves)] = moves
    weights = np.zeros((len(mean), 5))
    corner = mean[[61, 291], 1].mean()
    reach = np.clip((corner + 0.002 - mean[:, 1]) / 0.01, 0, 1)
    lower = [*LIPS_INNER_LOWER[1:-1], *LIPS_OUTER_LOWER[1:-1], *CHIN, *JAW_LINE[4:-4]]
    reach[lower] = 1.0
    upper = model.mouth[0, :, 1].abs().numpy() < 1e-4
    weights[:, 2] = np.where(upper, 0, reach)
    weights[:, 1] = 1 - weights[:, 2]
    regressor = np.zeros((5, len(mean)))
    regressor[:, [234, 454]] = 0.5
    return {
        "v_template": mean,
        "shapedirs": shapes.transpose(1, 2, 0),
        "posedirs": np.zeros((len(mean), 3, 36)),
        "f": model.triangles.numpy().astype(np.uint32),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
    }


def write_flame(path: Path, **changed: np.ndarray) -> Path:
    np.savez(path, **(flame_arrays() | changed))  # pyright: ignore[reportArgumentType]
    return path
