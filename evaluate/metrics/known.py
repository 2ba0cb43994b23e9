"""Means over what is known: an unknown value is NaN and counts in nothing."""

import numpy as np


def known_mean(values: np.ndarray) -> float:
    """The mean of what is not NaN; NaN where nothing is known."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan


def ratio(generated: float, truth: float) -> float:
    """generated / truth, where nothing over nothing is 1: neither has any."""
    if truth == 0:
        return 1.0 if generated == 0 else np.inf
    return generated / truth
