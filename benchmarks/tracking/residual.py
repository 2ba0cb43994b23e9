"""How well a track explains a clip's pictures, whatever made the track.

Fixed points of the tracked surface are looked up in every frame. A point's albedo is the median of
its colours with the light taken out, over *other* frames than it is judged on; a frame's light is
second-order spherical harmonics of the normals, fitted to that frame. The residual is the mean
absolute difference between picture and lit albedo. A mesh that slides mixes neighbouring colours
into the albedo, and pays. Colours are code values, pictures are brought to a face of 256 and
slightly blurred, so that clips of different sharpness compare.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float

from face3d.morphable import MorphableModel
from face3d.topology import LANDMARKS, LIPS, LIPS_BETWEEN
from face3d.track import Track, camera_vertices
from face3d.view import crop_image
from media.clip import Clip
from render.mesh import vertex_normals

SKIN_POINTS, LIP_POINTS = 3000, 1500
BLUR_PX256 = 1.0
FACING = 0.35
"""Points whose normal is further than this cosine from the view are not judged."""
BLOCK_FRAMES = 10
"""Frames are judged in blocks by what the blocks between them look like."""
ROUNDS = 3
RIDGE = 0.01
DARKEST = 4.0


@dataclass(frozen=True)
class Residual:
    """Mean absolute code values (0 to 255) on the skin and on the lips."""

    skin: float
    lips: float


@dataclass(frozen=True)
class Looks:
    """`N` surface points in `T` frames: colours, normals in camera space, and what is seen."""

    colour: Float[np.ndarray, "T N 3"]
    normal: Float[np.ndarray, "T N 3"]
    seen: Float[np.ndarray, "T N"]
    is_lip: np.ndarray


def residual(clip: Clip, model: MorphableModel, track: Track) -> Residual:
    """The residual of a track of the clip."""
    looks = looked_up(clip, model, track)
    odd = np.arange(len(track)) // BLOCK_FRAMES % 2 == 1
    apart = np.full(looks.seen.shape, np.nan)
    for judged in (odd, ~odd):
        if judged.any() and (~judged).any():
            albedo = reflectance(looks, ~judged)
            for frame in np.flatnonzero(judged & (looks.seen.sum(1) > 0)):
                shown = albedo * lit(looks, albedo, frame)
                apart[frame] = np.abs(shown - looks.colour[frame]).mean(-1)
    apart[looks.seen == 0] = np.nan
    return Residual(
        float(np.nanmean(apart[:, ~looks.is_lip])), float(np.nanmean(apart[:, looks.is_lip]))
    )


def looked_up(clip: Clip, model: MorphableModel, track: Track) -> Looks:
    """Colours of the surface points in every valid frame."""
    corners, weights, is_lip = surface_points(model)
    count, points = len(track), len(corners)
    looks = Looks(
        np.zeros((count, points, 3), np.float32),
        np.zeros((count, points, 3), np.float32),
        np.zeros((count, points), np.float32),
        is_lip,
    )
    for index, frame in enumerate(clip.frames(range(track.start, track.start + count))):
        if not bool(track.valid[index]):
            continue
        vertices = camera_vertices(model, track.identity, track.motion[index : index + 1])
        turned = vertex_normals(vertices, model.triangles)[0].numpy()
        place = (vertices[0].numpy()[corners] * weights[..., None]).sum(1)
        normal = (turned[corners] * weights[..., None]).sum(1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        crop = track.crop(index)
        xy = crop.camera(track.camera).pixels_from_camera(torch.from_numpy(place)).numpy()
        picture = cv2.GaussianBlur(crop_image(frame.rgb, crop), (0, 0), BLUR_PX256)
        # OpenCV's pixel centres are integers.
        x, y = (xy - 0.5).astype(np.float32).T
        looks.colour[index] = cv2.remap(
            picture.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )[:, 0]
        looks.normal[index] = normal
        view = -place / np.linalg.norm(place, axis=-1, keepdims=True)
        looks.seen[index] = (normal * view).sum(-1) > FACING
    return looks


def surface_points(model: MorphableModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners [N 3], barycentrics [N 3] and which points lie on the lips; area decides."""
    triangles = model.triangles.long().numpy()
    triangles = triangles[(triangles < LANDMARKS).all(1)]
    lip = np.isin(triangles, [*LIPS, *LIPS_BETWEEN]).all(1)
    draw = np.random.default_rng(0)
    chosen = [
        drawn(triangles[of], model.mean.numpy(), count, draw)
        for of, count in ((~lip, SKIN_POINTS), (lip, LIP_POINTS))
    ]
    corners, weights = (np.concatenate(part) for part in zip(*chosen, strict=True))
    return corners, weights.astype(np.float32), np.arange(len(corners)) >= SKIN_POINTS


def drawn(
    triangles: np.ndarray, rest: np.ndarray, count: int, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Uniform random points of a surface (Osada et al. 2002, eq. 1)."""
    a, b, c = rest[triangles].swapaxes(0, 1)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    picked = draw.choice(len(triangles), count, p=area / area.sum())
    u, v = np.sqrt(draw.random(count)), draw.random(count)
    return triangles[picked], np.stack([1 - u, u * (1 - v), u * v], -1)


def reflectance(looks: Looks, frames: np.ndarray) -> Float[np.ndarray, "N 3"]:
    """Albedo by alternation with the frames' light; its scale is the mean light's."""
    known = np.flatnonzero(frames & (looks.seen.sum(1) > 0))
    colour = np.where(looks.seen[known][..., None] > 0, looks.colour[known], np.nan)
    never = np.isnan(colour).all(0)
    colour[0][never] = np.broadcast_to(np.nanmean(colour, (0, 1)), never.shape)[never]
    albedo = np.nanmedian(colour, 0)
    for _ in range(ROUNDS):
        light = np.stack([lit(looks, albedo, frame) for frame in known])
        albedo = np.nanmedian(colour / light.clip(min=0.05), 0).clip(min=DARKEST)
    return albedo


def lit(looks: Looks, albedo: Float[np.ndarray, "N 3"], frame: int) -> Float[np.ndarray, "N 3"]:
    """Light at every point of a frame, relative to the albedo's."""
    basis = harmonics(looks.normal[frame])
    seen = looks.seen[frame] > 0
    light = []
    for channel in range(3):
        design = basis[seen] * albedo[seen, channel, None]
        target = looks.colour[frame][seen, channel]
        pull = RIDGE * len(target) * np.square(albedo[seen, channel]).mean() * np.eye(9)
        pull[0, 0] = 0
        light.append(np.linalg.solve(design.T @ design + pull, design.T @ target))
    return basis @ np.stack(light, -1)


def harmonics(n: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 9"]:
    """Second-order spherical harmonics without their constants (Ramamoorthi, Hanrahan 2001)."""
    x, y, z = n.T
    return np.stack(
        [np.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], -1
    )
