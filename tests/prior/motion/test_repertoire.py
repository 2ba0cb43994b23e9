"""How far and together with what a mouth moves, given to other motion: laws of the least map."""

from dataclasses import replace

import torch

from face3d.lips import closed_opening, mouth_opening, opening_weights
from face3d.morphable import default_model
from prior.motion.manner import TELLING_FRAMES, Manner, personal_manner, plain_manner
from prior.motion.repertoire import RESTING_VARIANCE, covariance, stretch, transport

FACE = default_model()


def positive(seed: int, size: int = 6) -> torch.Tensor:
    root = torch.randn(
        size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return root @ root.T + 0.1 * torch.eye(size)


def test_transport_gives_the_covariance_and_turns_nothing_round() -> None:
    """Kills square roots in the wrong order, and whitening followed by colouring: that hits the
    covariance too, but is no symmetric map and may turn a mouth's motion into another's."""
    for seed in range(3):
        before, after = positive(seed), positive(seed + 10)
        least = transport(before, after)
        torch.testing.assert_close(least @ before @ least, after, rtol=0, atol=1e-9)
        torch.testing.assert_close(least, least.T, rtol=0, atol=1e-9)
        assert float(torch.linalg.eigvalsh(least).min()) > 0


def test_transport_of_deviations_is_their_ratio() -> None:
    """Kills variances taken for deviations, and the map turned round."""
    before = torch.diag(torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64))
    after = torch.diag(torch.tensor([4.0, 4.0, 1.0], dtype=torch.float64))
    expected = torch.diag(torch.tensor([2.0, 1.0, 1 / 3], dtype=torch.float64))
    torch.testing.assert_close(transport(before, after), expected)


def test_what_rests_is_hardly_stretched() -> None:
    """Kills covariances without a floor: where nothing moves, nothing must be blown up."""
    random = torch.Generator().manual_seed(0)
    shown, seen = torch.randn(2, 400, 3, generator=random)
    shown[:, 0] *= 0.01
    seen[:, 0] *= 0.1
    seen[:, 1] *= 3
    found = stretch(shown, seen)
    assert float(found[0, 0]) < 1.1  # its own ratio of deviations is 10
    assert abs(float(found[1, 1]) - ((9 + RESTING_VARIANCE) / (1 + RESTING_VARIANCE)) ** 0.5) < 0.4


def moves(count: int, seed: int, gains: torch.Tensor) -> torch.Tensor:
    return torch.randn(count, 20, generator=torch.Generator().manual_seed(seed)) * gains


def test_a_person_is_known_by_what_moves() -> None:
    """Kills a stretch learned and never used, or learned of heard mouths instead of shown ones."""
    gains = torch.linspace(2.0, 0.5, 20)
    own = personal_manner(
        plain_manner(FACE), moves(500, 0, torch.ones(20)), moves(500, 1, gains) + 3
    )
    said = covariance(own(moves(4000, 2, torch.ones(20)))).diagonal().sqrt()
    wanted = (gains.square() + RESTING_VARIANCE).sqrt()
    assert float((said[1:] / wanted[1:] - 1).abs().max()) < 0.25


def test_few_frames_stretch_nothing() -> None:
    """Kills covariances of a handful of frames."""
    few = TELLING_FRAMES - 1
    heard, seen = moves(few, 0, torch.ones(20)), moves(few, 1, torch.ones(20))
    assert personal_manner(plain_manner(FACE), heard, seen).stretch is None


def test_shut_lips_stay_shut_however_far_a_person_moves() -> None:
    """Kills stretching that opens a closure: everything may move but the gap."""
    wide = 3 * torch.eye(20)
    weights = opening_weights(FACE)
    direction = weights / weights.square().sum()
    plain = replace(plain_manner(FACE), direction=direction)
    own: Manner = replace(plain, centre=torch.full((20,), -1.0), stretch=wide)
    mouths = moves(300, 3, torch.ones(20))
    shut = mouths - ((mouths @ weights) + 0.2)[:, None] * direction
    before, after = mouth_opening(FACE, shut), mouth_opening(FACE, own(shut))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-3)
    assert float((own(shut) - shut).abs().max()) > 1
    agape = shut + 6 * direction
    free = own.centre + (agape - own.centre) @ wide  # pyright: ignore
    torch.testing.assert_close(own(agape), free, rtol=0, atol=1e-4)
    assert float(before.mean()) < closed_opening(FACE)
