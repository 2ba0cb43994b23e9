"""Where lips meet: on m, b and p, whatever manner, strength or smile says otherwise.

A shut mouth at the wrong moment is forgiven sooner than an open one during an m. Moments of contact
are told, where somebody knows the words (`told_contacts`), or listened for (`heard_contacts`). In
them the lips are brought together, just before the sound for b and p, during it for m.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import label, maximum_filter1d
from torch import Tensor

from face3d.lips import mouth_opening
from face3d.morphable import default_model
from media.audio import Audio
from prior.expression import CLOCK, STRIDE, load_driver
from prior.hearing import STATES_AT, hear
from prior.manner import Manner
from prior.phonemes import BILABIAL, STOPS, Phoneme
from prior.phones import PHONES, STATES

LEAST_POSTERIOR = 0.05
NEAR_MILLIMETRES = 2.5
"""Lips meet where m, b or p is this likely and the average speaker's lips are so near. Of s1's
aligned ones 93 % are found, and 9 % of other sounds are taken for one."""
AROUND_FRAMES = 7
"""Heard frames, 70 ms, within which the posterior is looked for: it peaks beside the closure."""
LOWEST_MILLIMETRES = 0.5
"""Of what was found, the moments count that are so near to its lowest."""
SHUT_SHARE = 0.6
"""Of a stop, before it bursts."""
PRESSED_MILLIMETRES = 0.5
"""How far lips in contact are pressed together: a rendered gap ends where the mesh's does not."""
FLANK_SECONDS = 0.07
"""In which lips come together and part again."""


@dataclass(frozen=True)
class Contact:
    """Lips meet over [start, end] seconds after the first frame."""

    start: float
    end: float


def told_contacts(sounds: Sequence[Phoneme]) -> tuple[Contact, ...]:
    """Of a line's sounds, by ARPABET or IPA: m throughout, b and p till they burst."""
    return tuple(
        Contact(s.start, s.start + (SHUT_SHARE if first in STOPS else 1) * s.length)
        for s in sounds
        if (first := s.symbol[:1].upper()) in BILABIAL  # no other sound's name begins so
    )


def heard_contacts(speech: Audio) -> tuple[Contact, ...]:
    """Where the phones heard and the average speaker's mouth agree that lips meet."""
    features, average = hear(speech), load_driver()
    count = len(features) // STRIDE
    if count == 0:
        return ()
    with torch.no_grad():
        mouth = average.manner(torch.cat(list(average.on_clock(features, 0, count))))
    opening = mouth_opening(default_model(), mouth).numpy()
    states = features.values[:, STATES_AT].exp().reshape(len(features), len(PHONES), STATES)
    labial = [PHONES.index(symbol) for symbol in sorted(BILABIAL)]
    likely = maximum_filter1d(states[:, labial].sum((1, 2)).numpy(), AROUND_FRAMES)[::STRIDE]
    found, runs = label((likely[:count] > LEAST_POSTERIOR) & (opening < NEAR_MILLIMETRES))  # pyright: ignore
    contacts = []
    for run in range(1, runs + 1):
        moments = np.flatnonzero(found == run)
        low = moments[opening[moments] <= opening[moments].min() + LOWEST_MILLIMETRES]
        start, end = (float(speech.start) + moment / CLOCK for moment in (low[0], low[-1]))
        contacts.append(Contact(start, end))
    return tuple(contacts)


def meeting(contacts: Sequence[Contact], fps: float, count: int) -> Float[np.ndarray, " T"]:
    """How far lips are brought together in each frame: 1 in a contact, with flanks beside it.

    A contact between the middles of two frames is shown by the nearer one, the earlier if in doubt.
    """
    middles = (np.arange(count) + 0.5) / fps
    share = np.zeros(count)
    for contact in contacts:
        away = np.maximum(contact.start - middles, middles - contact.end).clip(0)
        if count and away.min() <= 0.5 / fps:
            away[away.argmin()] = 0
        share = np.maximum(share, 1 - away / FLANK_SECONDS)
    return share.clip(0, 1)


def shut(
    mouth: Float[Tensor, "T M"], share: Float[np.ndarray, " T"], manner: Manner
) -> Float[Tensor, "T M"]:
    """The mouths with their lips brought together, as this speaker's lips close; never opened."""
    opening = manner.closed + mouth @ manner.weights
    excess = (opening - manner.closed + PRESSED_MILLIMETRES).clamp_min(0)
    return mouth - (torch.from_numpy(share).float() * excess)[:, None] * manner.direction
