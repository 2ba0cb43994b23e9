"""Light on the performer: a warm key with a cast shadow, a cool fill, a rim, a soft sky.

Directions point from the surface to the light, camera space. Colours are linear.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor

from render.fragments import rasterize

from .paint import Surface

_KEY, _FILL, _RIM = (-0.50, 0.52, 0.70), (0.75, 0.10, 0.65), (0.75, 0.45, -0.50)
_KEY_RGB, _FILL_RGB, _RIM_RGB = (2.15, 1.95, 1.70), (0.42, 0.48, 0.58), (0.60, 0.62, 0.70)
_SKY_RGB, _GROUND_RGB = (0.34, 0.36, 0.40), (0.20, 0.16, 0.14)
# Light that enters skin leaves it beyond the terminator, red furthest.
_WRAP = (0.30, 0.14, 0.09)
_CREVICE_METRES = 0.006
_SHADOW_SIZE, _SHADOW_REACH = 512, 0.20


def shaded(
    surface: Surface,
    position: Float[Tensor, "N 3"],
    normal: Float[Tensor, "N 3"],
    key_visible: Float[Tensor, " N"],
    openness: Float[Tensor, " N"],
) -> Float[Tensor, "N 3"]:
    """Linear colour towards a camera at the origin."""
    view = F.normalize(-position, dim=-1)
    sky = 0.5 + 0.5 * normal[:, 1:2]
    ambient = sky * torch.tensor(_SKY_RGB) + (1 - sky) * torch.tensor(_GROUND_RGB)
    light = ambient * openness[:, None]
    shine = torch.zeros_like(position)
    soft = torch.sqrt(openness)
    for direction, rgb, visible in (
        (_KEY, _KEY_RGB, key_visible * soft),
        (_FILL, _FILL_RGB, openness),
        (_RIM, _RIM_RGB, openness),
    ):
        towards = F.normalize(torch.tensor(direction), dim=0)
        facing = normal @ towards
        wrap = torch.tensor(_WRAP)
        wrapped = ((facing[:, None] + wrap) / (1 + wrap)).clamp(0) ** 1.2
        light = light + wrapped * visible[:, None] * torch.tensor(rgb)
        half = F.normalize(view + towards, dim=-1)
        lobe = (normal * half).sum(-1).clamp(0) ** surface.sharpness * (facing > 0)
        strength = surface.gloss * lobe * visible
        shine = shine + strength[:, None] * torch.tensor(rgb)
    grazing = (1 - (normal * view).sum(-1).clamp(0, 1)) ** 4 * surface.gloss * openness
    return surface.albedo * light + shine + 0.12 * grazing[:, None]


def key_visibility(
    position: Float[Tensor, "N 3"],
    vertices: Float[Tensor, "V 3"],
    triangles: Int[Tensor, "F 3"],
) -> Float[Tensor, " N"]:
    """Share of the key light that reaches points: a shadow map read in a soft neighbourhood."""
    towards = F.normalize(torch.tensor(_KEY), dim=0)
    right = F.normalize(torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]), towards), dim=0)
    frame = torch.stack([right, torch.linalg.cross(towards, right), towards])
    centre = vertices.mean(0)

    def seen(points: Tensor) -> Tensor:
        local = (points - centre) @ frame.T / _SHADOW_REACH
        return local * torch.tensor([1.0, 1.0, -1.0])

    clip = torch.cat([seen(vertices), torch.ones(len(vertices), 1)], -1)[None]
    depth = rasterize(clip, triangles, _SHADOW_SIZE, _SHADOW_SIZE).depth[:, None]
    local = seen(position)
    grid = local[:, :2] * torch.tensor([1.0, -1.0])
    bias = 0.004 / _SHADOW_REACH
    lit = torch.zeros(len(position))
    ring = [(0.0, 0.0)] + [(float(a.cos()), float(a.sin())) for a in torch.arange(6) * 1.0472]
    for radius in (0.008, 0.018):
        for x, y in ring:
            at = grid + radius * torch.tensor([x, y])
            near = F.grid_sample(depth, at[None, None], mode="bilinear", align_corners=False)
            lit += torch.sigmoid((near.flatten() + bias - local[:, 2]) * 400)
    return lit / (2 * len(ring))


def crevice_openness(
    depth_metres: Float[Tensor, "H W"], covered: Bool[Tensor, "H W"]
) -> Float[Tensor, "H W"]:
    """1 in the open, less where a pixel lies behind its surroundings (Luft et al. 2006)."""
    open_share = torch.ones_like(depth_metres)
    weight = covered.float()
    for radius, strength in ((2, 260.0), (6, 110.0)):
        around = box_blur(depth_metres * weight, radius) / box_blur(weight, radius).clamp(1e-6)
        behind = (depth_metres - around).clamp(min=0)
        # A drop of a centimetre is a silhouette, not a crevice.
        behind = behind * torch.exp(-((behind / _CREVICE_METRES) ** 2))
        open_share = open_share * torch.exp(-strength * behind)
    return torch.where(covered, open_share, torch.ones_like(open_share))


def box_blur(image: Float[Tensor, "H W"], radius: int) -> Float[Tensor, "H W"]:
    """Three box filters, close to a Gaussian of standard deviation `radius`."""
    size = 2 * radius + 1
    blurred = image[None, None]
    for _ in range(3):
        blurred = F.avg_pool2d(blurred, (size, 1), 1, (radius, 0), count_include_pad=False)
        blurred = F.avg_pool2d(blurred, (1, size), 1, (0, radius), count_include_pad=False)
    return blurred[0, 0]
