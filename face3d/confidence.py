"""How far a frame's track can be trusted: the probability that its lips are right.

    confidence = P(mean error of the lips < 3 px256) = σ(bias + Σ weight · log(evidence))

`scripts/calibrate_confidence.py` learns the weights from real clips made hard by known operations,
and measures them on people it has not seen; see `confidence.json`.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from face3d.evidence import Evidence

TOLERATED_PX256 = 3.0
"""Mean error of the lips up to which a frame counts as right."""

FEATURES = ("disagreement", "lip_disagreement", "strangeness")


@dataclass(frozen=True)
class Calibration:
    """Weights of the evidence's logarithms, in the order of `FEATURES`, and their bias."""

    weights: Float[np.ndarray, "3"]
    bias: float

    def confidence(self, evidence: Evidence) -> Float[np.ndarray, "T"]:
        """In [0, 1]; 0 in frames without a face."""
        score = logarithms(evidence) @ self.weights + self.bias
        return np.nan_to_num(1 / (1 + np.exp(-np.clip(score, -30, 30))), nan=0.0)

    def save(self, path: Path, about: dict[str, Any]) -> None:
        weights = dict(zip(FEATURES, (round(float(w), 4) for w in self.weights), strict=True))
        document = {"weights": weights, "bias": round(self.bias, 4), "about": about}
        path.write_text(json.dumps(document, indent=2) + "\n")


def logarithms(evidence: Evidence) -> Float[np.ndarray, "T 3"]:
    columns = [getattr(evidence, name) for name in FEATURES]
    return np.log(np.maximum(np.stack(columns, -1), 0.01))


@cache
def default_calibration() -> Calibration:
    document = json.loads((files("face3d") / "confidence.json").read_text())
    return Calibration(np.array([document["weights"][n] for n in FEATURES]), document["bias"])


def learned(
    evidence: Float[np.ndarray, "N 3"], right: Float[np.ndarray, "N"], ridge: float = 1.0
) -> Calibration:
    """Logistic regression of frames that are right (1) or not (0) by Newton's method.

    The ridge is on weights of standardised logarithms.
    """
    middle, spread = evidence.mean(0), evidence.std(0)
    design = np.c_[(evidence - middle) / spread, np.ones(len(evidence))]
    prior = ridge * np.diag([1.0] * evidence.shape[1] + [1e-6])
    w = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ w, -30, 30)))
        hessian = (design * (p * (1 - p))[:, None]).T @ design + prior
        w = w - np.linalg.solve(hessian, design.T @ (p - right) + prior @ w)
    weights = w[:-1] / spread
    return Calibration(weights, float(w[-1] - weights @ middle))
