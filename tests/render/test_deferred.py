"""The deferred renderer copies what is there and nothing that is not."""

import pytest
import torch

from render.deferred import DeferredRenderer, RendererConfig, blended

SMALL = RendererConfig(features=5, references=2, widths=(8, 8, 8, 8))


def sources(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Texture colours, inner mask and references of 16 × 32 pixels, partly absent."""
    random = torch.Generator().manual_seed(seed)
    colours = 2 * torch.rand(1, 3, 16, 32, generator=random) - 1
    inner = (torch.rand(1, 1, 16, 32, generator=random) > 0.3).float()
    references = 2 * torch.rand(1, 2, 4, 16, 32, generator=random) - 1
    references[:, :, 3] = (references[:, :, 3] > 0).float()
    return colours, inner, references


def test_a_blend_is_the_softmax_of_what_is_present() -> None:
    """Kills a softmax over absent sources: against a loop over pixels."""
    colours, inner, references = sources()
    out = torch.randn(1, 6, 16, 32, generator=torch.Generator().manual_seed(1))
    result = blended(out, colours, inner, references)
    for y, x in ((0, 0), (3, 17), (9, 30), (15, 31), (5, 5)):
        present = [inner[0, 0, y, x], *references[0, :, 3, y, x]]
        shown = [colours[0, :, y, x], *references[0, :, :3, y, x]]
        weights = [p * w.exp() for p, w in zip(present, out[0, 3:, y, x], strict=True)]
        total = sum(weights) + 1e-12
        expected = out[0, :3, y, x] + sum(
            w / total * c for w, c in zip(weights, shown, strict=True)
        )
        torch.testing.assert_close(result[0, :, y, x], expected, atol=2e-5, rtol=0)


def test_absent_sources_weigh_nothing() -> None:
    """Kills a leak: whatever an absent source holds, and however it is favoured, the picture is the
    same; where none is present only the painting remains."""
    colours, inner, references = sources()
    out = torch.zeros(1, 6, 16, 32)
    out[:, 3:] = torch.tensor([30.0, 60.0, 90.0])[:, None, None]
    before = blended(out, colours, inner, references)
    garbage = references.clone()
    garbage[:, :, :3] += 50 * (1 - references[:, :, 3:])
    after = blended(out, colours + 50 * (1 - inner), inner, garbage)
    assert torch.equal(before, after)
    nothing = (inner + references[:, :, 3:].sum(1)) == 0
    assert bool(nothing.any())
    assert float(before[nothing.expand_as(before)].abs().max()) == 0
    assert bool(torch.isfinite(before).all())


def test_a_new_network_shows_the_mean_of_its_sources() -> None:
    """Kills a head that starts with noise: the first picture is the plain copy."""
    colours, inner, references = sources()
    features = torch.cat([colours, torch.ones(1, 2, 16, 32)], 1)
    masks = torch.cat([inner, torch.ones_like(inner)], 1)
    network = DeferredRenderer(SMALL)
    made = network(features, torch.zeros(1, 3, 16, 32), masks, references)
    weights = torch.cat([inner, references[:, :, 3]], 1)
    every = torch.cat([colours[:, None], references[:, :, :3]], 1)
    mean = (weights[:, :, None] * every).sum(1) / weights.sum(1, keepdim=True).clamp_min(1)
    torch.testing.assert_close(made, mean, atol=1e-5, rtol=0)


def test_a_pixel_is_painted_where_it_is_seen() -> None:
    """Kills an unshuffle whose shuffle puts blocks elsewhere: a trained network's answer to one
    bright plate pixel lies around that pixel. The network sees about 40 pixels around it."""
    torch.manual_seed(0)
    network = DeferredRenderer(SMALL)
    torch.nn.init.normal_(network.head.weight)
    plate = torch.zeros(1, 3, 48, 160)
    masks, features = torch.ones(1, 2, 48, 160), torch.zeros(1, 5, 48, 160)
    references = torch.zeros(1, 2, 4, 48, 160)
    dark = network(features, plate, masks, references)
    plate[..., 20, 130] = 1
    change = (network(features, plate, masks, references) - dark).abs().sum(1)[0]
    assert float(change[:, :60].max()) == 0
    assert abs(int(change.sum(0).argmax()) - 130) < 6


@pytest.mark.parametrize("size", [(144, 176), (16, 16)])
def test_every_parameter_learns(size: tuple[int, int]) -> None:
    """Kills a branch that is computed and dropped: once the head is not 0, all have gradients."""
    torch.manual_seed(0)
    network = DeferredRenderer(SMALL)
    for block in (*network.encode, *network.decode):
        torch.nn.init.normal_(block.second.weight, std=0.1)
    torch.nn.init.normal_(network.head.weight, std=0.1)
    made = network(
        torch.randn(2, 5, *size), torch.randn(2, 3, *size), torch.ones(2, 2, *size),
        torch.rand(2, 2, 4, *size),
    )  # fmt: skip
    assert made.shape == (2, 3, *size)
    made.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name
