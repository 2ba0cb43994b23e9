"""What a reader finds in inputs, and what it must not seem to find."""

import numpy as np
import pytest

from evaluate.metrics.leakage import explained

FRAMES = 240


def smooth(random: np.random.Generator, columns: int) -> np.ndarray:
    """Slow curves, as pictures of a talking head are: neighbours are alike."""
    noise = random.normal(size=(FRAMES + 16, columns))
    kernel = np.hanning(17)[:, None]
    return np.stack([np.convolve(noise[:, i], kernel[:, 0], "valid") for i in range(columns)], 1)[
        :FRAMES
    ]


def test_what_is_in_the_inputs_is_found() -> None:
    """Kills a reader that always says no leak: one direction of fifty carries the target."""
    random = np.random.default_rng(0)
    target = smooth(random, 1)[:, 0]
    inputs = smooth(random, 50)
    inputs[:, 7] += 2 * target
    assert explained(inputs, target) > 0.5
    assert explained(inputs, 100 + 5 * target) == pytest.approx(explained(inputs, target), abs=1e-6)


def test_what_is_not_in_the_inputs_is_not_found() -> None:
    """Kills frames drawn at random for the test: their neighbours in time would tell the target,
    though nothing but time links it to the inputs. A clock in the inputs tells nothing either."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(4):
        inputs = np.concatenate([smooth(random, 300), np.arange(FRAMES)[:, None] / FRAMES], 1)
        found.append(explained(inputs, smooth(random, 1)[:, 0]))
    assert np.mean(found) < 0.0, found
