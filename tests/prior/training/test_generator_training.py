"""What the generator is taught on: windows, styles and scales of made-up people."""

import numpy as np
import torch

from prior.motion.generator import style_of
from prior.motion.movement import load_movement
from prior.training.train_generator import WINDOW, GeneratorLoss, Prompt, new_network


def prompts() -> list[Prompt]:
    """Two people; the second misses the expected mouth by twice as much as the first."""
    random = torch.Generator().manual_seed(0)
    made = []
    for person in (0, 1):
        expected = torch.randn(200, 20, generator=random)
        missed = (1 + person) * torch.randn(200, 20, generator=random)
        understood = torch.randn(200, 4, generator=random)
        known = torch.ones(200, dtype=torch.bool)
        made.append(Prompt(understood, expected, expected + missed, known, person))
    return made


def test_a_seed_is_a_batch() -> None:
    """Kills a batch from a global source: a resumed training would go elsewhere."""
    made = prompts()
    loss = GeneratorLoss(new_network(0, made), made, load_movement(), 4)
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(float(loss(seed)["flow"].detach()))
    assert values[0] == values[1] != values[2]


def test_windows_hold_together_and_styles_are_the_speaker_s() -> None:
    """Kills truth of another window than what was understood, and another person's style."""
    made = prompts()
    network = new_network(0, made)
    loss = GeneratorLoss(network, made, load_movement(), 4)
    random = np.random.default_rng(0)
    own = style_of(made[1].mouth)
    for _ in range(5):
        understood, expected, mouth, known, style = loss.window(1, random)
        begin = int((made[1].understood == understood[0]).all(1).nonzero()[0])
        assert torch.equal(mouth, made[1].mouth[begin : begin + WINDOW])
        assert torch.equal(expected, made[1].expected[begin : begin + WINDOW])
        assert bool(known.all())
        blur = (style - own) / network.style_scale
        average = bool((style == network.style_mean).all())
        assert average or float(blur.std()) < 0.5


def test_deviations_are_counted_in_their_own_spread() -> None:
    """Kills a spread of the mouth instead of what is missed: the mean of 1² and 2² is 2.5."""
    network = new_network(0, prompts())
    assert torch.allclose(network.spread, torch.full((20,), 2.5**0.5), rtol=0.15)
