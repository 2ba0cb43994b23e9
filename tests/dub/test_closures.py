"""Lips meet on m, b and p: when, how surely, and on nothing else."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import InputError
from dub.closures import (
    FLANK_SECONDS,
    PRESSED_MILLIMETRES,
    TEETH_MILLIMETRES,
    Contact,
    brought_together,
    heard_contacts,
    held,
    meetings,
    told_contacts,
)
from dub.direction import names_a_file, sounds_of
from face3d.lips import closed_opening, mouth_opening
from face3d.morphable import default_model
from media.audio import Audio, silence
from media.clip import Clip
from prior.motion.expression import load_driver
from prior.sound.phonemes import Phoneme
from scripts.acting.truth import load_truth


def test_lips_meet_during_m_and_before_b_and_p_burst() -> None:
    """Kills contacts that outlast a stop's closure, sounds of other places, and IPA left unread."""
    told = told_contacts(
        [Phoneme("M", 0.0, 0.2), Phoneme("pʰ", 1.0, 1.1), Phoneme("F", 2, 3), Phoneme("", 3, 4)]
    )
    assert [c.start for c in told] == [0.0, 1.0, 2.0]
    assert [c.gap for c in told] == [PRESSED_MILLIMETRES] * 2 + [TEETH_MILLIMETRES]
    assert told[0].end == pytest.approx(0.2)
    assert told[1].end == pytest.approx(1.06)


def test_frames_are_shut_in_contacts_and_pass_over_beside_them() -> None:
    """Kills frames taken at their beginnings, flanks that add up, and contacts that fall between
    two frames, even just half way, and show in none."""
    share = held([Contact(0.10, 0.18)], 25, 10)  # middles at 0.02, 0.06, 0.10, 0.14, 0.18
    expected = 1 - np.array([0.08, 0.04, 0, 0, 0, 0.04, 0.08, 0.12]) / FLANK_SECONDS
    np.testing.assert_allclose(share[:8], expected.clip(0), atol=1e-6)
    between = held([Contact(0.115, 0.12)], 25, 6)
    assert between[2] == 1
    assert between[3] < 1
    halfway = held([Contact(2.44, 2.44)], 25, 75)  # 0.02 s from 2.42 and 2.46, but for rounding
    assert halfway[60] == 1
    close = held([Contact(0.10, 0.10), Contact(0.22, 0.22)], 100, 40)
    assert close[12] == pytest.approx(1 - 0.025 / 0.04)
    assert not close[14:17].any()
    assert not held([Contact(5.0, 5.1)], 25, 6).any()


def test_contacts_take_the_gap_and_nothing_else_away() -> None:
    """Kills a mouth that is pulled to rest as a whole, pressed lips that are opened, and an f
    beside an m that opens it."""
    model, manner = default_model(), load_driver().manner
    mouth = 0.2 * torch.randn(4, 20, generator=torch.Generator().manual_seed(0))
    mouth[:3] += 5 * manner.direction
    mouth[3] = -3 * manner.direction
    contacts = [Contact(0.0, 0.04), Contact(3.0, 4.0), Contact(1.5, 1.5, TEETH_MILLIMETRES)]
    made = brought_together(mouth, [*contacts, Contact(0, 0.04, TEETH_MILLIMETRES)], 1, manner)
    before, after = (mouth_opening(model, m) - closed_opening(model) for m in (mouth, made))
    assert float(after[0]) == pytest.approx(PRESSED_MILLIMETRES, abs=1e-3)
    assert float(after[1]) == pytest.approx(TEETH_MILLIMETRES, abs=1e-3)
    torch.testing.assert_close(after[2:], before[2:], rtol=0, atol=1e-4)
    moved = made[0] - mouth[0]
    torch.testing.assert_close(
        moved / moved.norm(), -manner.direction / manner.direction.norm(), rtol=0, atol=1e-4
    )


def test_nothing_is_heard_in_silence() -> None:
    """Kills closed mouths of pauses taken for sounds."""
    assert heard_contacts(silence(1.0, 16000)) == ()


def test_what_is_heard_is_believed_near_shut_lips_or_when_it_is_sure() -> None:
    """Kills lips shut from afar by a guess, a certainty that lips far apart overrule, contacts that
    hold through a vowel between two stops, and a belief of each moment by itself: lips need to be
    near in one of them."""
    chance = np.zeros(40)
    chance[2:5] = [0.15, 0.6, 0.5]  # too little, a peak, more than half of it
    chance[10:13] = 0.6  # the same from afar
    chance[20:23] = [0.4, 0.95, 0.5]  # sure, from afar
    chance[30:35] = [0.9, 0.8, 0.3, 0.8, 0.9]  # two stops, and hardly a vowel between them
    opening = np.full(40, 8.0)
    opening[4] = 2.0
    assert meetings(chance, opening) == [(3, 4), (21, 22), (30, 31), (33, 34)]
    assert meetings(np.zeros(0), np.zeros(0)) == []


def test_a_shift_of_the_sound_shifts_what_is_heard(performer_clip: Clip) -> None:
    """Kills contacts on the sound's clock instead of the picture's."""
    from media.audio import load_audio

    sound = load_audio(performer_clip.path, mono=True).mono16k().section(0, 3)
    later = Audio(sound.samples, sound.rate, sound.start + Fraction(1, 2))
    here, there = heard_contacts(sound), heard_contacts(later)
    assert here
    assert [c.start + 0.5 for c in here] == pytest.approx([c.start for c in there])


def test_most_closures_are_heard_and_few_that_are_none(performer_clip: Clip) -> None:
    """Kills lips that meet wherever the sound pauses, and none but surest contacts (12 of 16 and 4
    that are none were measured)."""
    from media.audio import load_audio

    sounds = load_truth(performer_clip.path.with_name("truth.safetensors")).phonemes
    made = [s for s in sounds if s.symbol[:1] in tuple("mbp")]
    found = heard_contacts(load_audio(performer_clip.path, mono=True))

    together = [[c.start < s.end + 0.04 and s.start < c.end + 0.04 for s in made] for c in found]
    assert sum(map(any, zip(*together, strict=True))) >= 0.65 * len(made)
    assert sum(not any(row) for row in together) <= 0.35 * len(found)


def test_a_long_line_is_no_file_name(tmp_path: Path) -> None:
    """Kills a look for a file whose name no system takes, and a word taken for a file."""
    assert not names_a_file("Pack my box. " * 40 + "Then go")
    (tmp_path / "hello").touch()
    assert not names_a_file(str(tmp_path / "hello"))


def test_a_list_of_sounds_is_read_and_a_wrong_one_named(tmp_path: Path) -> None:
    """Kills columns in another order, a bad line passed over, and IPA read in the system's code."""
    path = tmp_path / "line.txt"
    path.write_text("# espeak\n0.10s 0.25s m\n0.25 0.30 a\n")
    quiet = silence(1.0, 16000)
    assert sounds_of(str(path), quiet) == (Phoneme("m", 0.1, 0.25), Phoneme("a", 0.25, 0.3))
    path.write_text("0.10s 0.25s ŋ\n", encoding="utf-8-sig")  # as Windows' editor saves it
    assert sounds_of(str(path), quiet) == (Phoneme("ŋ", 0.1, 0.25),)
    path.write_text("m 0.10 0.25\n")
    with pytest.raises(InputError, match="line 1"):
        sounds_of(str(path), quiet)
