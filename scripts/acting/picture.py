"""From a posed head to the picture a camera would record: 8-bit sRGB, supersampled."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from core.camera import Camera
from render.fragments import interpolate, rasterize
from render.mesh import vertex_normals

from .head import GUMS, Head
from .light import Lighting, crevice_openness, key_visibility, resting_openness, shaded
from .noise import value_noise
from .paint import Paint, Palette

_SUPERSAMPLING = 2
_EXPOSURE = 0.8
_SMOOTH_METRES = 0.003


@dataclass(frozen=True)
class Studio:
    """What stays the same over the clip."""

    head: Head
    paint: Paint
    camera: Camera
    lighting: Lighting
    openness: Float[Tensor, " V"]
    backdrop_linear: Float[Tensor, "3 H W"]


def build_studio(head: Head, camera: Camera, palette: Palette, lighting: Lighting) -> Studio:
    side = _SUPERSAMPLING
    room = backdrop(camera.height * side, camera.width * side)
    return Studio(head, Paint(head, palette), camera, lighting, skin_openness(head), room)


def skin_openness(head: Head) -> Float[Tensor, " V"]:
    """Openness at rest, without what moving lips and lids uncover, nor what paint sets itself."""
    seen = resting_openness(head.rest, head.triangles)
    x, y, z = head.canonical.unbind(-1)
    mouth = (x.abs() < 0.034) & (y > -0.055) & (y < -0.018) & (z > 0.08)
    lids = (x.abs() > 0.014) & (x.abs() < 0.05) & (y > 0.024) & (y < 0.045) & (z > 0.07)
    inside = torch.zeros(len(seen), dtype=torch.bool)
    inside[head.triangles[head.material >= GUMS].long().flatten()] = True
    return torch.where(inside, 1.0, torch.where(mouth | lids, seen.clamp(min=0.7), seen))


def backdrop(height: int, width: int) -> Float[Tensor, "3 H W"]:
    """An unfocused room: a grey-green wall, a shelf, a lamp's glow."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    wall = 0.10 + 0.10 * np.exp(-((x - 0.85) ** 2 + (y - 0.2) ** 2) / 0.15) - 0.03 * y
    room = np.stack([wall * 0.92, wall * 1.0, wall * 0.95], -1)
    draw = np.random.default_rng(5)
    for shelf in (0.22, 0.50, 0.78):
        room[int(shelf * height) : int((shelf + 0.02) * height), : int(0.3 * width)] *= 0.45
        left = 0.0
        while left < 0.27:
            wide, tall = draw.uniform(0.012, 0.03), draw.uniform(0.10, 0.17)
            rows = slice(int((shelf - tall) * height), int(shelf * height))
            columns = slice(int(left * width), int((left + wide) * width))
            room[rows, columns] = draw.uniform(0.03, 0.16) * draw.uniform(0.5, 1.3, 3)
            left += wide
    room = cv2.GaussianBlur(room, (0, 0), height / 60)
    return torch.from_numpy(room.astype(np.float32)).permute(2, 0, 1)


