"""Which frames of an actor's clip are learned from, and which are kept to judge by."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from core.errors import InputError

SHORTEST_FRAMES = 25
HELD_OUT_SHARE = 0.12


@dataclass(frozen=True)
class Split:
    """Frame numbers in the clip; no held-out frame has a neighbour among the fitted ones."""

    fit: Int[np.ndarray, "N"]
    held_out: Int[np.ndarray, "M"]


GAP_FRAMES = 2


def split_frames(usable: Int[np.ndarray, "T"], seconds: float) -> Split:
    """The last eighth of the usable frames judges, the rest is learned from.

    Raises InputError below a second of usable footage.
    """
    if len(usable) < SHORTEST_FRAMES:
        raise InputError(
            f"the footage shows the face in {len(usable)} frames ({seconds:.1f} s were given); "
            f"{SHORTEST_FRAMES} are needed, and 4 s of speech are better."
        )
    held = max(6, round(len(usable) * HELD_OUT_SHARE))
    return Split(usable[: -held - GAP_FRAMES], usable[-held:])
