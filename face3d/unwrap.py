"""Visible pixels to the texture: a person's colours in UV, fused over frames."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from face3d.anatomy import FACE_V


def unwrap(
    uv: Iterable[Float[Tensor, "2 _ _"]], images: Iterable[UInt8[Tensor, "3 _ _"]], size: int
) -> tuple[Float[Tensor, "3 R R"], Float[Tensor, "R R"]]:
    """Colours in [−1, 1] of each texel, averaged over the frames that show it, and its weight.

    `uv` are the views' texture coordinates, 0 where they show nothing; a view is as large as its
    image, another may be larger. Pixels are splatted bilinearly. Inside the mouth the brighter
    frames win: a tooth is seen in few frames and is brighter than the shadow or lip that stands
    there otherwise.
    """
    total = torch.zeros(3, size * size)
    weight = torch.zeros(size * size)
    for coordinates, image in zip(uv, images, strict=True):
        covered = (coordinates > 0).all(0).flatten()
        at = coordinates.flatten(1)[:, covered]
        colours = image.flatten(1)[:, covered].float() / 127.5 - 1
        inside = (at[1] > FACE_V).float()
        bright = (colours.mean(0) + 1).square() * inside + 1 - inside
        corner = (at * size - 0.5).floor()
        part = at * size - 0.5 - corner
        for dx in (0, 1):
            for dy in (0, 1):
                share = (part[0] if dx else 1 - part[0]) * (part[1] if dy else 1 - part[1]) * bright
                x = (corner[0] + dx).long().clamp(0, size - 1)
                y = (corner[1] + dy).long().clamp(0, size - 1)
                total.index_add_(1, y * size + x, colours * share)
                weight.index_add_(0, y * size + x, share)
    seen = weight > 1e-3
    mean = total / weight.clamp_min(1e-3)
    mean[:, ~seen] = 0
    return mean.reshape(3, size, size), weight.reshape(size, size)


def filled(
    colours: Float[Tensor, "3 R R"],
    weight: Float[Tensor, "R R"],
    fallback: Float[Tensor, "3 R R"],
) -> Float[Tensor, "3 R R"]:
    """Colours where a texel was seen, elsewhere the fallback's, in the light of what was seen near.

    Push-pull of the difference to the fallback: coarser and coarser means fill holes, and reach at
    most an eighth of the texture. The fallback keeps its own detail.
    """
    known = (weight > 1e-2).float()[None, None]
    values = (colours - fallback)[None] * known
    layers = [(values, known)]
    for _ in range(5):
        values = torch.nn.functional.avg_pool2d(values, 2)
        known = torch.nn.functional.avg_pool2d(known, 2)
        layers.append((values, known))
    result = torch.zeros_like(values)
    for values, known in reversed(layers):
        size = values.shape[-2:]
        result = torch.nn.functional.interpolate(result, size, mode="bilinear")
        here = values / known.clamp_min(1e-6)
        result = torch.where(known > 1e-6, known.clamp_max(1) * here + (1 - known) * result, result)
    return fallback + result[0]
