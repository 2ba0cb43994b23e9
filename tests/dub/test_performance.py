"""When the line's mouth is shown, when the plate's own, and how one passes into the other."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from moving_head import somebody
from moving_head import speaking as moving

from core.camera import Camera
from dub.direction import Direction
from dub.performance import RAMP_FRAMES, Said, ramped, speaking, spoken_span
from face3d.track import Crop, Track
from media.audio import Audio
from prior.motion.expression import ExpressionModel, load_driver
from prior.sound.denoiser import Denoiser
from prior.sound.hearing import Hearings

RATE = 16000


class Wide(ExpressionModel):
    """An audio model that says the same whatever it hears."""

    def mouth(
        self,
        sound: Audio | Hearings,
        fps: Fraction,
        frames: int,
        start_seconds: Fraction = Fraction(0),
    ) -> torch.Tensor:
        return torch.full((frames, 20), 2.0)


WIDE = Wide(load_driver().network, load_driver().manner, {})


def heard(begin: float, stop: float, total: float) -> Said:
    """A tone between two moments, silence around it."""
    times = np.arange(round(total * RATE)) / RATE
    tone = np.sin(2 * np.pi * 200 * times) * ((times >= begin) & (times < stop)) * 0.5
    return Said(Audio(tone[None].astype(np.float32), RATE, Fraction(0)))


def track(count: int, lost: tuple[int, ...] = ()) -> Track:
    valid = torch.ones(count, dtype=torch.bool)
    valid[list(lost)] = False
    camera = Camera(500.0, (128.0, 128.0), 256, 256)
    crops, shot = (Crop(0, 0, 256, 256),), torch.zeros(count, dtype=torch.int64)
    zero, sure = torch.where(valid, 0.0, torch.inf), torch.ones(count)
    return Track(
        Fraction(25), 0, camera, crops, shot, somebody(), moving(count), valid, zero, sure
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_a_ramp_counts_frames_to_the_nearest_gap(seed: int) -> None:
    """Kills ramps outside the run, of another length, or at the shot's own ends: brute force."""
    active = np.random.default_rng(seed).random(60) < 0.85
    gaps = np.flatnonzero(~active)
    expected = [min(np.abs(gaps - t).min(), RAMP_FRAMES) / RAMP_FRAMES for t in range(60)]
    assert np.allclose(ramped(active), expected, atol=1e-12, rtol=0)
    assert ramped(np.ones(3, bool)).tolist() == [1, 1, 1]


def test_before_and_after_the_line_the_plate_is_left_alone() -> None:
    """Kills a mouth that moves in silence: frames far from words are not painted, and say so."""
    plate = track(75)
    shown = speaking(plate, heard(1.0, 2.0, 3.0), WIDE, Direction())
    assert {shown.reason[i] for i in (0, 10, 65, 74)} == {"no speech"}
    assert shown.painted[25:50].all()
    assert torch.allclose(shown.mouth[37], torch.full((20,), 2.0))
    assert torch.allclose(shown.mouth[0], plate.motion.mouth[0])


def test_a_closed_mouth_waits_for_the_line() -> None:
    """Kills --silence closed that shows the plate's old words, or that opens before the line."""
    shown = speaking(track(75), heard(1.0, 2.0, 3.0), WIDE, Direction(0.5, "closed"))
    assert shown.painted.all()
    assert float(shown.mouth[:15].abs().max()) == 0
    assert torch.allclose(shown.mouth[37], torch.full((20,), 1.0))


def test_a_lost_face_is_passed_through_and_ramped_around() -> None:
    """Kills a faceless frame that is painted, or beside which the mouth jumps."""
    shown = speaking(track(50, lost=(25,)), heard(0.0, 2.0, 2.0), WIDE, Direction())
    assert shown.reason[25] == "no face"
    assert shown.share[22:29].tolist() == [0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75]


