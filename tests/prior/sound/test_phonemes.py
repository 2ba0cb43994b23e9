"""Forced alignment, held against the times at which a synthesiser spoke each sound."""

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from media.audio import Audio, load_audio
from prior.sound.phonemes import BILABIAL, Phoneme, Transcript, align, parted, recognised, spelled
from scripts.acting.truth import Truth, load_truth

PERFORMER = Path(__file__).parents[3] / "scripts" / "performer"
GRID = Path(__file__).parents[4] / "shared" / "footage" / "grid" / "s1"


@pytest.fixture(scope="module")
def audio() -> Audio:
    return load_audio(PERFORMER / "clip.mp4")


@pytest.fixture(scope="module")
def truth() -> Truth:
    return load_truth(PERFORMER / "truth.safetensors")


@pytest.fixture(scope="module")
def transcript(audio: Audio, truth: Truth) -> Transcript:
    return align(audio, truth.text)


def closures(phonemes) -> list[tuple[str, float]]:
    """Every m, b and p in order, with its middle."""
    return [
        (p.symbol.lower(), (p.start + p.end) / 2)
        for p in phonemes
        if p.symbol and p.symbol.lower() in "mbp"
    ]


def test_closures_lie_where_they_were_spoken(transcript: Transcript, truth: Truth) -> None:
    """Kills another clock (frames of 25 ms, seconds from the first word) and a lost last word;
    measured: 10 ms in the median, 40 ms at worst but for one m that begins like a pause."""
    found, true = closures(transcript.phonemes), closures(truth.phonemes)
    assert [symbol for symbol, _ in found] == [symbol for symbol, _ in true]
    late = np.array([f - t for (_, f), (_, t) in zip(found, true, strict=True)])
    assert np.sort(np.abs(late))[-2] < 0.06
    assert abs(np.median(late)) < 0.02


def test_sounds_tile_the_line_and_say_the_text(
    transcript: Transcript, truth: Truth, audio: Audio
) -> None:
    """Kills gaps, overlaps, and words left out at a pause."""
    phonemes = transcript.phonemes
    assert phonemes[0].start == pytest.approx(0)
    assert phonemes[-1].end == pytest.approx(audio.seconds, abs=0.05)
    for before, after in itertools.pairwise(phonemes):
        assert after.start == pytest.approx(before.end)
    assert transcript.text.split() == spelled(truth.text)
    assert {p.symbol for p in phonemes} > BILABIAL | {""}


def test_times_count_from_picture_zero(audio: Audio, truth: Truth, transcript: Transcript) -> None:
    """Kills times that count from sample 0 when the sound sets in later than the picture."""
    later = align(replace(audio, start=Fraction(3, 2)), truth.text)
    assert later.phonemes[5].start == pytest.approx(transcript.phonemes[5].start + 1.5)


def test_a_name_is_aligned_as_it_is_told(audio: Audio, truth: Truth) -> None:
    """Kills pronunciations that are ignored, and a word that is looked up in another case."""
    text = truth.text.replace("movie", "film").replace("judge", "Zhudzh")
    with pytest.raises(InputError, match="unknown words: zhudzh"):
        align(audio, text)
    told = align(audio, text, {"Zhudzh": "JH AH JH"})
    word = next(word for word in told.words if word.text == "zhudzh")
    assert [p.symbol for p in word.phonemes] == ["JH", "AH", "JH"]


def test_a_text_that_was_not_said_is_refused(audio: Audio) -> None:
    """Kills an alignment that stops half way, and one of nothing."""
    with pytest.raises(InputError, match=r"does not fit the text \(32 words\)"):
        align(audio, "elephants never forget seventeen " * 8)
    with pytest.raises(InputError, match="no words"):
        align(audio, " …! ")


def test_a_stop_that_swallowed_a_pause_gives_it_back() -> None:
    """Kills a p of half a second, whose middle is silence; vowels may be as long as they like."""

    pause, stop = parted(Phoneme("P", 2.1, 2.7))
    assert (pause.symbol, pause.start, stop.symbol, stop.end) == ("", 2.1, "P", 2.7)
    assert pause.end == stop.start == pytest.approx(2.55)
    for whole in (Phoneme("AA", 2.1, 2.7), Phoneme("B", 2.1, 2.2), Phoneme("", 0.0, 3.0)):
        assert parted(whole) == (whole,)


def test_words_are_spelled_as_in_the_dictionary() -> None:
    """Kills lost apostrophes, glued hyphens and typographic quotes."""
    assert spelled("Don’t — oily-rag, 'that'!") == ["don't", "oily", "rag", "that"]


@pytest.mark.footage
@pytest.mark.skipif(not GRID.exists(), reason="the GRID corpus is not here")
def test_words_of_grid_begin_where_its_own_alignment_says() -> None:
    """Kills an offset that a synthesiser's clean speech would hide; measured 20 ms mean."""
    late = []
    for stem in ("bgin1s", "lgwa1a", "pgix8p"):
        lines = [line.split() for line in (GRID / f"{stem}.align").read_text().splitlines()]
        told = [(int(a) / 25000, word) for a, _, word in lines if word not in ("sil", "sp")]
        text = " ".join(word for _, word in told)
        words = [w for w in align(load_audio(GRID / f"{stem}.mp4"), text).words if w.text]
        late += [
            word.phonemes[0].start - start for word, (start, _) in zip(words, told, strict=True)
        ]
    assert abs(np.median(late)) < 0.04
    assert np.abs(late).mean() < 0.06


def test_recognition_hears_words(audio: Audio) -> None:
    """Kills pauses and pronunciation numbers among the words."""
    words = recognised(audio.section(0, 3)).split()
    assert "watch" in words
    assert all(word.replace("'", "").isalpha() for word in words)
