"""How many frames late the sound is, from loudness and lips alone: the judge's plain baseline.

The mouth's signal is opening minus half the width: vowels open the jaw and draw the corners in. The
sound's is the loudness in three speech bands. Both lose their slow drift, and are correlated over
shifts. Positive offsets mean late sound: what the lips do at frame t is heard at frame t + offset.

Speech correlates with lips at 0.2 to 0.5 only, so a short or noisy clip gives an offset by chance.
On 48 GRID utterances of 3 s with a margin above 0.1, 79 % came within one frame of zero; longer
clips do better. GRID's median is −1 frame: loudness runs a little ahead of the opening, or that
corpus's sound does, so −1 and 0 both read as in sync.
"""

from fractions import Fraction

import numpy as np
from jaxtyping import Float
from scipy import ndimage, signal

from evaluate.metrics.lips import Curve, Landmarks, mouth_opening, mouth_width
from evaluate.metrics.sync import Sync

BANDS_HERTZ = ((300.0, 700.0), (700.0, 1500.0), (1500.0, 3500.0))
WIDTH_SHARE = 0.5
DRIFT_SECONDS = 0.7
NEIGHBOUR_FRAMES = 3


def loudness_sync(
    landmarks: Landmarks,
    fps: Fraction,
    samples: Float[np.ndarray, " N"],
    rate: int,
    max_shift: int = 15,
) -> Sync:
    """The offset between lips and one channel of sound that starts with the first frame.

    Its confidence is a correlation, its margin is over shifts more than three frames away. `rate`
    in hertz must exceed twice the highest band's edge, 7 kHz. Frames without a face are NaN.
    """
    scores = shift_correlations(
        lip_signal(landmarks), band_loudness(samples, rate, fps, len(landmarks)), fps, max_shift
    )
    if not np.isfinite(scores).all():
        return Sync(np.nan, np.nan, np.nan)
    best = int(scores.argmax())
    far = np.abs(np.arange(len(scores)) - best) > NEIGHBOUR_FRAMES
    margin = float(scores[best] - scores[far].max()) if far.any() else np.nan
    return Sync(float(best - max_shift), float(scores[best]), margin)


def lip_signal(landmarks: Landmarks) -> Curve:
    return mouth_opening(landmarks) - WIDTH_SHARE * mouth_width(landmarks)


def band_loudness(
    samples: Float[np.ndarray, " N"], rate: int, fps: Fraction, frames: int
) -> Float[np.ndarray, "B T"]:
    """The root of each band's RMS amplitude in each frame, so that vowels do not drown the rest.

    A sample n belongs to frame i iff i / fps ≤ n / rate < (i + 1) / fps. A frame that the sound
    does not fill is NaN.
    """
    assert rate > 2 * BANDS_HERTZ[-1][1], rate
    edges = -(-np.arange(frames + 1) * rate * fps.denominator // fps.numerator)
    filled = int(np.searchsorted(edges, len(samples), side="right")) - 1
    loudness = np.full((len(BANDS_HERTZ), frames), np.nan)
    if filled < 1:
        return loudness
    for row, band in zip(loudness, BANDS_HERTZ, strict=True):
        sections = signal.butter(4, band, "bandpass", fs=rate, output="sos")
        power = signal.sosfiltfilt(sections, samples[: edges[filled]].astype(np.float64)) ** 2
        row[:filled] = (
            np.add.reduceat(power, edges[:filled]) / np.diff(edges[: filled + 1])
        ) ** 0.25
    return loudness


def shift_correlations(
    lips: Curve, loudness: Float[np.ndarray, "B T"], fps: Fraction, max_shift: int
) -> Float[np.ndarray, " S"]:
    """Correlation of the lips at t with the sound at t + s, mean of the bands, for s = −max … max.

    Sums run over the overlap and are divided by the norms of the whole signals, so that a few
    frames at the ends of a short clip cannot outdo the rest by chance.
    """
    lips = without_drift(lips, fps)
    scores = np.zeros(2 * max_shift + 1)
    for band in loudness:
        sound = without_drift(band, fps)
        # scipy's "full" lag k pairs sound[t + k] with lips[t]; lag 0 stands at len(lips) − 1.
        products = signal.correlate(sound, lips, "full", "direct")
        room = max(0, max_shift + 1 - len(lips))
        products = np.pad(products, room)
        middle = len(lips) - 1 + room
        norm = np.linalg.norm(sound) * np.linalg.norm(lips)
        window = products[middle - max_shift : middle + max_shift + 1]
        scores += window / norm if norm > 0 else np.nan
    return scores / len(loudness)


def without_drift(curve: Curve, fps: Fraction) -> Curve:
    """The curve minus its Gaussian-weighted local mean over known frames; 0 where unknown."""
    known = np.isfinite(curve)
    sigma = DRIFT_SECONDS * float(fps)
    total = ndimage.gaussian_filter1d(np.where(known, curve, 0.0), sigma, mode="constant")
    weight = ndimage.gaussian_filter1d(known.astype(np.float64), sigma, mode="constant")
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    change = np.where(known, curve - mean, 0.0)
    # A constant leaves rounding noise, which must not correlate with anything.
    return np.where(np.abs(change).max(initial=0.0) > 1e-9, change, 0.0)
