"""Closures heard: when they are made, how far around a chance looks, blocks, files."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from media.audio import load_audio
from prior.sound.contact_ear import (
    REACH,
    ContactEar,
    ContactNetwork,
    ContactShape,
    load_contact_ear,
)
from prior.sound.hearing import WIDTH, Hearing, hear
from scripts.acting.truth import load_truth

PERFORMER = Path(__file__).parents[3] / "scripts/performer"


@pytest.fixture
def untrained() -> ContactEar:
    torch.manual_seed(0)
    return ContactEar(ContactNetwork(ContactShape(width=4)).half().float().eval(), {"seed": 3})


def random_hearing(frames: int) -> Hearing:
    values = torch.randn(frames, WIDTH, generator=torch.Generator().manual_seed(1))
    return Hearing(values, Fraction(0))


def test_a_chance_depends_on_the_tenth_of_a_second_around_it(untrained: ContactEar) -> None:
    """Kills chances that stand beside their frames, and a sound's end that is not silence."""
    before = random_hearing(60)
    changed = before.values.clone()
    changed[30] += 3
    differs = untrained.chances(before) != untrained.chances(Hearing(changed, Fraction(0)))
    assert differs.nonzero()[[0, -1], 0].tolist() == [30 - REACH, 30 + REACH]


def test_long_lines_are_heard_in_blocks(untrained: ContactEar, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Kills blocks that forget what is around them, and no sound at all."""
    heard = random_hearing(200)
    whole = untrained.chances(heard)
    assert whole.shape == (200,)
    monkeypatch.setattr("prior.sound.contact_ear.BLOCK", 70)
    torch.testing.assert_close(untrained.chances(heard), whole, rtol=0, atol=1e-6)
    assert untrained.chances(random_hearing(0)).shape == (0,)


def test_closures_of_a_voice_never_heard_are_found() -> None:
    """Kills chances shifted in time, of other sounds, and an ear for one corpus only."""
    chances = load_contact_ear().chances(hear(load_audio(PERFORMER / "clip.mp4")))
    sounds = load_truth(PERFORMER / "truth.safetensors").phonemes

    def mean(letters: str, shift: int) -> float:
        parts = [
            chances[round(100 * p.start) + shift : max(round(100 * p.end), 1) + shift]
            for p in sounds
            if p.symbol and p.symbol[0] in letters
        ]
        return float(torch.cat(parts).mean())

    assert mean("mbp", 0) > 0.5
    assert mean("mbp", 0) > 2.5 * max(mean("mbp", -10), mean("mbp", 10))
    assert mean("aeiɑæɛɔoʌ", 0) < 0.15


def test_weights_come_back_as_they_were_saved(untrained: ContactEar, tmp_path: Path) -> None:
    """Kills a size or a number that the file forgets."""
    untrained.save(tmp_path / "ear.safetensors")
    kept = ContactEar.load(tmp_path / "ear.safetensors")
    assert torch.equal(kept.chances(random_hearing(40)), untrained.chances(random_hearing(40)))
    assert kept.about == {"seed": 3}
