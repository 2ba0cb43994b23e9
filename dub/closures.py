"""Where lips meet on m, b and p, or a lip the teeth on f and v, whatever else moves the mouth.

A shut mouth at the wrong moment is forgiven sooner than an open one during an m. Moments of contact
are told, where somebody knows the words (`told_contacts`), or listened for (`heard_contacts`: lips
only). In them the mouth is brought to a gap: just before the sound for b and p, during it for
others. Manner, strength and smile have no say in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import label
from torch import Tensor

from face3d.lips import mouth_opening
from face3d.morphable import default_model
from media.audio import Audio
from prior.motion.expression import CLOCK, STRIDE, load_driver
from prior.motion.manner import Manner
from prior.sound.contact_ear import load_contact_ear
from prior.sound.hearing import Hearings, hear_in_doubt
from prior.sound.phonemes import BILABIAL, LABIODENTAL, SHUT_SHARE, STOPS, Phoneme

LEAST_CHANCE = 0.2
NEAR_MILLIMETRES = 2.5
"""Lips may meet where the chance of it is so large and the average speaker's lips come so near."""
DOUBTED_CHANCE, SURE_CHANCE, FAR_MILLIMETRES = 0.7, 0.9, 12.0
"""From such a peak on they may be farther apart, and so far from the surer one on. In recordings
what is heard so far from shut lips is nearly always wrong (and rare), in computed voices right."""
PEAK_SHARE = 0.5
"""Of what is heard, the moments count whose chance is this share of its largest."""
PRESSED_MILLIMETRES = -0.5
"""Gap of lips that meet: pressed, because a rendered gap ends where the mesh's does not."""
TEETH_MILLIMETRES = 1.0
"""Widest gap of lips while the lower one touches the upper teeth, as GRID's s1 shows it."""
FLANK_SECONDS = 0.05
"""In which lips come together and part again; 0.07 shut one short vowel in four between stops."""
ROUNDING_SECONDS = 1e-6
"""A contact just between two middles lies no farther than half a frame from both."""
GAP_SHARE, LEAST_FLANK_SECONDS = 1 / 3, 1e-3
"""A flank takes at most this share of the way to the next contact: a vowel between two keeps its
middle open."""


@dataclass(frozen=True)
class Contact:
    """The mouth is no wider than `gap` over [start, end] seconds after the first frame; gaps are
    counted in millimetres from the closed mouth's."""

    start: float
    end: float
    gap: float = PRESSED_MILLIMETRES


def told_contacts(sounds: Sequence[Phoneme]) -> tuple[Contact, ...]:
    """Of a line's sounds, by ARPABET or IPA: m, f and v throughout, b and p till they burst."""
    contacts = []
    for sound in sounds:
        first = sound.symbol[:1].upper()  # no other sound's name begins like one of these
        end = sound.start + (SHUT_SHARE if first in STOPS else 1) * sound.length
        if first in BILABIAL:
            contacts.append(Contact(sound.start, end))
        elif first in LABIODENTAL:
            contacts.append(Contact(sound.start, end, TEETH_MILLIMETRES))
    return tuple(contacts)


def heard_contacts(speech: Audio | Hearings) -> tuple[Contact, ...]:
    """Where what is heard and the average speaker's mouth agree that lips meet."""
    hearings, average, ear = hear_in_doubt(speech), load_driver(), load_contact_ear()
    count = len(hearings) // STRIDE
    if count == 0:
        return ()
    with torch.no_grad():
        mouth = average.manner(average.expected(average.understood_in(hearings, 0, count)))
    opening = mouth_opening(default_model(), mouth).numpy()
    chances = torch.stack([ear.chances(heard) for heard in hearings.each])
    chance = chances.mean(0)[::STRIDE][:count].numpy()
    return tuple(
        Contact(float(speech.start) + first / CLOCK, float(speech.start) + last / CLOCK)
        for first, last in meetings(chance, opening)
    )


def meetings(
    chance: Float[np.ndarray, " N"], opening: Float[np.ndarray, " N"]
) -> list[tuple[int, int]]:
    """First and last moments of what is heard to be shut, and believed."""
    heard, count = label(chance > LEAST_CHANCE)  # pyright: ignore
    believed = np.zeros(len(chance), bool)
    for number in range(1, count + 1):
        here = heard == number
        peak = chance[here].max()
        sure = np.clip((peak - DOUBTED_CHANCE) / (SURE_CHANCE - DOUBTED_CHANCE), 0, 1)
        if opening[here].min() < NEAR_MILLIMETRES + sure * (FAR_MILLIMETRES - NEAR_MILLIMETRES):
            believed |= here & (chance >= PEAK_SHARE * peak)
    runs, count = label(believed)  # pyright: ignore
    moments = (np.flatnonzero(runs == number) for number in range(1, count + 1))
    return [(int(run[0]), int(run[-1])) for run in moments]


def brought_together(
    mouth: Float[Tensor, "T M"], contacts: Sequence[Contact], fps: float, manner: Manner
) -> Float[Tensor, "T M"]:
    """The mouths with each contact kept, as this speaker's lips close; never opened."""
    for gap in sorted({contact.gap for contact in contacts}, reverse=True):
        share = held([c for c in contacts if c.gap == gap], fps, len(mouth))
        excess = (mouth @ manner.weights - gap).clamp_min(0)
        mouth = mouth - (torch.from_numpy(share).float() * excess)[:, None] * manner.direction
    return mouth


def held(contacts: Sequence[Contact], fps: float, count: int) -> Float[np.ndarray, " T"]:
    """How far contacts hold in each frame: wholly in them, with flanks beside them.

    A contact between the middles of two frames is shown by the nearer one, the earlier if in doubt.
    """
    middles = (np.arange(count) + 0.5) / fps
    share = np.zeros(count)
    ordered = sorted(contacts, key=lambda contact: contact.start)
    ends = (-np.inf, *(contact.end for contact in ordered))
    starts = (*(contact.start for contact in ordered[1:]), np.inf)
    for contact, last, following in zip(ordered, ends, starts, strict=False):
        before, after = contact.start - middles, middles - contact.end
        away = np.maximum(before, after).clip(0)
        reach = np.maximum(
            before / flank(contact.start - last), after / flank(following - contact.end)
        )
        if count and away.min() <= 0.5 / fps + ROUNDING_SECONDS:
            reach[away.argmin()] = 0
        share = np.maximum(share, 1 - reach.clip(0))
    return share.clip(0, 1)


def flank(gap_seconds: float) -> float:
    """Seconds in which lips come together or part beside a gap between two contacts."""
    return min(FLANK_SECONDS, max(gap_seconds * GAP_SHARE, LEAST_FLANK_SECONDS))
