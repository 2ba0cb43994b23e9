"""Evidence for shifts against brute force, and offsets of made-up streams with their signs."""

import math

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from prior.sync.evidence import (
    CLOCK,
    HOP,
    REACH,
    SyncClip,
    SyncNetwork,
    Windows,
    clip_evidence,
    evidence,
    find_offset,
    vertex,
)
from prior.training.train_sync import contrast, draw_windows, read


class Plain(SyncNetwork):
    """Streams are their own codes."""

    def hear(self, sound: Float[Tensor, "B K C"]) -> Float[Tensor, "B T C"]:
        return sound[:, ::HOP]

    def see(self, lips: Float[Tensor, "B T L"]) -> Float[Tensor, "B T L"]:
        return lips

    def vary(self, windows: Windows, random: np.random.Generator) -> Windows:
        return windows


def shifted_clip(late: int, moments: int = 300, seed: int = 0) -> SyncClip:
    """Lips that move at random, and a sound that follows them `late` moments later."""
    stream = torch.randn(moments + 200, 4, generator=torch.Generator().manual_seed(seed))
    lips = stream[100 : 100 + moments]
    sound = stream[100 - late : 100 - late + moments]
    return SyncClip(
        sound.repeat_interleave(HOP, 0), lips, torch.ones(moments, dtype=torch.bool), "a"
    )


def test_evidence_equals_its_brute_force_twin() -> None:
    """Kills lips shifted instead of the sound, a turned sign, and an off-by-one border."""
    heard, seen = torch.randn(2, 2, 11, 3, dtype=torch.float64)
    found = evidence(heard, seen, reach=2)
    assert found.shape == (2, 7, 5)
    for b in range(2):
        for t in range(2, 9):
            for shift in range(-2, 3):
                expected = heard[b, t + shift] @ seen[b, t]
                assert float(found[b, t - 2, shift + 2]) == pytest.approx(float(expected))


@pytest.mark.parametrize("late", [-17, -1, 0, 4, 30])
def test_a_known_shift_comes_back_with_its_sign(late: int) -> None:
    """Kills a swapped sign and moments counted as frames of sound."""
    found = find_offset(Plain(), shifted_clip(late))
    assert found.seconds == pytest.approx(late / CLOCK, abs=0.5 / CLOCK)
    assert found.confidence > 0.8
    assert found.margin > 0.5


def test_still_lips_silence_and_unknown_lips_have_no_offset() -> None:
    """Kills an offset told by constant codes, by rounding noise or by frames without a face."""
    clip = shifted_clip(3)
    for dead in (
        SyncClip(clip.sound * 0 + 2, clip.lips, clip.known, "a"),
        SyncClip(clip.sound, clip.lips * 0 + 2, clip.known, "a"),
        SyncClip(clip.sound, clip.lips, ~clip.known, "a"),
    ):
        assert math.isnan(find_offset(Plain(), dead).seconds)


def test_frames_without_a_face_count_for_nothing() -> None:
    """Kills wild values of unknown lips that outweigh the known ones."""
    clip = shifted_clip(5)
    lips, known = clip.lips.clone(), clip.known.clone()
    lips[50:90], known[50:90] = 1e3, False
    found = find_offset(Plain(), SyncClip(clip.sound, lips, known, "a"))
    assert found.seconds == pytest.approx(5 / CLOCK, abs=0.5 / CLOCK)


def test_a_large_constant_in_the_codes_changes_no_offset() -> None:
    """Kills sums over the overlap of codes that were not centred: they favour shift 0."""
    clip = shifted_clip(25, moments=80)
    moved = SyncClip(clip.sound + 20, clip.lips + 20, clip.known, "a")
    assert find_offset(Plain(), moved).seconds == pytest.approx(0.5, abs=0.01)


def test_evidence_beyond_the_ends_is_none() -> None:
    codes = torch.ones(5, 2)
    assert clip_evidence(codes, codes, reach=2)[0].tolist() == [0, 0, 2, 2, 2]


def test_the_parabola_finds_a_peak_between_samples() -> None:
    """Kills a turned sign; the ends and flat tops stay where they are."""
    places = np.arange(9)
    assert vertex(-((places - 4.3) ** 2), 4) == pytest.approx(0.3)
    assert vertex(places.astype(float), 8) == 0
    assert vertex(np.ones(9), 4) == 0


def test_contrast_is_least_where_shift_0_wins_and_ignores_unknown_moments() -> None:
    """Kills labels at another shift, and a mask that is turned round."""
    known = torch.ones(3, 10, dtype=torch.bool)
    weighed = torch.zeros(3, 10, 2 * REACH + 1)
    weighed[0, :, REACH] = 0.2
    weighed[1, :, REACH + 10] = 0.2
    loss = contrast(weighed, known)
    assert loss[0] < loss[2] < loss[1]
    assert float(loss[2]) == pytest.approx(math.log(2 * REACH + 1), abs=1e-5)
    known[1] = False
    assert float(contrast(weighed, known)[1]) == pytest.approx(float(loss[2]))


def test_windows_keep_sound_and_lips_together() -> None:
    """Kills a speed that stretches only one stream, and windows cut at different places."""
    moments = torch.arange(400.0)
    clip = SyncClip(
        torch.arange(800.0)[:, None] / HOP, moments[:, None], torch.ones(400, dtype=torch.bool), "a"
    )
    windows = draw_windows([clip], 12, 150, np.random.default_rng(3))
    inside = windows.known
    assert inside.any()
    assert not inside.all()
    torch.testing.assert_close(
        windows.sound[:, ::HOP][inside], windows.lips[inside], rtol=0, atol=1e-3
    )


def test_read_holds_the_ends_and_reproduces_lines() -> None:
    rows = torch.tensor([[0.0], [2.0], [4.0]])
    assert read(rows, np.array([-1, 0.25, 1.5, 7]))[:, 0].tolist() == [0, 0.5, 3, 4]
