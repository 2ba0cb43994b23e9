"""When lips are known to meet, and that an ear for it is learned."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import InputError
from prior.sound.acoustics import SILENCE
from prior.sound.contact_ear import REACH, ContactNetwork, ContactShape
from prior.sound.hearing import Hearing, heard_silence
from prior.sound.phonemes import Phoneme
from prior.training.fitting import Fitting, fit
from prior.training.train_contact_ear import (
    OUTPUTS,
    ContactLoss,
    Lesson,
    seen,
    set_scales,
    told,
    written,
)


def test_lips_meet_for_an_m_and_before_a_stop_bursts() -> None:
    """Kills contacts through the burst, of other sounds, and takes on the recording's clock."""
    sounds = [Phoneme("M", 0.1, 0.2), Phoneme("p", 0.5, 0.6), Phoneme("F", 0.8, 0.9)]
    assert np.flatnonzero(told(sounds, 100)).tolist() == [*range(9, 21), *range(49, 57)]
    twice = np.flatnonzero(told([Phoneme("b", 0.4, 0.6)], 40, speed=2.0))
    assert (twice[0], twice[-1]) == (20, 25)


def test_shut_lips_count_within_speech_only() -> None:
    """Kills a pause whose rest is taken for a contact, and open lips nobody learns from."""
    values = heard_silence().repeat(200, 1)
    values[50:100, 3 * SILENCE : 3 * SILENCE + 3] = -7.0
    opening = np.where(np.arange(200) % 4 == 0, 5.0, 0.0)
    tracked = np.arange(200) != 64
    lesson = seen(Hearing(values, Fraction(0)), opening, tracked)
    assert np.flatnonzero(lesson.known & lesson.meets)[[0, -1]].tolist() == [30, 119]
    assert lesson.known[::4][tracked[::4]].all()
    assert not lesson.known[64]


def test_written_phones_are_read_and_a_wrong_line_named(tmp_path: Path) -> None:
    """Kills columns in another order, and a bad file passed over."""
    path = tmp_path / "line.txt"
    path.write_text("0.10 0.25 m\n0.25 0.30 a\n")
    assert written(path) == [Phoneme("m", 0.1, 0.25), Phoneme("a", 0.25, 0.3)]
    path.write_text("m 0.10 0.25\n")
    with pytest.raises(InputError, match="does not list phones"):
        written(path)


def test_an_ear_is_learned_where_the_truth_is_known(tmp_path: Path) -> None:
    """Kills labels beside their frames, a loss upside down, and what is unknown learned from."""
    random = torch.Generator().manual_seed(0)
    lessons = []
    for kind in ("told", "seen"):
        values = torch.randn(400, 208, generator=random)
        meets = np.zeros(400, bool)
        meets[20:380:40] = meets[21:380:40] = True
        values[torch.from_numpy(meets), :12] += 3
        known = np.ones(400, bool) if kind == "told" else ~meets
        lessons.append(Lesson(Hearing(values, Fraction(0)), meets & known, known, kind))
    torch.manual_seed(0)
    network = ContactNetwork(ContactShape(width=12))
    set_scales(network, lessons)
    loss = ContactLoss(network, lessons, 4)
    assert loss.window(np.random.default_rng(0))[0].shape == (OUTPUTS + 2 * REACH, 208)
    steps = fit("ear", network, loss, Fitting(steps=60, rate=1e-2, warm_up=5), tmp_path / "c", {})
    surprise = [step.terms["contact"] for step in steps]
    assert surprise[-1] < 0.25 * surprise[0]
    heard = lessons[0].heard.section(-REACH, 400 + REACH)
    with torch.no_grad():
        chance = network(heard[None])[0].sigmoid().numpy()
    assert chance[lessons[0].meets].min() > chance[~lessons[0].meets].max()
