"""The performer's colours: linear reflectance and gloss of any point of the canonical head.

Everything is a function of the canonical position (metres), so paint moves with the surface and
has no seams. Features drawn along landmarks are distance maps in the frontal (x, y) plane.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from .hair import hair_height
from .head import EYE, GUMS, NECK, SKIN, TEETH, Head, smoothstep
from .noise import fractal_noise, value_noise

_EXTENT, _MAP = 0.10, 2000  # metres each way from the origin, and samples across
_LIPS = list(range(48, 60))
_BROWS = (list(range(17, 22)), list(range(22, 27)))
_EYES = (list(range(36, 42)), list(range(42, 48)))
_UPPER_LIDS = ([36, 37, 38, 39], [42, 43, 44, 45])
_SEAM_UPPER, _SEAM_LOWER = [60, 61, 62, 63, 64], [60, 67, 66, 65, 64]

RGB = tuple[float, float, float]
IVORY: RGB = (0.74, 0.64, 0.48)
GUM_TONE: RGB = (0.36, 0.11, 0.11)
TONGUE_TONE: RGB = (0.46, 0.16, 0.15)


@dataclass(frozen=True)
class Palette:
    """What differs between people: linear reflectances. The iris has an inner and an outer one."""

    skin: RGB = (0.54, 0.325, 0.235)
    lips: RGB = (0.40, 0.135, 0.125)
    hair: RGB = (0.045, 0.026, 0.016)
    iris: tuple[RGB, RGB] = ((0.16, 0.10, 0.045), (0.07, 0.11, 0.09))
    cloth: RGB = (0.035, 0.075, 0.10)


PALETTE = Palette()


@dataclass(frozen=True)
class Surface:
    """What light meets: reflectance, strength and exponent of the highlight, openness to light."""

    albedo: Float[Tensor, "N 3"]
    gloss: Float[Tensor, " N"]
    sharpness: Float[Tensor, " N"]
    openness: Float[Tensor, " N"]


class Paint:
    """Distance maps of one head's features, looked up by `surface`."""

    def __init__(self, head: Head, palette: Palette) -> None:
        self.palette = palette
        xy = head.canonical[head.landmarks, :2].numpy()
        brows = [brow_depth(xy[points]) for points in _BROWS]
        self.maps = torch.from_numpy(
            np.stack(
                [
                    inside_distance(smooth_ring(xy[_LIPS], corners=(0, 6))),
                    line_distance([(xy[_SEAM_UPPER] + xy[_SEAM_LOWER]) / 2]),
                    np.maximum(*brows),
                    line_distance([smooth_ring(xy[ring], corners=(0, 3)) for ring in _EYES]),
                    line_distance([smooth_path(xy[lid]) for lid in _UPPER_LIDS]),
                ]
            ).astype(np.float32)
        )[None]
        self.eye_centres = torch.stack(
            [
                (points.amin(0) + points.amax(0)) / 2
                for points in (head.canonical[weight > 0] for weight in head.eye_weight)
            ]
        )

    def looked_up(self, canonical: Float[Tensor, "N 3"]) -> tuple[Tensor, ...]:
        """The maps at points, each `[N]`, in metres (brows: 0 to 1)."""
        grid = canonical[:, :2] * torch.tensor([1, -1]) / _EXTENT
        found = F.grid_sample(
            self.maps, grid[None, None], align_corners=False, padding_mode="border"
        )
        return found[0, :, 0].unbind(0)

    def surface(self, canonical: Float[Tensor, "N 3"], material: Int64[Tensor, " N"]) -> Surface:
        """Paint of visible points."""
        parts = {
            SKIN: self.skin,
            NECK: self.skin,
            GUMS: self.gums,
            TEETH: self.teeth,
            EYE: self.eye,
        }
        count = len(canonical)
        out = Surface(torch.zeros(count, 3), *(torch.zeros(count) for _ in range(3)))
        for kind, paint in parts.items():
            chosen: Bool[Tensor, " N"] = material == kind
            if chosen.any():
                part = paint(canonical[chosen])
                out.albedo[chosen] = part.albedo
                out.gloss[chosen] = part.gloss
                out.sharpness[chosen] = part.sharpness
                out.openness[chosen] = part.openness
        return out

    def skin(self, p: Float[Tensor, "N 3"]) -> Surface:
        """Skin with its lips, brows and lash lines, hair above it and cloth below."""
        lips, seam, brow, lids, upper_lid = self.looked_up(p)
        front = smoothstep(0.05, 0.07, p[:, 2])
        x, y, _ = p.unbind(-1)
        mottle = fractal_noise(p * 60, seed=1, octaves=3)
        fine = fractal_noise(p * 700, seed=2, octaves=2)
        albedo = tone(self.palette.skin, p) * (1 + 0.05 * mottle + 0.05 * fine)[:, None]
        red = 0.55 * spot(x.abs(), y, 0.048, -0.008, 0.024) + 0.5 * spot(x, y, 0, 0.004, 0.012)
        red = red + 0.2 * spot(x, y, 0, -0.066, 0.015) + 0.12 * fractal_noise(p * 130, 3, 2)
        albedo = albedo * (1 - red.clamp(0, 1)[:, None] * torch.tensor([0.04, 0.26, 0.24]))
        tired = 0.5 * spot(x.abs(), y, 0.030, 0.022, 0.012) * front
        albedo = albedo * (1 - tired[:, None] * torch.tensor([0.20, 0.26, 0.18]))
        freckled = spot(x.abs(), y, 0.035, 0.002, 0.028) + 0.5 * spot(x, y, 0, 0.06, 0.04)
        freckle = smoothstep(1.25, 1.9, value_noise(p * 330, 5)) * freckled.clamp(0, 1) * front
        albedo = blend(albedo, (0.27, 0.13, 0.08), 0.6 * freckle)

        lip = smoothstep(-0.0006, 0.0010, lips) * front
        creases = value_noise(p * torch.tensor([1100.0, 130, 130]), 7)
        lip_albedo = tone(self.palette.lips, p) * (1 + 0.09 * creases + 0.06 * mottle)[:, None]
        albedo = torch.lerp(albedo, lip_albedo, 0.92 * lip[:, None])
        rim = torch.exp(-(((lips - 0.0003) / 0.0009) ** 2)) * front
        albedo = albedo * (1 - 0.10 * rim)[:, None]
        albedo = blend(albedo, (0.10, 0.02, 0.02), 0.6 * torch.exp(-((seam / 0.0009) ** 2)) * lip)

        strands = 0.9 + 0.15 * value_noise(p * torch.tensor([900.0, 420, 300]), 9)
        albedo = blend(
            albedo, self.palette.hair, (brow * strands.clamp(0, 1)).clamp(0, 0.92) * front
        )
        lash = 0.9 * torch.exp(-((upper_lid / 0.0013) ** 2)) + 0.45 * torch.exp(
            -((lids / 0.0008) ** 2)
        )
        albedo = blend(albedo, (0.025, 0.014, 0.010), lash.clamp(0, 0.93) * front)

        hair = smoothstep(-0.005, 0.008, hair_height(p) + 0.0016 * value_noise(p * 700, 13))
        lock = value_noise(p * torch.tensor([500.0, 60, 160]), 15)
        hair_albedo = tone(self.palette.hair, p) * (1 + 0.45 * lock.clamp(-1.5, 2))[:, None]
        albedo = torch.lerp(albedo, hair_albedo, hair[:, None])
        cloth = smoothstep(-0.118, -0.1195, y + 0.25 * (p[:, 2] - 0.02) * (p[:, 2] > 0.02))
        knit = 1 + 0.25 * value_noise(p * torch.tensor([700.0, 250, 700]), 17)
        albedo = torch.lerp(albedo, tone(self.palette.cloth, p) * knit[:, None], cloth[:, None])

        matt = (1 - cloth) * (1 - 0.5 * hair)
        gloss = (0.10 + 0.14 * lip + 0.05 * spot(x, y, 0, 0.01, 0.02)) * matt
        gloss = gloss * (1 + 0.3 * fine).clamp(0.3)
        return Surface(albedo, gloss, 18 + 30 * lip, torch.ones(len(p)))

    def gums(self, p: Float[Tensor, "N 3"]) -> Surface:
        """Tongue and gums, darker the deeper they lie."""
        x, y, z = p.unbind(-1)
        tongue = (y < -0.0295) & (y > -0.045) & (z < 0.098) & (x.abs() < 0.022)
        colour = torch.where(tongue[:, None], tone(TONGUE_TONE, p), tone(GUM_TONE, p))
        colour = colour * (1 + 0.08 * fractal_noise(p * 500, 19, 2))[:, None]
        openness = torch.exp(-((0.104 - z).clamp(0) / 0.011)) + 0.015
        return Surface(colour, 0.35 * openness, torch.full_like(x, 40), openness)

    def teeth(self, p: Float[Tensor, "N 3"]) -> Surface:
        """Ivory, yellower at the neck of each tooth, darker to the sides and the back."""
        x, y, z = p.unbind(-1)
        neck = smoothstep(0.008, 0.018, (y + 0.0342).abs())
        colour = torch.lerp(tone(IVORY, p), tone((0.60, 0.46, 0.30), p), neck[:, None])
        openness = torch.exp(-((0.107 - z).clamp(0) / 0.010))
        # Light that reaches the molars has passed flesh.
        colour = colour * torch.lerp(
            tone((1.0, 0.5, 0.4), p), tone((1.0, 1.0, 1.0), p), openness[:, None]
        )
        return Surface(colour, 0.25 * openness**2, torch.full_like(x, 60), openness)

    def eye(self, p: Float[Tensor, "N 3"]) -> Surface:
        """Sclera, iris with fibres and a dark limbus, pupil; cornea is only a highlight."""
        left = (p[:, 0] > 0).long()
        offset = p - self.eye_centres[1 - left]
        radius = offset[:, :2].norm(dim=-1)
        angle = torch.atan2(offset[:, 1], offset[:, 0])
        white = tone((0.60, 0.56, 0.53), p)
        veins = smoothstep(0.006, 0.013, radius) * (0.5 + 0.5 * fractal_noise(p * 500, 21, 2))
        white = white * (1 - veins.clamp(0, 1)[:, None] * torch.tensor([0.05, 0.25, 0.25]))
        around = torch.stack([6 * angle.cos(), 6 * angle.sin(), radius * 400], -1)
        fibre = fractal_noise(around, 23, 2)
        iris = torch.lerp(
            tone(self.palette.iris[0], p),
            tone(self.palette.iris[1], p),
            smoothstep(0.003, 0.0052, radius)[:, None],
        )
        iris = iris * (1 + 0.35 * fibre).clamp(0.3)[:, None]
        iris = iris * (1 - 0.75 * smoothstep(0.0048, 0.0058, radius))[:, None]
        albedo = torch.lerp(iris, white, smoothstep(0.0056, 0.0062, radius)[:, None])
        albedo = albedo * smoothstep(0.0017, 0.0021, radius)[:, None].clamp(0.02)
        shaded = 1 - 0.55 * smoothstep(0.001, 0.0055, offset[:, 1])
        return Surface(albedo, torch.full_like(radius, 0.9), torch.full_like(radius, 350), shaded)


