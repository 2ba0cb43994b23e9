"""How many frames late the sound is, told by a judge that trained nothing else.

`prior.sync.judge` hears phones and sees landmarks; no part of redub is trained by it. Positive
offsets mean late sound: what the lips do at frame t is heard at frame t + offset.
`benchmarks/speech.md` says how sure it is of people it has never seen, by seconds.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from evaluate.metrics.lips import Landmarks
from media.audio import Audio
from prior.sync.evidence import CLOCK
from prior.sync.judge import load_judge


@dataclass(frozen=True)
class Sync:
    """`offset_frames` > 0: the sound is late, by that many of the clip's own frames.

    confidence: the agreement of lips and sound at that offset, a cosine. margin: by how much it
    exceeds the best one more than 0.12 s away. All are NaN where lips or sound do not move.
    """

    offset_frames: float
    confidence: float
    margin: float


def measure_sync(
    landmarks: Landmarks,
    fps: Fraction,
    samples: Float[np.ndarray, " N"],
    rate: int,
    max_shift: int = 15,
) -> Sync:
    """The offset between lips and one channel of sound that starts with the first frame.

    Offsets of up to `max_shift` frames are found, to a fraction of a frame. Frames without a face
    are NaN.
    """
    audio = Audio(samples[None].astype(np.float32), rate)
    found = load_judge().offset(landmarks, fps, audio, round(max_shift / fps * CLOCK))
    return Sync(float(found.seconds * fps), found.confidence, found.margin)
