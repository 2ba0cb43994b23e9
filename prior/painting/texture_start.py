"""The feed-forward start of a texture: what a few frames tell of all its features, without a step.

Footage unprojected into the texture has colours, holes and nothing else. A small network that saw
many people says what they mean: where teeth, stubble or a fold are, and what a hole may hold.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, pixel_shuffle, pixel_unshuffle

from face3d.unwrap import filled
from render.deferred import Residual
from render.neural_texture import CHANNELS, COLOURS

BLOCK = 4
WIDTH = 48
KNOWN = 1e-2
"""Weight of a texel that footage shows, see `unwrap`."""


class TextureStart(nn.Module):
    """Evidence to what a person's texture has beyond their colours and everybody's features.

    Works on blocks of 4 × 4 texels and half of that; untrained it adds nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d((COLOURS + 1) * BLOCK**2, WIDTH, 3, padding=1)
        self.fine = Residual(WIDTH)
        self.down = nn.Conv2d(WIDTH, 2 * WIDTH, 3, 2, 1)
        self.coarse = Residual(2 * WIDTH)
        self.up = nn.Conv2d(2 * WIDTH, WIDTH, 1)
        self.head = nn.Conv2d(WIDTH, CHANNELS * BLOCK**2, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, evidence: Float[Tensor, "B 4 R R"]) -> Float[Tensor, "B C R R"]:
        x = self.fine(leaky_relu(self.stem(pixel_unshuffle(evidence, BLOCK)), 0.2))
        coarse = self.coarse(leaky_relu(self.down(x), 0.2))
        x = x + interpolate(self.up(coarse), scale_factor=2.0, mode="nearest")
        return pixel_shuffle(self.head(leaky_relu(x, 0.2)), BLOCK)

    def texture(
        self, evidence: Float[Tensor, "4 R R"], features: Float[Tensor, "D R R"]
    ) -> Float[Tensor, "C R R"]:
        """The whole texture to start from; `features` are everybody's."""
        return torch.cat([evidence[:COLOURS], features]) + self(evidence[None])[0]


def evidence_of(
    colours: Float[Tensor, "3 R R"],
    seen: Float[Tensor, "R R"],
    fallback: Float[Tensor, "3 R R"],
) -> Float[Tensor, "4 R R"]:
    """Unprojected colours with holes filled from everybody's, and where there were none."""
    return torch.cat([filled(colours, seen, fallback), (seen > KNOWN).float()[None]])