def drawn_frame(studio: Studio, vertices: Float[Tensor, "V 3"]) -> Float[Tensor, "3 H W"]:
    """Coded sRGB in [0, 1] of a head whose vertices are given in camera space.

    A pixel whose samples lie on one smooth surface is shaded once, at their mean; the others,
    silhouettes and borders between materials, once a sample.
    """
    head, side = studio.head, _SUPERSAMPLING
    camera = studio.camera.cropped(
        0, 0, side, studio.camera.width * side, studio.camera.height * side
    )
    clip = camera.clip_from_camera(vertices)[None]
    fragments = rasterize(clip, head.triangles, camera.height, camera.width)
    face = fragments.face[0]
    normals = vertex_normals(vertices[None], head.triangles)[0]
    attributes = torch.cat([vertices, normals, head.canonical, studio.openness[:, None]], -1)[None]
    samples = interpolate(fragments, attributes, head.triangles)[0]
    material = torch.where(face >= 0, head.material[face.long().clamp(min=0)], -1)

    pixels = F.avg_pool2d(samples[None], side)[0]
    share = F.avg_pool2d((face >= 0).float()[None], side)[0]
    kinds = extremes(material.float())
    depths = extremes(samples[2])
    smooth = (kinds[0] == kinds[1]) & (kinds[0] >= 0) & (depths[1] - depths[0] < _SMOOTH_METRES)
    ragged = (face >= 0) & ~enlarged(smooth)
    points = torch.cat([pixels[:, smooth], samples[:, ragged]], 1).T
    kind = torch.cat([kinds[0][smooth].long(), material[ragged]])

    openness = crevice_openness(-pixels[2] / share.clamp(min=0.25), share > 0)
    openness = torch.cat([openness[smooth], enlarged(openness)[ragged]])
    colours = shaded_points(studio, vertices, points, kind, openness)
    fine = studio.backdrop_linear.clone()
    fine[:, ragged] = colours[smooth.sum() :].T
    picture = F.avg_pool2d(fine[None], side)[0]
    picture[:, smooth] = colours[: smooth.sum()].T
    return coded(picture)


def shaded_points(
    studio: Studio,
    vertices: Float[Tensor, "V 3"],
    points: Float[Tensor, "N 10"],
    material: Int64[Tensor, " N"],
    openness: Float[Tensor, " N"],
) -> Float[Tensor, "N 3"]:
    """Linear colours of points given by position, normal, canonical position, resting openness."""
    position, normal, canonical, resting = points.split((3, 3, 3, 1), dim=-1)
    surface = studio.paint.surface(canonical, material)
    light = studio.lighting
    key = key_visibility(position, vertices, studio.head.triangles, light.key)
    bumpy = F.normalize(normal + roughness(canonical, material), dim=-1)
    return shaded(surface, position, bumpy, key, openness * surface.openness * resting[:, 0], light)


def extremes(values: Float[Tensor, "H2 W2"]) -> Float[Tensor, "2 H W"]:
    """Least and greatest sample of every pixel."""
    both = torch.stack([-values, values])
    return F.max_pool2d(both[None], _SUPERSAMPLING)[0] * torch.tensor([-1.0, 1.0])[:, None, None]


def enlarged(values: Shaped[Tensor, "H W"]) -> Shaped[Tensor, "H2 W2"]:
    """Every pixel's value at its samples."""
    side = _SUPERSAMPLING
    return values.repeat_interleave(side, 0).repeat_interleave(side, 1)


def roughness(canonical: Float[Tensor, "N 3"], material: Tensor) -> Float[Tensor, "N 3"]:
    """How pores tilt the normal of skin; other materials are smooth."""
    tilt = torch.stack([value_noise(canonical * 600, seed) for seed in (31, 32, 33)], -1)
    return 0.05 * tilt * (material < 2)[:, None]


def coded(linear: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 H W"]:
    """sRGB code values of linear light with a soft shoulder above 0.7."""
    exposed = linear.clamp(0) * _EXPOSURE
    knee = 0.7
    over = (exposed - knee).clamp(0)
    rolled = torch.where(
        exposed > knee, knee + (1 - knee) * (1 - torch.exp(-over / (1 - knee))), exposed
    )
    return torch.where(
        rolled <= 0.0031308, 12.92 * rolled, 1.055 * rolled.clamp(1e-8) ** (1 / 2.4) - 0.055
    )


def grained(picture: Float[Tensor, "3 H W"], strength: float, seed: int) -> Float[Tensor, "3 H W"]:
    """Sensor noise, mostly in brightness, softened as a demosaicker would."""
    draw = torch.Generator().manual_seed(seed)
    noise = torch.randn(4, *picture.shape[1:], generator=draw)
    noise = F.avg_pool2d(noise[None], 3, 1, 1)[0] * math.sqrt(3) * 0.7 + 0.3 * noise
    return (picture + strength * (noise[:1] + 0.4 * noise[1:])).clamp(0, 1)
