"""Picture losses, unreduced over the batch; the caller weights them.

Colours are in [−1, 1]; `weight` [B 1 H W] says how much each pixel matters.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, l1_loss

LUMA = (0.299, 0.587, 0.114)


def weighted_l1(
    made: Float[Tensor, "B 3 H W"], true: Float[Tensor, "B 3 H W"], weight: Tensor
) -> Float[Tensor, "B"]:
    """Mean absolute difference over weighted pixels."""
    error = l1_loss(made, true, reduction="none").mean(1, keepdim=True) * weight
    return error.flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1.0)


def gradient_l1(
    made: Float[Tensor, "B 3 H W"], true: Float[Tensor, "B 3 H W"], weight: Tensor, levels: int = 2
) -> Float[Tensor, "B"]:
    """Absolute difference of finite differences over a small pyramid: edges keep their place."""
    total = made.new_zeros(len(made))
    for level in range(levels):
        if level:
            made, true, weight = avg_pool2d(made, 2), avg_pool2d(true, 2), avg_pool2d(weight, 2)
        error = made - true
        across = (error[..., :, 1:] - error[..., :, :-1]).abs().mean(1, keepdim=True)
        down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean(1, keepdim=True)
        size = weight.flatten(1).sum(1).clamp_min(1.0)
        total = total + (across * weight[..., :, 1:]).flatten(1).sum(1) / size
        total = total + (down * weight[..., 1:, :]).flatten(1).sum(1) / size
    return total


def structural(
    made: Float[Tensor, "B 3 H W"], true: Float[Tensor, "B 3 H W"], weight: Tensor
) -> Float[Tensor, "B"]:
    """1 − SSIM of luma on 7 × 7 boxes (Wang et al. 2004), over weighted pixels."""
    luma = made.new_tensor(LUMA)[:, None, None]
    a, b = (made * luma).sum(1, keepdim=True), (true * luma).sum(1, keepdim=True)

    mean_a, mean_b = mean_box(a, 7), mean_box(b, 7)
    variance_a = mean_box(a * a, 7) - mean_a**2
    variance_b = mean_box(b * b, 7) - mean_b**2
    covariance = mean_box(a * b, 7) - mean_a * mean_b
    c1, c2 = 0.02**2, 0.06**2  # the usual 0.01 and 0.03 times a range of 2
    ssim = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    )
    return ((1 - ssim) * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1.0)


def detail(
    made: Float[Tensor, "B 3 H W"], true: Float[Tensor, "B 3 H W"], weight: Tensor
) -> Float[Tensor, "B"]:
    """Difference in how much detail there is, wherever it lies: it costs the blur that L1 rewards.

    Luma is cut into two bands by box means of 3 and 9 pixels; of each, the root mean square over
    9 × 9 pixels is compared. An edge a pixel aside costs nothing here, a smear does.
    """
    luma = made.new_tensor(LUMA)[:, None, None]
    amounts = []
    for picture in (made, true):
        grey = (picture * luma).sum(1, keepdim=True)
        middle = mean_box(grey, 3)
        bands = torch.cat([grey - middle, middle - mean_box(grey, 9)], 1)
        amounts.append((mean_box(bands.square(), 9) + 1e-5).sqrt())
    error = (amounts[0] - amounts[1]).abs().sum(1, keepdim=True) * weight
    return error.flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1.0)


def perceived(
    made: Float[Tensor, "B 3 H W"],
    true: Float[Tensor, "B 3 H W"],
    outer: Float[Tensor, "B 1 H W"],
    weight: Tensor,
    judge: Callable[[Tensor, Tensor], Tensor],
) -> Float[Tensor, "B"]:
    """How different the pictures look to a network (`prior.perception`), over weighted pixels.

    Outside `outer` the truth stands in both: a network looks far around each pixel, and what a dub
    does not repaint is nobody's error.
    """
    error = judge(made * outer + true * (1 - outer), true) * weight
    return error.flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1.0)


def mean_box(x: Tensor, side: int) -> Tensor:
    """Means over boxes of `side` pixels, odd; beyond the border there is nothing to count."""
    return avg_pool2d(x, side, 1, side // 2, count_include_pad=False)


def attention(
    outer: Tensor, mouth: Tensor, lips: float, scale: int = 1
) -> Float[Tensor, "B 1 H W"]:
    """Pixel weights: 1 where a dub repaints, `lips` on the mouth and the few pixels around it, in
    windows so many times as fine as a track's crop."""
    reach = 3 * scale
    around = torch.nn.functional.max_pool2d(mouth[:, None].float(), 2 * reach + 1, 1, reach)
    return outer * (1 + (lips - 1) * around)
