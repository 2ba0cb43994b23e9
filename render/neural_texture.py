"""A learnable texture: sixteen features a texel; the first three are the person's colours."""

from jaxtyping import Float
from torch import Tensor, nn

from render.sampling import sample_texture

CHANNELS = 16
COLOURS = 3
SIZE = 256
"""Texels a side of the light size's; a larger one has as many for each pixel of a face."""


class NeuralTexture(nn.Module):
    """Features `[C R R]` over the UV square (Thies et al. 2019), looked up bilinearly.

    Colours are network values: rgb_coded scaled to [−1, 1].
    """

    def __init__(self, features: Float[Tensor, "C R R"]) -> None:
        super().__init__()
        self.features = nn.Parameter(features.clone())

    def forward(
        self, uv: Float[Tensor, "B 2 H W"], mask: Float[Tensor, "B 1 H W"]
    ) -> Float[Tensor, "B C H W"]:
        return sample_texture(self.features[None], uv, mask)
