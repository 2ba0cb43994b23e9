"""What the benchmark of rendered dubs counts, on gaps and lines made by hand."""

from fractions import Fraction

import numpy as np
import pytest

from benchmarks.speaking.rendered_section import Tally, in_sound, pooled, row
from benchmarks.speaking.spoken_lines import (
    OPEN,
    SHUT,
    TEETH,
    Sound,
    SpokenLine,
    aligned,
    kind_of_ipa,
    within,
)
from evaluate.metrics.sync import Sync
from media.audio import silence
from prior.sound.phonemes import Phoneme


def test_a_gap_is_the_least_of_its_sound_and_of_nothing_else() -> None:
    """Kills windows that begin a frame late, frames without a face that count as shut, and vowels
    judged by their lowest frame."""
    gap = np.full(25, 9.0)
    gap[[4, 9]] = 0.1, np.nan
    assert in_sound(gap, Sound(SHUT, "b", 0.20, 0.24), 25) == 0.1
    assert in_sound(gap, Sound(SHUT, "b", 0.24, 0.30), 25) == 9.0
    assert np.isnan(in_sound(gap, Sound(SHUT, "b", 0.40, 0.39), 25))
    assert in_sound(gap, Sound(OPEN, "a", 0.10, 0.30), 25) == 9.0


def test_sounds_are_sorted_by_what_the_lips_must_do() -> None:
    """Kills Spanish approximants counted as closures, and pauses counted at all."""
    assert [kind_of_ipa(s) for s in ("m", "pʰ", "v", "aɪ", "β", "s", "")] == [
        SHUT, SHUT, TEETH, OPEN, None, None, None,
    ]  # fmt: skip
    later = aligned([Phoneme("B", 0.1, 0.2), Phoneme("", 0.2, 0.3), Phoneme("AA", 0.3, 0.4)], 2.0)
    assert [(s.kind, s.symbol) for s in later] == [(SHUT, "B"), (OPEN, "AA")]
    assert [s.start for s in later] == pytest.approx([2.1, 2.3])


def test_a_plate_shows_no_more_of_a_line_than_it_lasts() -> None:
    """Kills sounds after the last frame, which no mouth could show."""
    sounds = (Sound(SHUT, "m", 0.5, 0.9), Sound(SHUT, "b", 0.9, 1.1))
    short = within(SpokenLine("line", silence(3.0, 16000), sounds), 1.0)
    assert short.sounds == sounds[:1]
    assert short.audio.samples.shape[1] == 16000
    assert short.audio.start == Fraction(0)


def test_a_row_counts_lines_and_sounds() -> None:
    """Kills offsets without their sign's magnitude, pools that count a line twice, and vowels shut
    by ear that are counted as seen."""
    one, other = Tally(), Tally()
    one.offsets += [Sync(-0.9, 0.5, 0.2), Sync(1.1, 0.5, 0.2)]
    other.offsets += [Sync(0.0, 0.5, 0.2), Sync(-1.0, 0.5, 0.2)]
    one.seen[SHUT] += [0.5, 3.0]
    one.by_ear[SHUT] += [0.5, 0.5]
    other.seen[OPEN] += [8.0]
    other.by_ear[OPEN] += [0.2, 5.0]
    shown = row("all", pooled([one, other]))
    assert shown[:6] == ["all", "4", "75.0", "2", "50.0", "2.88"]
    assert shown[7] == "100.0"
    assert shown[-2:] == ["0.0", "50.0"]
