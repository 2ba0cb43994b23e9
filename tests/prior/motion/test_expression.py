"""The speech model: its clock, its blocks, its curve, its file."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from core.camera import Camera
from core.errors import InputError
from face3d.lips import closed_opening, mouth_opening, mouth_point_basis, opening_weights
from face3d.morphable import default_model
from face3d.topology import INNER_PAIRS
from face3d.track import Crop, Identity, Motion, Track
from media.audio import Audio, silence
from prior.motion import expression
from prior.motion.expression import (
    APART_MILLIMETRES,
    CONTEXT,
    Ensemble,
    ExpressionModel,
    ExpressionNetwork,
    ExpressionShape,
    closure_error,
    load_driver,
    point_error,
    read_at,
    velocity_error,
)
from prior.motion.habit import Habit
from prior.motion.manner import plain_manner
from prior.sound.hearing import WIDTH, Hearings, hear_in_doubt

SMALL = ExpressionShape(width=16)


def untrained() -> ExpressionModel:
    """Random weights that answer to what they hear."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        members = [ExpressionNetwork(SMALL).eval() for _ in range(2)]
        for member in members:
            torch.nn.init.normal_(member.mouth.weight, std=0.3)
    return ExpressionModel(Ensemble(members), plain_manner(default_model()), {})


def babble(seconds: float, rate: int = 16000) -> Audio:
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).normal(size=len(t)) * (0.55 - 0.45 * np.cos(25 * t))
    return Audio((0.1 * noise)[None].astype(np.float32), rate)


