"""Whose throat a sound comes from: how much higher its formants lie than the average speaker's.

A short vocal tract shifts all of its formants up alike, and a child's "a" becomes a man's "e". The
shift is the one under which the acoustic model finds the line likeliest (Lee and Rose 1996), and
what is heard is heard with its frequencies shifted back.
"""

import numpy as np
from jaxtyping import Bool, Float

from prior.sound.acoustics import cepstra_of, load_acoustics, windows

THROATS = tuple(round(0.84 + 0.03 * n, 2) for n in range(14))
"""The shifts that are tried."""
ENOUGH_FRAMES = 120
"""Spoken frames that a throat is told by, spread over the line."""
FEW_FRAMES = 50
"""With fewer, the average throat is meant."""
AVERAGE = 1.0
DOUBTS = (0.94, 1.06)
"""By what factors a told throat may well be wrong: halves of a clip agree to 0.05. Strangers whom
no network was taught by are followed with 0.696 in both, 0.694 in both and as told, 0.687 as told;
under babble with 0.623, 0.618 and 0.605. By 0.9 and 1.1: 0.696 and 0.623, but s1 less."""


def throat_of(samples: Float[np.ndarray, " N"], spoken: Bool[np.ndarray, " K"]) -> float:
    """One of `THROATS`, told by the `spoken` frames of sound at 16 kHz; `AVERAGE` for too few."""
    places = np.flatnonzero(spoken)
    if len(places) < FEW_FRAMES:
        return AVERAGE
    places = places[:: -(-len(places) // ENOUGH_FRAMES)]
    frames, acoustics = windows(samples)[places], load_acoustics()

    def plausible(throat: float) -> float:
        values = cepstra_of(frames, throat)
        return acoustics.plausibility(values - values.mean(0))

    return max(THROATS, key=plausible)
