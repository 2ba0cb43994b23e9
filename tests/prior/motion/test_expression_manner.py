"""Manners of speaking, against people made up by rule."""

import torch

from face3d.lips import closed_opening, mouth_opening, opening_weights
from face3d.morphable import default_model
from prior.motion.manner import Manner, average_manner, personal_manner, plain_manner

FACE = default_model()


def drawn() -> Manner:
    return Manner(
        torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0.0, 2.0, 8.0]), torch.tensor([0.5, 0.3]),
        torch.tensor([0.0, 0.7]), torch.tensor([2.0, 0.0]), closed=1.0,
    )  # fmt: skip


def mouths(count: int, seed: int = 0) -> torch.Tensor:
    """Mouths that open, by up to some 12 mm, from shut lips."""
    drawn = torch.randn(count, 20, generator=torch.Generator().manual_seed(seed))
    drawn[:, 0] = drawn[:, 0].abs()
    drawn[:, 1:] *= 0.05
    return drawn


def test_the_curve_sets_the_opening_it_promises() -> None:
    """Kills a gain on all coefficients, ends that go flat, knots taken one off."""
    mouth = torch.tensor([[-0.5, 1.0], [0.0, 1.0], [0.25, 0.0], [1.0, 0.0], [2.0, 5.0]])
    after = drawn()(mouth)
    opening = 1 + after @ drawn().weights
    torch.testing.assert_close(opening, torch.tensor([-2.0, 0.0, 1.0, 5.0, 11.0]))
    moved = after - mouth
    torch.testing.assert_close(moved[:, 1], moved[:, 0] * 0.6 + 0.7)


def test_the_plain_manner_changes_nothing() -> None:
    torch.testing.assert_close(plain_manner(FACE)(mouths(9)), mouths(9))


def widened(mouth: torch.Tensor, gain: float, posture: torch.Tensor) -> torch.Tensor:
    """A person who opens `gain` times as wide, by the first coefficient alone, from rest."""
    opening = mouth_opening(FACE, mouth) - closed_opening(FACE)
    first = torch.zeros(20)
    first[0] = 1 / opening_weights(FACE)[0]
    return mouth + ((gain - 1) * opening)[:, None] * first + posture


def test_people_count_alike_however_long_they_speak() -> None:
    """Kills pooled frames: the brief wide-mouthed one would vanish."""
    heard = [mouths(4000), mouths(200, 1)]
    seen = [heard[0], widened(heard[1], 2.0, torch.zeros(20))]
    average = average_manner(FACE, heard, seen)
    opening = mouth_opening(FACE, average(mouths(2000, 2)))
    plain = mouth_opening(FACE, mouths(2000, 2))
    assert abs(float(opening.std() / plain.std()) - 1.5) < 0.12


def test_a_person_is_met_on_sound_not_heard_before() -> None:
    """Kills a curve fitted backwards, a posture that opens, and a trust that never grows."""
    posture = torch.zeros(20)
    posture[7] = 0.8
    posture -= (posture @ opening_weights(FACE)) / opening_weights(FACE)[0] * torch.eye(20)[0]
    average = average_manner(FACE, [mouths(900)], [widened(mouths(900), 1.0, torch.zeros(20))])
    heard = mouths(800, 3)
    own = personal_manner(average, heard, widened(heard, 1.6, posture))
    unheard = mouths(500, 4)
    truth, said = widened(unheard, 1.6, posture), own(unheard)
    error = (mouth_opening(FACE, said) - mouth_opening(FACE, truth)).abs().mean()
    before = (mouth_opening(FACE, average(unheard)) - mouth_opening(FACE, truth)).abs().mean()
    assert float(error) < 0.25 * float(before)
    assert abs(float(own.posture[7]) - 0.8) < 0.2
    assert abs(float(own.posture @ own.weights)) < 1e-4


def test_few_frames_change_little_and_none_nothing() -> None:
    average = average_manner(FACE, [mouths(900)], [mouths(900)])
    assert personal_manner(average, mouths(0), mouths(0)) is average
    some = personal_manner(average, mouths(2), mouths(2) + 1.0)
    assert float((some(mouths(50)) - average(mouths(50))).abs().max()) < 0.6


def test_a_silent_clip_gives_no_wild_curve() -> None:
    """Kills the division by no change at all."""
    average = average_manner(FACE, [mouths(900)], [mouths(900)])
    still = mouths(1).expand(300, -1)
    own = personal_manner(average, still, mouths(300, 5))
    slopes = own.seen.diff() / own.heard.diff()
    assert bool(torch.isfinite(slopes).all())
    assert float(slopes.max()) <= 3.001
    assert float(slopes.min()) >= 0.249


def test_no_manner_opens_a_closure() -> None:
    """Kills quantiles alone: someone who never quite shuts their lips would leave every m ajar."""
    ajar = widened(mouths(900), 1.5, torch.zeros(20))
    ajar[:, 0] += 3 / opening_weights(FACE)[0]
    average = average_manner(FACE, [mouths(900)], [ajar])
    own = personal_manner(average, mouths(900), ajar)
    openings = torch.linspace(-3, closed_opening(FACE), 20)
    for manner in (average, own):
        assert bool((manner.opened(openings) <= openings + 1e-5).all())
        wide = torch.linspace(2, 9, 20)
        assert bool((manner.opened(wide) > wide + 1).all())
        rise = manner.opened(torch.linspace(-3, 20, 200)).diff()
        assert float(rise.min()) >= 0
