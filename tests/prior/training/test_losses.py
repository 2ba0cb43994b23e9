"""Picture losses against arithmetic, and where they must be 0, finite or blind."""

import pytest
import torch
from torch.nn.functional import avg_pool2d

from prior.training.losses import (
    attention,
    detail,
    gradient_l1,
    perceived,
    structural,
    weighted_l1,
)

LOSSES = (weighted_l1, gradient_l1, structural, detail)
ALL = torch.ones(2, 1, 16, 20)


def pictures(seed: int = 0) -> torch.Tensor:
    return 2 * torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(seed)) - 1


@pytest.mark.parametrize("loss", LOSSES)
def test_equal_pictures_cost_nothing(loss) -> None:
    """Kills an offset, and a loss that mixes the batch: 0 for the equal one, more for the other."""
    made, true = pictures(), pictures()
    made[1] = made[1].flip(-1)
    error = loss(made, true, ALL)
    assert error.shape == (2,)
    assert float(error[0]) == pytest.approx(0, abs=2e-6)
    assert float(error[1]) > (0.1 if loss is not detail else 0.01)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_has_no_weight_does_not_count(loss) -> None:
    """Kills a forgotten mask: a change far from weighted pixels changes nothing; without any weight
    the loss is 0 and not 0/0."""
    made, true = pictures(), pictures(1)
    weight = torch.zeros(2, 1, 16, 20)
    weight[..., :6] = 1
    changed = made.clone()
    changed[..., 14:] = 0
    assert torch.equal(loss(made, true, weight), loss(changed, true, weight))
    assert loss(made, true, 0 * weight).tolist() == [0, 0]


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_finite_even_for_equal_and_flat_pictures(loss) -> None:
    """Kills 0/0 in a flat box and a root at 0."""
    for start in (pictures(), torch.zeros(2, 3, 16, 20)):
        made = start.clone().requires_grad_()
        loss(made, start, ALL).sum().backward()
        assert made.grad is not None
        assert bool(torch.isfinite(made.grad).all())


def test_weighted_l1_is_a_weighted_mean() -> None:
    """Kills a sum, and a mean over all pixels instead of the weights."""
    made, true = torch.zeros(1, 3, 1, 3), torch.zeros(1, 3, 1, 3)
    made[0, 0, 0, 0], made[0, :, 0, 1], made[0, :, 0, 2] = 0.3, -0.5, 1.0
    weight = torch.tensor([[[[1.0, 3.0, 0.0]]]])
    assert float(weighted_l1(made, true, weight)) == pytest.approx((0.1 + 3 * 0.5) / 4)


def test_gradient_l1_counts_edges_not_levels() -> None:
    """Kills a loss of levels: a constant shift costs nothing; one step of height 1 down the middle
    costs 16 pixels of 320 at full size, 8 of 80 at half."""
    true = torch.zeros(1, 3, 16, 20)
    assert float(gradient_l1(true + 0.5, true, ALL[:1])) == 0
    made = true.clone()
    made[..., 10:] = 1
    assert float(gradient_l1(made, true, ALL[:1])) == pytest.approx(16 / 320 + 8 / 80)


def test_structure_is_one_minus_ssim() -> None:
    """Kills wrong constants and variances without Bessel's opposite: one pixel by arithmetic in
    float64."""
    made, true = pictures()[:1], pictures(1)[:1]
    weight = torch.zeros(1, 1, 16, 20)
    weight[0, 0, 8, 9] = 1
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    a, b = (torch.einsum("c,chw->hw", luma, p[0].double())[5:12, 6:13] for p in (made, true))
    covariance = ((a - a.mean()) * (b - b.mean())).mean()
    top = (2 * a.mean() * b.mean() + 0.02**2) * (2 * covariance + 0.06**2)
    below = a.mean() ** 2 + b.mean() ** 2 + 0.02**2
    below = below * (a.var(correction=0) + b.var(correction=0) + 0.06**2)
    assert float(structural(made, true, weight)) == pytest.approx(float(1 - top / below), abs=1e-4)


def test_attention_grows_around_the_mouth_and_ends_with_the_mask() -> None:
    """Kills weight outside the outer mask, and lips that count only where they are."""
    outer, mouth = torch.zeros(1, 1, 16, 20), torch.zeros(1, 16, 20, dtype=torch.bool)
    outer[..., 2:18] = 1
    mouth[0, 8, 4] = True
    weight = attention(outer, mouth, 4.0)[0, 0]
    assert weight[8, 4] == weight[5, 7] == weight[11, 2] == 4
    assert weight[4, 4] == weight[8, 8] == 1
    assert float(weight[:, :2].max()) == 0


def test_detail_is_blind_to_where_it_lies_and_sees_how_much() -> None:
    """Kills one more loss that a blur satisfies: grain of the same strength costs next to nothing
    though every pixel differs, its mean over 3 × 3 pixels costs most of its strength, and so does
    nothing at all."""
    one, other = (
        torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(i)) for i in (0, 1)
    )
    one, other = (0.2 * x.expand(-1, 3, -1, -1) for x in (one, other))
    everywhere = torch.ones(1, 1, 64, 64)
    aside = float(detail(other, one, everywhere))
    smeared = float(detail(avg_pool2d(one, 3, 1, 1), one, everywhere))
    flat = float(detail(0 * one, one, everywhere))
    assert aside < 0.15 * flat
    assert 0.5 * flat < smeared < flat
    assert flat == pytest.approx(0.2 * ((8 / 9) ** 0.5 + (1 / 9 - 1 / 81) ** 0.5), rel=0.05)


def test_a_network_sees_the_truth_where_nothing_is_repainted() -> None:
    """Kills an error outside the matte that reaches inside through a network's wide view, pixels
    that weigh alike, and a map whose mean forgets the weights."""
    true, outer = torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    outer[..., :4] = 1
    made = true + 0.6
    weight = outer.clone()
    weight[..., :2] = 3

    def judge(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return avg_pool2d((a - b).abs().mean(1, keepdim=True), (1, 3), 1, (0, 1))

    # Columns 0 to 3 see 2, 3, 3 and 2 columns of 0.6, of three; the border counts as nothing.
    expected = (3 * (0.4 + 0.6) + (0.6 + 0.4)) / (3 + 3 + 1 + 1)
    assert float(perceived(made, true, outer, weight, judge)) == pytest.approx(expected)
