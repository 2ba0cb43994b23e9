"""How late a clip's sound is, from the mouth it should make and the mouth that was tracked."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from face3d.lips import mouth_opening
from face3d.morphable import MorphableModel
from face3d.track import Track
from media.audio import Audio
from prior.motion.expression import ExpressionModel
from prior.sound.hearing import Hearings

DRIFT_SECONDS = 1.0
"""Openings are compared after losing what changes more slowly: posture, and a smile."""


BELIEVED = 0.3
"""Confidence of a lag from which on a sound is shifted by it."""


@dataclass(frozen=True)
class Lag:
    """`frames` > 0: the sound is late; what the lips do at frame t is heard at t + `frames`.

    `confidence` is the correlation at that lag less the highest one more than 3 frames away: above
    0.3 it can be believed, below 0.2 a clip of a few seconds gets its lag by chance.
    """

    frames: float
    confidence: float

    @property
    def believed(self) -> float:
        """Frames by which a sound is to be shifted: none where the lag is not sure."""
        return self.frames if self.confidence >= BELIEVED else 0.0


def measured_lag(
    sound: Audio | Hearings, track: Track, speaker: ExpressionModel, model: MorphableModel
) -> Lag:
    """The lag of a tracked clip's own sound, by the openings that `speaker` expects of it."""
    expected = speaker.mouth(sound, track.fps, len(track), Fraction(track.start) / track.fps)
    heard, seen = (mouth_opening(model, mouth).numpy() for mouth in (expected, track.motion.mouth))
    return estimate_lag(heard, seen, track.fps)


def estimate_lag(
    predicted_opening: Float[np.ndarray, " T"],
    tracked_opening: Float[np.ndarray, " T"],
    fps: Fraction,
    max_frames: int = 10,
) -> Lag:
    """The lag, to a fraction of a frame, at which two opening curves agree best.

    `predicted_opening` comes from the sound, `tracked_opening` from the picture. The peak of their
    correlation is refined by the parabola through its neighbours. A still mouth gives Lag(0, 0),
    and so does a correlation that still rises where the search ends.
    """
    heard, seen = (_without_drift(c, fps) for c in (predicted_opening, tracked_opening))
    shifts = np.arange(-max_frames, max_frames + 1)
    scores = np.array([_correlation(heard, seen, int(shift)) for shift in shifts])
    best = int(scores.argmax())
    far = np.abs(shifts - shifts[best]) > 3
    confidence = float(scores[best] - scores[far].max(initial=0.0))
    if confidence <= 0 or best in (0, len(shifts) - 1):
        return Lag(0.0, 0.0)
    before, peak, after = scores[best - 1 : best + 2]
    vertex = 0.5 * (before - after) / (before - 2 * peak + after)
    return Lag(float(shifts[best] + vertex), confidence)


def _without_drift(curve: Float[np.ndarray, " T"], fps: Fraction) -> Float[np.ndarray, " T"]:
    reach = max(1, round(DRIFT_SECONDS * fps))
    padded = np.pad(curve.astype(np.float64), reach, mode="edge")
    mean = np.convolve(padded, np.ones(2 * reach + 1) / (2 * reach + 1), mode="valid")
    change = curve - mean
    # A constant leaves rounding noise, which must not correlate with anything.
    return np.where(np.abs(change).max(initial=0.0) > 1e-6, change, 0.0)


def _correlation(
    heard: Float[np.ndarray, " T"], seen: Float[np.ndarray, " T"], shift: int
) -> float:
    """Of seen[t] with heard[t + shift], over the norms of both whole curves."""
    count = len(seen) - abs(shift)
    if count < 1:
        return 0.0
    a, b = heard[max(shift, 0) :][:count], seen[max(-shift, 0) :][:count]
    norm = np.linalg.norm(heard) * np.linalg.norm(seen)
    return float(a @ b / norm) if norm > 0 else 0.0
