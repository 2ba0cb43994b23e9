"""Phone scores: on time, one for every frame, and what a hiss and a line's own level do to them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from media.audio import Audio, load_audio
from prior.sound.phones import PHONES, phone_scores
from prior.sound.speech import HOP

LINE = Path(__file__).parents[3] / "scripts/performer/line.flac"
SIBILANTS = [PHONES.index(p) for p in ("S", "Z", "SH", "F", "TH", "CH", "JH", "ZH")]


@pytest.fixture(scope="module")
def line() -> Audio:
    return load_audio(LINE, mono=True).mono16k()


def test_every_mel_frame_has_scores() -> None:
    """Kills dropped ends: the decoder itself makes three frames fewer, and none of nothing."""
    for samples in (0, 1, 159, 160, 4000):
        silence = Audio(np.zeros((1, samples), np.float32), 16000)
        assert phone_scores(silence).shape == (samples // HOP + 1, len(PHONES))


def test_a_burst_of_hiss_is_heard_where_it_is() -> None:
    """Kills a clock that is off by more than a frame, and scores of the wrong sign or order."""
    random = np.random.default_rng(0)
    moments = np.arange(32000) / 16000
    hum = sum(np.sin(2 * np.pi * 120 * k * moments) / k for k in range(1, 20))
    samples = (0.02 * hum + 1e-4 * random.normal(size=(1, 32000))).astype(np.float32)
    samples[:, 16000:20000] += np.diff(random.normal(0, 0.1, (1, 4001))).astype(np.float32)
    hissing = torch.isin(
        phone_scores(Audio(samples, 16000)).argmax(1), torch.tensor(SIBILANTS)
    ).numpy()
    assert hissing[101:125].all()
    assert not hissing[:96].any()  # a delta looks three frames ahead
    assert not hissing[128:].any()


def test_loudness_changes_nothing(line: Audio) -> None:
    """Kills scores of raw power: the mean cepstrum carries the gain, and is taken out."""
    quiet = Audio(0.1 * line.samples, line.rate)
    loud, soft = (phone_scores(a).log_softmax(1) for a in (line, quiet))
    agreement = (loud.argmax(1) == soft.argmax(1)).float().mean()
    assert agreement > 0.85  # measured 0.94; 16 bits of a soft line are fewer


def test_blocks_join_on_the_clock(line: Audio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills margins that are heard but not cut off, and a last block that is lost."""
    whole = phone_scores(line)
    monkeypatch.setattr("prior.sound.phones.BLOCK", 100)
    blocks = phone_scores(line)
    assert blocks.shape == whole.shape
    agreement = (blocks.argmax(1) == whole.argmax(1)).float().mean()
    shifted = (blocks[3:].argmax(1) == whole[:-3].argmax(1)).float().mean()
    assert agreement > 0.7
    assert agreement > shifted + 0.15
