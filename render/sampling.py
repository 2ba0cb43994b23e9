"""Bilinear lookups in textures (UV) and images (pixels), differentiable to both arguments.

UV (0, 0) is a texture's top-left corner, v down. Pixel and texel centres lie at +½.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor


def sample_texture(
    texture: Float[Tensor, "#B C R S"],
    uv: Float[Tensor, "B 2 H W"],
    mask: Float[Tensor, "B 1 H W"] | Bool[Tensor, "B 1 H W"],
) -> Float[Tensor, "B C H W"]:
    """The texture at `uv`, times `mask`. Beyond the last texel centres the border continues."""
    grid = (2 * uv - 1).permute(0, 2, 3, 1)
    texels = F.grid_sample(
        texture.expand(len(uv), -1, -1, -1), grid, "bilinear", "border", align_corners=False
    )
    return texels * mask


def sample_image(
    image: Float[Tensor, "#B C H W"], xy_pixels: Float[Tensor, "B 2 h w"]
) -> Float[Tensor, "B C h w"]:
    """The image at pixel coordinates. Outside is 0, reached over the pixel around the border."""
    height, width = image.shape[-2:]
    size = torch.tensor([width, height], dtype=xy_pixels.dtype, device=xy_pixels.device)
    grid = 2 * xy_pixels.permute(0, 2, 3, 1) / size - 1
    return F.grid_sample(
        image.expand(len(xy_pixels), -1, -1, -1), grid, "bilinear", "zeros", align_corners=False
    )