def test_an_output_sees_its_context_and_nothing_else() -> None:
    """Kills padding, and a CONTEXT that does not match the kernels."""
    network = untrained().network.members[0]
    heard = torch.randn(1, 2 * CONTEXT + 1, WIDTH, requires_grad=True)
    out = network(heard, torch.zeros(1, SMALL.style))
    assert out.shape == (1, 1, 20)
    out.sum().backward()
    assert heard.grad is not None
    seen = heard.grad[0].abs().sum(1) > 0
    assert bool(seen[0])
    assert bool(seen[-1])
    assert bool(seen[CONTEXT])


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001), Fraction(50)])
def test_a_line_in_blocks_or_in_parts_is_the_line_at_once(
    fps: Fraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills overlaps glued wrong, and a clock that starts anew with every request."""
    model, audio = untrained(), babble(4.0)
    whole = model.mouth(audio, fps, 80)
    assert torch.equal(whole, untrained().mouth(audio, fps, 80))
    part = model.mouth(audio, fps, 30, 25 / fps)
    torch.testing.assert_close(part, whole[25:55], rtol=0, atol=1e-5)
    monkeypatch.setattr(expression, "BLOCK", 7)
    torch.testing.assert_close(model.mouth(audio, fps, 80), whole, rtol=0, atol=1e-5)


def test_a_line_is_understood_on_average_over_its_doubts() -> None:
    """Kills a model that trusts one throat, or weighs the doubts unequally."""
    model, fps = untrained(), Fraction(25)
    both = hear_in_doubt(babble(2.0))
    each = [model.heard(Hearings((heard,), both.line), fps, 40) for heard in both.each]
    assert float((each[0] - each[1]).abs().max()) > 1e-3
    mean = torch.stack(each).mean(0)
    torch.testing.assert_close(model.heard(both, fps, 40), mean, rtol=0, atol=1e-5)


def test_a_click_moves_the_frame_in_whose_middle_it_sounds() -> None:
    """Kills frame starts, int(fps) and a sound whose start is forgotten."""
    model = untrained()
    for fps in (Fraction(25), Fraction(30000, 1001)):
        frame = 60
        when = (frame + 0.5) / float(fps)
        for start in (Fraction(0), Fraction(1, 4)):
            samples = np.zeros(16000 * 5, np.float32)
            samples[round((when - float(start)) * 16000)] = 1.0
            moved = model.mouth(Audio(samples[None], 16000, start), fps, 120)
            rest = model.mouth(silence(5.0, 16000), fps, 120)
            weight = (moved - rest).norm(dim=-1)
            reach = CONTEXT / 100 * float(fps) + 2
            touched = torch.nonzero(weight > 1e-5)[:, 0].float()
            assert touched.min() > frame - reach
            assert touched.max() < frame + reach
            middle = float((touched.min() + touched.max()) / 2)
            assert middle == pytest.approx(frame, abs=0.75)


def test_past_the_sound_the_mouth_rests() -> None:
    model, audio = untrained(), babble(1.0)
    mouth = model.mouth(audio, Fraction(25), 100)
    rest = model.mouth(silence(1.0, 16000), Fraction(25), 1)[0]
    torch.testing.assert_close(mouth[40:], rest.expand(60, -1), rtol=0, atol=1e-5)
    assert len(model.mouth(audio, Fraction(25), 0)) == 0
    early = model.mouth(audio, Fraction(25), 3, Fraction(-10))
    torch.testing.assert_close(early, rest.expand(3, -1), rtol=0, atol=1e-5)


def test_reading_between_rows() -> None:
    rows = torch.tensor([[0.0], [1.0], [4.0]])
    at = torch.tensor([0.0, 0.25, 1.5], dtype=torch.float64)
    torch.testing.assert_close(read_at(rows, at), torch.tensor([[0.0], [0.25], [2.5]]))


def test_a_manner_learned_from_a_track_meets_that_track() -> None:
    """Kills a lag of the wrong sign, a track's start forgotten, invalid frames learned from."""
    model, audio, fps = untrained(), babble(8.0), Fraction(30000, 1001)
    for member in model.network.members:
        assert member.mouth.bias is not None
        torch.nn.init.constant_(member.mouth.bias, 1.0)
    lag, start, frames = 3.0, 12, 200
    heard = model.heard(audio, fps, frames, (start + Fraction(lag)) / fps)
    opened = mouth_opening(default_model(), heard)
    truth = heard.clone()
    truth[:, 0] += 0.5 * (opened - opened.min()) / opening_weights(default_model())[0]
    truth[50:60] = 100.0
    valid = torch.ones(frames, dtype=torch.bool)
    valid[50:60] = False
    zeros = torch.zeros(frames, 3)
    track = Track(
        fps, start, Camera(500.0, (50.0, 50.0), 100, 100), (Crop(0, 0, 100, 96),),
        torch.zeros(frames, dtype=torch.int64), Identity(torch.zeros(28), torch.zeros(468, 3)),
        Motion(zeros, zeros, truth, torch.zeros(frames, 12)), valid, zeros[:, 0],
        torch.ones(frames),
    )  # fmt: skip
    own = model.in_manner_of(audio, track, lag)
    said = own.mouth(audio, fps, frames, (start + Fraction(lag)) / fps)
    face = default_model()
    wide = valid & (opened > closed_opening(face) + 0.5)
    left, before = (
        (mouth_opening(face, m) - mouth_opening(face, truth))[wide].abs().mean()
        for m in (said, heard)
    )
    assert int(wide.sum()) > 30
    assert float(left) < 0.5 * float(before)


def test_openings_are_the_distance_of_the_inner_lips() -> None:
    """Kills pairs upside down, metres for millimetres, a rest gap left out."""
    model = default_model()
    random = torch.Generator().manual_seed(0)
    mouth = torch.randn(5, len(model.mouth), generator=random)
    vertices = model.vertices(model.mean, mouth, torch.zeros(5, len(model.upper)))
    gaps = [vertices[:, up, 1] - vertices[:, low, 1] for up, low in INNER_PAIRS]
    torch.testing.assert_close(
        mouth_opening(model, mouth), 1000 * torch.stack(gaps).mean(0), rtol=0, atol=1e-3
    )
    assert 0 <= closed_opening(model) < 1.5
    assert opening_weights(model).shape == (len(model.mouth),)


def test_velocity_is_along_time_not_along_points() -> None:
    """Kills the flattened difference: a constant offset of one mouth is no velocity error."""
    basis = mouth_point_basis(default_model())
    truth = torch.randn(2, 6, 20)
    still = truth + torch.randn(2, 1, 20)
    assert float(velocity_error(still, truth, basis).max()) < 1e-6
    assert float(point_error(still, truth, basis).min()) > 0.01
    late = truth.roll(1, dims=1)
    steps = torch.einsum("btm,mpc->btpc", (late - truth).diff(dim=1), basis)
    expected = steps.square().sum(-1).mean(-1)
    torch.testing.assert_close(velocity_error(late, truth, basis), expected)


def test_closures_are_judged_where_the_truth_is_shut() -> None:
    """Kills a penalty on pressed lips, and one on vowels."""
    truth = torch.tensor([[0.0, 0.5, -0.8, 3.0]])
    predicted = torch.tensor([[2.0, 0.2, 1.0, 9.0]])
    expected = torch.tensor([[4.0, 0.0, 1.0, 0.0]])
    torch.testing.assert_close(closure_error(predicted, truth), expected)


def test_an_ensemble_shows_the_mean_mouth_of_its_members() -> None:
    """Kills a sum for a mean, members that read each other's codes, and one asked for all."""
    both = untrained().network
    heard = torch.randn(1, 2 * CONTEXT + 9, both.shape.inputs)
    style = torch.zeros(1, both.shape.style)
    alone = [member(heard, style) for member in both.members]
    assert not torch.allclose(alone[0], alone[1], atol=1e-2)
    torch.testing.assert_close(both.shown(both.understood(heard)), (alone[0] + alone[1]) / 2)


def test_a_habit_opens_no_lips_that_the_average_speaker_shuts() -> None:
    """Kills corrections that are added anywhere alike, and ones that are never let through."""
    model = untrained()
    direction = model.manner.weights / model.manner.weights.square().sum()
    manner = replace(model.manner, direction=direction)
    understood = torch.randn(200, 2 * SMALL.width)
    before = model.expected(understood)
    opening = manner.closed + before @ manner.weights
    wide = Habit(torch.zeros(2 * SMALL.width, 20), 5 * direction)
    after = replace(model, manner=manner, habit=wide).expected(understood)
    opened = (after - before) @ manner.weights
    assert int((opening < 0).sum()) > 20
    assert float(opened[opening < 0].abs().max()) < 1e-3
    assert float((opened[opening > APART_MILLIMETRES] - 5).abs().max()) < 1e-3


def test_models_of_other_weights_have_other_stamps() -> None:
    """Kills a stamp of the shape alone: a habit would be put on a model that it misleads."""
    model, other = untrained(), untrained()
    assert model.stamp == other.stamp
    with torch.no_grad():
        other.network.members[1].mouth.weight[3] += 0.1
    assert replace(other).stamp != model.stamp


def test_the_file_gives_back_the_model(tmp_path: Path) -> None:
    model, audio = untrained(), babble(1.0)
    model.save(tmp_path / "m.safetensors")
    again = ExpressionModel.load(tmp_path / "m.safetensors")
    before, after = (m.mouth(audio, Fraction(25), 25) for m in (model, again))
    torch.testing.assert_close(before, after, rtol=0, atol=5e-3)
    with pytest.raises(InputError, match="does not exist"):
        ExpressionModel.load(tmp_path / "none.safetensors")


def test_the_shipped_model_speaks_the_shipped_face() -> None:
    """Kills a face model learned anew without its speech model."""
    torch.testing.assert_close(load_driver().manner.weights, opening_weights(default_model()))


def test_the_shipped_model_is_quiet_in_silence_and_moves_in_speech() -> None:
    """Kills weights that murmur: silence must not move the lips at all, and leaves them shut."""
    model, face = load_driver(), default_model()
    rest = mouth_opening(face, model.mouth(silence(3.0, 16000), Fraction(25), 75))
    assert float(rest.std()) < 1e-3
    assert float(rest.abs().max()) < 1.5
    assert float(mouth_opening(face, model.mouth(babble(3.0), Fraction(25), 75)).std()) > 0.3