def tone(rgb: RGB, like: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
    return torch.tensor(rgb).expand(len(like), 3)


def blend(albedo: Tensor, rgb: RGB, share: Tensor) -> Float[Tensor, "N 3"]:
    return torch.lerp(albedo, tone(rgb, albedo), share[:, None])


def spot(x: Tensor, y: Tensor, centre_x: float, centre_y: float, radius: float) -> Tensor:
    """A Gaussian patch in the frontal plane."""
    return torch.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / radius**2)


def map_pixels(xy: np.ndarray) -> np.ndarray:
    """Frontal metres to continuous map pixels, row 0 at the top."""
    return (xy * [1, -1] / _EXTENT + 1) * (_MAP / 2)


def smooth_path(points: np.ndarray, samples: int = 16) -> np.ndarray:
    """A Catmull-Rom curve through points `[K 2]`."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, 1, samples, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(
            b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        )
    return np.concatenate([*pieces, points[-1:]])


def smooth_ring(points: np.ndarray, corners: tuple[int, int]) -> np.ndarray:
    """A closed curve through points, smooth except at two corners."""
    first, second = corners
    return np.concatenate(
        [
            smooth_path(points[first : second + 1])[:-1],
            smooth_path(np.concatenate([points[second:], points[first : first + 1]]))[:-1],
        ]
    )


def inside_distance(ring: np.ndarray) -> np.ndarray:
    """Metres to a closed curve, positive inside."""
    mask = np.zeros((_MAP, _MAP), np.uint8)
    cv2.fillPoly(mask, [np.round(map_pixels(ring) * 16).astype(np.int32)], (1,), shift=4)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    return (inside - outside) * (2 * _EXTENT / _MAP)


def line_distance(lines: list[np.ndarray]) -> np.ndarray:
    """Metres to the nearest of some open curves."""
    canvas = np.ones((_MAP, _MAP), np.uint8)
    drawn = [np.round(map_pixels(line) * 16).astype(np.int32) for line in lines]
    cv2.polylines(canvas, drawn, False, (0,), 1, shift=4)
    return cv2.distanceTransform(canvas, cv2.DIST_L2, 5) * (2 * _EXTENT / _MAP)


def brow_depth(points: np.ndarray) -> np.ndarray:
    """0 to 1: how densely hair of one eyebrow grows; thick at the nose, thin at the temple."""
    path = smooth_path(points)
    inner = np.argmin(np.abs(path[:, 0]))
    along = np.linspace(0, 1, len(path))
    along = along if inner == 0 else along[::-1]
    depth = np.zeros((_MAP, _MAP), np.float32)
    for (x, y), share in zip(map_pixels(path), along, strict=True):
        half = (0.0042 - 0.0026 * share) * _MAP / (2 * _EXTENT)
        cv2.circle(depth, (round(x), round(y)), round(half), (1.0,), -1)
    return cv2.GaussianBlur(depth, (0, 0), 11)