def test_the_span_is_what_is_heard() -> None:
    """Kills a span that takes silence for speech or forgets where the sound starts."""
    start, stop = spoken_span(heard(1.0, 2.0, 3.0).audio)
    assert start == pytest.approx(1.0, abs=0.04)
    assert stop == pytest.approx(2.0, abs=0.04)


def test_kept_frames_are_the_plate_s_and_ramped_around() -> None:
    """Kills a kept frame that is painted, a jump beside it, and a reason that does not tell."""
    kept = np.zeros(50, bool)
    kept[20:23] = True
    shown = speaking(track(50), heard(0.0, 2.0, 2.0), WIDE, Direction(kept=kept))
    assert set(shown.reason[20:23]) == {"kept"}
    assert shown.share[16:27].tolist() == [1, 0.75, 0.5, 0.25, 0, 0, 0, 0.25, 0.5, 0.75, 1]


def test_a_curve_opens_each_frame_by_its_own_strength() -> None:
    """Kills one strength for the whole shot."""
    curve = np.linspace(0, 1, 50)
    shown = speaking(track(50), heard(0.0, 2.0, 2.0), WIDE, Direction(curve))
    np.testing.assert_allclose(shown.intent[:, 0], 2 * curve, atol=1e-6)


def test_a_drawn_take_differs_and_its_seed_gives_it_again() -> None:
    """Kills takes that are all the expected one, and a seed that does nothing."""
    shown = [
        speaking(track(50), heard(0.0, 2.0, 2.0), load_driver(), Direction(take=t, seed=s)).intent
        for t, s in ((1, 0), (2, 0), (2, 0), (2, 1), (3, 0))
    ]
    assert torch.equal(shown[1], shown[2])
    for a, b in ((0, 1), (1, 3), (1, 4)):
        assert float((shown[a] - shown[b]).abs().max()) > 0.05


def test_a_line_is_heard_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a dub that hears its line for the mouth, again for contacts, and again for each take:
    hearing is most of what a line costs."""
    listened: list[int] = []
    denoise = Denoiser.__call__

    def counted(self: Denoiser, samples: np.ndarray, level: float | None = None) -> np.ndarray:
        listened.append(len(samples))
        return denoise(self, samples, level)

    monkeypatch.setattr(Denoiser, "__call__", counted)
    line = heard(0.0, 1.0, 1.0)
    for take in (1, 2):
        speaking(track(25), line, load_driver(), Direction(take=take))
    assert len(listened) == 1


class Rising(ExpressionModel):
    """An audio model whose mouth tells the time: as many deviations as seconds, at any rate."""

    def mouth(
        self,
        sound: Audio | Hearings,
        fps: Fraction,
        frames: int,
        start_seconds: Fraction = Fraction(0),
    ) -> torch.Tensor:
        seconds = (torch.arange(frames) + 0.5) / float(fps)
        return seconds[:, None].expand(-1, 20)


def test_an_uneven_plate_says_each_moment_when_it_is_shown() -> None:
    """Kills mouths spaced evenly over frames that are not: a phone's plate that holds its tenth
    frame for half a second would speak half a second behind its sound from there on."""
    middles = (np.arange(50) + 0.5) / 25 + np.where(np.arange(50) > 9, 0.5, 0.0)
    told = Direction(sounds=())
    clock = Rising(load_driver().network, load_driver().manner, {})
    shown = speaking(track(50), heard(0.0, 3.0, 3.0), clock, told, middles)
    assert len(shown.intent) == 50
    np.testing.assert_allclose(shown.intent[:, 0].numpy(), middles, atol=1e-5)
    even = speaking(track(50), heard(0.0, 3.0, 3.0), clock, told)
    np.testing.assert_allclose(even.intent[:, 0].numpy(), (np.arange(50) + 0.5) / 25, atol=1e-5)
    curve = np.where(np.arange(50) < 25, 1.0, 0.5)
    weak = speaking(track(50), heard(0.0, 3.0, 3.0), clock, Direction(curve, sounds=()), middles)
    np.testing.assert_allclose(weak.intent[30:, 0].numpy(), middles[30:] / 2, atol=1e-5)
