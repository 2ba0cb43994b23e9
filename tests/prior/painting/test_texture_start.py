"""The network that starts textures: what it adds, where, and that it can be learned."""

import torch

from prior.painting.texture_start import TextureStart, evidence_of

SIDE = 32


def test_untrained_it_adds_nothing_and_still_learns() -> None:
    """Kills a start that is noise before it is trained, and one whose zeros block all gradients."""
    network = TextureStart()
    evidence, features = torch.rand(4, SIDE, SIDE), torch.rand(13, SIDE, SIDE)
    texture = network.texture(evidence, features)
    assert torch.equal(texture, torch.cat([evidence[:3], features]))
    texture.square().sum().backward()
    assert network.head.weight.grad is not None
    assert float(network.head.weight.grad.abs().max()) > 0


def test_a_texel_speaks_for_its_own_place() -> None:
    """Kills blocks laid out in another order than they were taken: what changes in one corner of
    the evidence changes the texture there and far from there not at all."""
    torch.manual_seed(0)
    network = TextureStart()
    torch.nn.init.normal_(network.head.weight)
    evidence = torch.zeros(1, 4, 128, 128)
    changed = evidence.clone()
    changed[0, 0, 2, 121] = 1
    difference = (network(changed) - network(evidence)).abs().sum(1)[0]
    row, column = divmod(int(difference.argmax()), 128)
    assert row < 20
    assert column > 100
    assert float(difference[64:, :64].max()) == 0


def test_evidence_says_what_was_seen() -> None:
    """Kills holes that pass for footage."""
    seen = torch.zeros(SIDE, SIDE)
    seen[:, :16] = 2.0
    colours = torch.full((3, SIDE, SIDE), 0.5) * (seen > 0)
    evidence = evidence_of(colours, seen, torch.zeros(3, SIDE, SIDE))
    assert torch.equal(evidence[3], (seen > 0).float())
    assert torch.equal(evidence[:3, :, :16], colours[..., :16])
