"""The deferred renderer: a U-Net that turns per-pixel conditions into a picture.

It works on 2 × 2 blocks of pixels and blends the warped references and the
texture's own colours before it adds what they lack: what can be copied stays sharp, what cannot is
painted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pixel_shuffle

from core.size import SCALES, Size

BLOCK = 2
STRIDE = 16
"""Sides of the rendered window must be multiples of this, in pixels of the light size."""


@dataclass(frozen=True)
class RendererConfig:
    """Widths of the U-Net at 1/2, 1/4, 1/8, 1/16 ... of the resolution, its inputs, its size."""

    features: int = 16
    references: int = 2
    widths: tuple[int, ...] = (40, 80, 144, 192)
    size: Size = "light"

    @property
    def scale(self) -> int:
        """Pixels a side, of faces, windows and texture alike, for one of the light size's."""
        return SCALES[self.size]


RENDERERS: Mapping[Size, RendererConfig] = MappingProxyType(
    {
        "light": RendererConfig(),
        # A level more, so that the deepest one sees as much of a face.
        "full": RendererConfig(widths=(48, 96, 144, 192, 256), size="full"),
    }
)


class Residual(nn.Module):
    """Two 3 × 3 convolutions around which the signal also passes unchanged."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        # Starting as the identity keeps a network without normalisation well scaled.
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(nn.functional.leaky_relu(self.first(x), 0.2))


class DeferredRenderer(nn.Module):
    """Conditions to colours in [−1, 1]; widths and inputs as in the config.

    Inputs: `features` (texture, 0 outside the inner mask), `plate` (colours outside the outer mask
    only), `masks` (inner, outer), `references` (colours and visibility of each).
    """

    def __init__(self, config: RendererConfig = RendererConfig()) -> None:
        super().__init__()
        self.config = config
        inputs = config.features + 3 + 2 + 4 * config.references
        finest, steps = config.widths[0], list(pairwise(config.widths))
        self.stem = nn.Conv2d(inputs * BLOCK**2, finest, 1)
        self.down = nn.ModuleList([nn.Conv2d(fine, coarse, 3, 2, 1) for fine, coarse in steps])
        self.encode = nn.ModuleList([Residual(w) for w in config.widths])
        self.up = nn.ModuleList([nn.Conv2d(coarse, fine, 1) for fine, coarse in reversed(steps)])
        self.decode = nn.ModuleList([Residual(w) for w in reversed(config.widths[:-1])])
        sources = config.references + 1
        self.head = nn.Conv2d(finest, (3 + sources) * BLOCK**2, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # pyright: ignore[reportArgumentType]

    def forward(
        self,
        features: Float[Tensor, "B C H W"],
        plate: Float[Tensor, "B 3 H W"],
        masks: Float[Tensor, "B 2 H W"],
        references: Float[Tensor, "B K 4 H W"],
    ) -> Float[Tensor, "B 3 H W"]:
        inputs = torch.cat([features, plate, masks, references.flatten(1, 2)], 1)
        # The stem takes blocks of pixels: unshuffled, or in steps of a block without the copy.
        blocks = self.stem.weight.reshape(self.config.widths[0], inputs.shape[1], BLOCK, BLOCK)
        x = conv2d(inputs, blocks, self.stem.bias, stride=BLOCK)
        skips = []
        for level, encode in enumerate(self.encode):
            x = encode(x)
            if level < len(self.down):
                skips.append(x)
                x = nn.functional.leaky_relu(self.down[level](x), 0.2)
        for up, decode, skip in zip(self.up, self.decode, reversed(skips), strict=True):
            x = decode(interpolate(up(x), scale_factor=2.0, mode="nearest") + skip)
        out = pixel_shuffle(self.head(nn.functional.leaky_relu(x, 0.2)), BLOCK)
        return blended(out, features[:, :3], masks[:, :1], references)


def blended(
    out: Float[Tensor, "B D H W"],
    colours: Float[Tensor, "B 3 H W"],
    inner: Float[Tensor, "B 1 H W"],
    references: Float[Tensor, "B K 4 H W"],
) -> Float[Tensor, "B 3 H W"]:
    """The network's weights applied to what is there to copy, plus what it paints itself.

    Sources that a pixel does not show weigh nothing; where none does, only the painting remains.
    """
    painted, logits = out[:, :3], out[:, 3:]
    sources = torch.cat([colours[:, None], references[:, :, :3]], 1)
    present = torch.cat([inner[:, None], references[:, :, 3:]], 1)[:, :, 0]
    weights = logits.clamp(-12, 12).exp() * present
    weights = weights / (weights.sum(1, keepdim=True) + 1e-6)
    return painted + (weights[:, :, None] * sources).sum(1)
