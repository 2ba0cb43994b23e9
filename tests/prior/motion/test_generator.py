"""Takes: seeds, blocks, styles, and that flow matching learns a distribution."""

from pathlib import Path

import pytest
import torch

from prior.motion import generator
from prior.motion.generator import Generator, GeneratorShape, VelocityNetwork, noise, style_of

SMALL = GeneratorShape(width=12, understood=4, style=40, mouth=20)


def lively() -> Generator:
    """Random weights everywhere, also where training starts at zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = VelocityNetwork(SMALL).eval()
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.1)
    return Generator(network, {})


def prompt(moments: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return (
        torch.randn(moments, 4, generator=random),
        torch.randn(moments, 20, generator=random),
    )


def test_a_seed_is_a_take() -> None:
    """Kills noise from a global source, and a seed that is not used."""
    heard, expected = prompt(80)
    takes = [lively().take(heard, expected, None, seed) for seed in (3, 3, 4)]
    assert torch.equal(takes[0], takes[1])
    assert float((takes[0] - takes[2]).abs().max()) > 0.1


def test_a_long_line_is_the_same_take_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills noise that belongs to a block instead of a moment, and seams."""
    heard, expected = prompt(400)
    whole = lively().take(heard, expected, None, 0)
    monkeypatch.setattr(generator, "BLOCK", 130)
    assert torch.allclose(lively().take(heard, expected, None, 0), whole, atol=1e-4)


def test_noise_belongs_to_its_moment() -> None:
    """Kills noise that depends on where a piece begins, before the line too."""
    whole = noise(7, -60, 120, 3)
    assert torch.equal(noise(7, -13, 58, 3), whole[47:118])
    assert float(whole.std()) == pytest.approx(1, abs=0.1)


def test_style_knows_posture_and_range() -> None:
    """Kills a spread that counts the mean."""
    mouth = torch.zeros(200, 20)
    mouth[:, 0] = 3 + torch.sin(2 * torch.pi * torch.arange(200) / 50)
    style = style_of(mouth)
    assert float(style[0]) == pytest.approx(3, abs=0.01)
    assert float(style[20]) == pytest.approx(0.5**0.5, abs=0.01)
    assert style.count_nonzero() == 2


def test_a_style_changes_the_take() -> None:
    heard, expected = prompt(60)
    style = torch.ones(40)
    a, b = (lively().take(heard, expected, s, 0) for s in (None, style))
    assert float((a - b).abs().max()) > 0.01


class Straight(VelocityNetwork):
    """The exact field towards one deviation: where a point at τ must go to be there at 1."""

    def forward(self, x, time, understood, expected, style):  # type: ignore[no-untyped-def]
        return (3.0 - x) / (1 - time[:, None, None])


def test_a_flow_ends_where_its_field_leads() -> None:
    """Kills a velocity of the wrong sign, time that runs backwards or ends early, and a spread that
    is forgotten or applied to the expected mouth."""
    network = Straight(SMALL)
    network.spread.fill_(2.0)
    heard, expected = prompt(30)
    take = Generator(network, {}).take(heard, expected, None, 0)
    assert torch.allclose(take, expected + 6, atol=1e-4)


def test_the_file_gives_back_the_generator(tmp_path: Path) -> None:
    made = lively()
    made.save(tmp_path / "g.safetensors")
    heard, expected = prompt(30)
    again = Generator.load(tmp_path / "g.safetensors").take(heard, expected, None, 5)
    assert torch.allclose(again, made.take(heard, expected, None, 5), atol=0.05)
