"""How a person moves the mouth, as a plain statistic: judges `prior.motion.movement`'s extractor.

Nothing here is learned. A window's covariance says how far every coefficient goes and which go
together; its matrix logarithm makes distances between such matrices Euclidean (Arsigny, Fillard,
Pennec and Ayache, 2006).
"""

import numpy as np
from jaxtyping import Float

RESTING_VARIANCE = 0.1
"""Added to every coefficient's variance: what tracking alone makes a still mouth do."""


def movement_signature(mouth: Float[np.ndarray, "T M"]) -> Float[np.ndarray, " D"]:
    """The upper triangle of the logarithm of the mouths' covariance, M (M + 1) / 2 numbers.

    Distances of signatures are Frobenius distances of matrices. The mean mouth counts for nothing.
    """
    change = mouth - mouth.mean(0)
    covariance = change.T @ change / len(change) + RESTING_VARIANCE * np.eye(mouth.shape[1])
    values, vectors = np.linalg.eigh(covariance.astype(np.float64))
    logarithm = (vectors * np.log(values)) @ vectors.T
    rows, columns = np.triu_indices(len(logarithm))
    return logarithm[rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2.0))
