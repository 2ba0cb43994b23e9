"""How much of the old line the new one's renderer could read off what it is shown.

Whatever a linear reader finds, a network can find; frames next to each other look alike, so a
reader is judged on stretches of time it has not seen.
"""

import numpy as np
from jaxtyping import Float

BLOCKS = 5
STRENGTHS = np.logspace(-3, 3, 13)
"""Ridge strengths that are tried, in units of the mean squared length of a frame's inputs."""


def explained(
    inputs: Float[np.ndarray, "T D"], target: Float[np.ndarray, " T"], gap: int = 10
) -> float:
    """R² of ridge regression of the target on the inputs, cross-validated over blocks of time.

    Each of five blocks is foretold from the others, less `gap` frames beside it; the strength is
    the one that does best among those others, block by block. Movement counts, not level: in each
    block both curves are taken from their own mean there, because a head that sits elsewhere
    shifts what a reader expects, and a leak that shows every movement must not hide behind that.
    1 − squared error over the target's squares: chance is 0 or below.
    """
    block = np.arange(len(target)) * BLOCKS // len(target)
    error = chance = 0.0
    for held in range(BLOCKS):
        test = block == held
        train = ~near(test, gap)
        inner = [
            sum_of_errors(inputs, target, train & ~near(block == other, gap), train & part)
            for other in range(BLOCKS)
            if other != held and (train & (part := block == other)).any()
        ]
        best = int(np.sum(inner, 0).argmin())
        error += sum_of_errors(inputs, target, train, test)[best]
        chance += float(np.square(target[test] - target[test].mean()).sum())
    return 1 - error / chance


def near(mask: np.ndarray, gap: int) -> np.ndarray:
    """The frames of a mask and those within `gap` of one."""
    return np.convolve(mask, np.ones(2 * gap + 1), "same") > 0.5


def sum_of_errors(
    inputs: np.ndarray, target: np.ndarray, train: np.ndarray, test: np.ndarray
) -> Float[np.ndarray, " S"]:
    """Squared errors on the test frames for each strength, by the dual form: T × T systems."""
    known = inputs[train] - inputs[train].mean(0)
    gram = known @ known.T
    values, vectors = np.linalg.eigh(gram)
    across = (inputs[test] - inputs[test].mean(0)) @ known.T @ vectors
    inside = vectors.T @ (target[train] - target[train].mean())
    unit = np.trace(gram) / len(gram)
    moved = target[test] - target[test].mean()
    return np.array(
        [np.square(across @ (inside / (values + s * unit)) - moved).sum() for s in STRENGTHS]
    )
