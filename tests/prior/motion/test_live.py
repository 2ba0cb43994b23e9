"""A live voice: what is due when, and that nothing waits for, or knows, the future."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from face3d.morphable import default_model
from media.audio import Audio
from prior.motion.expression import Ensemble, ExpressionModel, ExpressionNetwork, ExpressionShape
from prior.motion.live import LOOK_AHEAD, NEW, LiveMouth
from prior.motion.manner import plain_manner


@pytest.fixture(scope="module")
def model() -> ExpressionModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ExpressionNetwork(ExpressionShape(width=16)).eval()
        torch.nn.init.normal_(network.mouth.weight, std=0.3)
    return ExpressionModel(Ensemble([network]), plain_manner(default_model()), {})


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    t = np.arange(32000) / 16000
    noise = np.random.default_rng(0).normal(size=len(t)) * (0.55 - 0.45 * np.cos(25 * t))
    return (0.1 * noise).astype(np.float32)


def listened(model: ExpressionModel, voice: np.ndarray, fps: Fraction, packet: int) -> torch.Tensor:
    live = LiveMouth(model, fps)
    return torch.cat([live.listen(voice[i : i + packet]) for i in range(0, len(voice), packet)])


def test_a_chunk_is_due_when_its_look_ahead_was_heard(model: ExpressionModel) -> None:
    """Kills chunks that come late by a packet or early by a frame."""
    live = LiveMouth(model, Fraction(25))
    first = (NEW + LOOK_AHEAD) * 640
    assert len(live.listen(np.zeros(first - 1, np.float32))) == 0
    assert len(live.listen(np.zeros(1, np.float32))) == NEW
    assert len(live.listen(np.zeros(2 * NEW * 640, np.float32))) == 2 * NEW


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
def test_packets_change_nothing(model: ExpressionModel, voice: np.ndarray, fps: Fraction) -> None:
    """Kills sound forgotten between packets, and frames counted by packets."""
    whole = listened(model, voice, fps, len(voice))
    assert len(whole) == (int(2 * fps) - LOOK_AHEAD) // NEW * NEW
    assert torch.allclose(listened(model, voice, fps, 777), whole, atol=1e-5)


def test_nothing_knows_the_future(model: ExpressionModel, voice: np.ndarray) -> None:
    """Kills look-ahead beyond two frames."""
    other = voice.copy()
    other[16000:] = 0
    a, b = (listened(model, v, Fraction(25), 320) for v in (voice, other))
    same = 25 - LOOK_AHEAD
    assert torch.equal(a[: same // NEW * NEW], b[: same // NEW * NEW])
    assert not torch.equal(a, b)


def test_live_is_near_offline_where_both_have_heard_the_same(
    model: ExpressionModel, voice: np.ndarray
) -> None:
    """Kills a clock that is off by a frame: shifted by one, live and offline differ more."""
    live = listened(model, voice, Fraction(25), 640)
    offline = model.mouth(Audio(voice[None], 16000), Fraction(25), len(live))
    far = {
        shift: float((live[10:-5] - offline.roll(shift, 0)[10:-5]).norm(dim=1).mean())
        for shift in (-1, 0, 1)
    }
    assert far[0] < min(far[-1], far[1])
