"""Light on the performer: a key with a cast shadow, a fill, a rim, a soft sky.

Directions point from the surface to the light, camera space. Colours are linear.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor

from render.fragments import rasterize
from render.mesh import vertex_normals

from .paint import Surface

# Light that enters skin leaves it beyond the terminator, red furthest.
_WRAP = (0.30, 0.14, 0.09)
_CREVICE_METRES = 0.006
_SKY_DIRECTIONS = 64
_SHADOW_SIZE, _SHADOW_REACH = 512, 0.20
RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Lamp:
    """Light from afar."""

    direction: RGB
    rgb: RGB


@dataclass(frozen=True)
class Lighting:
    """Three lamps, of which the key casts a shadow, and light from above and below."""

    key: Lamp = Lamp((-0.50, 0.52, 0.70), (2.15, 1.95, 1.70))
    fill: Lamp = Lamp((0.75, 0.10, 0.65), (0.42, 0.48, 0.58))
    rim: Lamp = Lamp((0.75, 0.45, -0.50), (0.35, 0.36, 0.41))
    sky: RGB = (0.34, 0.36, 0.40)
    ground: RGB = (0.20, 0.16, 0.14)


LIGHTING = Lighting()


def shaded(
    surface: Surface,
    position: Float[Tensor, "N 3"],
    normal: Float[Tensor, "N 3"],
    key_visible: Float[Tensor, " N"],
    openness: Float[Tensor, " N"],
    lighting: Lighting,
) -> Float[Tensor, "N 3"]:
    """Linear colour towards a camera at the origin."""
    view = F.normalize(-position, dim=-1)
    sky = 0.5 + 0.5 * normal[:, 1:2]
    ambient = sky * torch.tensor(lighting.sky) + (1 - sky) * torch.tensor(lighting.ground)
    light = ambient * openness[:, None]
    shine = torch.zeros_like(position)
    soft = torch.sqrt(openness)
    for lamp, visible in (
        (lighting.key, key_visible * soft),
        (lighting.fill, openness),
        (lighting.rim, openness),
    ):
        towards, rgb = F.normalize(torch.tensor(lamp.direction), dim=0), torch.tensor(lamp.rgb)
        facing = normal @ towards
        wrap = torch.tensor(_WRAP)
        wrapped = ((facing[:, None] + wrap) / (1 + wrap)).clamp(0) ** 1.2
        light = light + wrapped * visible[:, None] * rgb
        half = F.normalize(view + towards, dim=-1)
        lobe = (normal * half).sum(-1).clamp(0) ** surface.sharpness * (facing > 0)
        strength = surface.gloss * lobe * visible
        shine = shine + strength[:, None] * rgb
    grazing = (1 - (normal * view).sum(-1).clamp(0, 1)) ** 4 * surface.gloss * openness
    return surface.albedo * light + shine + 0.12 * grazing[:, None]


def key_visibility(
    position: Float[Tensor, "N 3"],
    vertices: Float[Tensor, "V 3"],
    triangles: Int[Tensor, "F 3"],
    key: Lamp,
) -> Float[Tensor, " N"]:
    """Share of the key light that reaches points, with the soft edge of a large lamp."""
    ring = [(float(a.cos()), float(a.sin())) for a in torch.arange(6) * (math.pi / 3)]
    soft = [(0.0, 0.0)] + [(r * x, r * y) for r in (0.006, 0.011, 0.017) for x, y in ring]
    return light_share(position, vertices, triangles, torch.tensor(key.direction), soft, 0.004)


def resting_openness(
    vertices: Float[Tensor, "V 3"], triangles: Int[Tensor, "F 3"]
) -> Float[Tensor, " V"]:
    """Share of the hemisphere that each vertex sees past the others, weighted by the cosine.

    Directions are a Fibonacci sphere; each is one shadow map.
    """
    normals = vertex_normals(vertices[None], triangles)[0]
    steps = torch.arange(_SKY_DIRECTIONS) + 0.5
    height = 1 - 2 * steps / _SKY_DIRECTIONS
    turn = steps * math.pi * (3 - math.sqrt(5))
    flat = (1 - height**2).sqrt()
    directions = torch.stack([flat * turn.cos(), height, flat * turn.sin()], -1)
    seen, whole = torch.zeros(len(vertices)), torch.zeros(len(vertices))
    for towards in directions:
        facing = (normals @ towards).clamp(min=0)
        lit = light_share(vertices, vertices, triangles, towards, [(0.0, 0.0)], 0.0015)
        seen, whole = seen + facing * lit, whole + facing
    return seen / whole.clamp(min=1e-6)


def light_share(
    position: Float[Tensor, "N 3"],
    vertices: Float[Tensor, "V 3"],
    triangles: Int[Tensor, "F 3"],
    direction: Float[Tensor, "3"],
    offsets: list[tuple[float, float]],
    bias_metres: float,
) -> Float[Tensor, " N"]:
    """How much light from afar reaches points: the mean of a shadow map read at `offsets`.

    Offsets are shares of the map's half width, `_SHADOW_REACH` metres.
    """
    towards = F.normalize(direction, dim=0)
    right = F.normalize(torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]), towards), dim=0)
    frame = torch.stack([right, torch.linalg.cross(towards, right), towards])
    centre = vertices.mean(0)

    def seen(points: Tensor) -> Tensor:
        return (points - centre) @ frame.T / _SHADOW_REACH * torch.tensor([1.0, 1.0, -1.0])

    clip = torch.cat([seen(vertices), torch.ones(len(vertices), 1)], -1)[None]
    depth = rasterize(clip, triangles, _SHADOW_SIZE, _SHADOW_SIZE).depth[:, None]
    local = seen(position)
    grid = local[:, :2] * torch.tensor([1.0, -1.0])
    lit = torch.zeros(len(position))
    for offset in offsets:
        near = F.grid_sample(depth, (grid + torch.tensor(offset))[None, None], align_corners=False)
        lit += torch.sigmoid((near.flatten() + bias_metres / _SHADOW_REACH - local[:, 2]) * 400)
    return lit / len(offsets)


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
