"""Where MediaPipe's landmarks lie on another mesh: a triangle and three weights each.

The model's own face is drawn from several sides, with lips shut and parted; the detector looks at
the drawings, and what it finds is lifted back to the surface. So a point means on this mesh what it
means in footage: whatever bias the detector has, both sides of a fit share it.
"""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from core.camera import Camera
from core.errors import InputError
from core.rotation import matrix_from_axis_angle
from core.serial import Schema, load_tensors, save_tensors
from face3d.landmarks import FaceMesh
from face3d.morphable import default_model
from face3d.sculpt import Part, Sculpt
from face3d.topology import LANDMARKS, tesselation
from render.fragments import Fragments, interpolate, rasterize
from render.mesh import vertex_normals

SCHEMA = Schema("embedding", 2)
"""Its version counts the recipe, too: what an older one found is made anew."""

VIEWS = (
    (0.0, 0.0), (-25.0, 0.0), (25.0, 0.0), (-50.0, 0.0), (50.0, 0.0),
    (0.0, 12.0), (-25.0, 12.0), (25.0, 12.0), (0.0, -10.0), (-25.0, -10.0), (25.0, -10.0),
)  # fmt: skip
"""Yaw and pitch in degrees of the drawings; each is drawn with lips shut and parted."""

PAINT = {
    Part.SKIN: (0.78, 0.60, 0.52),
    Part.LIPS: (0.66, 0.36, 0.34),
    Part.MOUTH: (0.30, 0.12, 0.12),
    Part.TEETH: (0.90, 0.88, 0.84),
    Part.EYE: (0.92, 0.90, 0.88),
    Part.IRIS: (0.15, 0.10, 0.08),
}
"""Colours that make a bare mesh look like a face to the detector."""

SIDE = 640
DISTANCE_METRES = 0.75
CAMERA = Camera(2.0 * SIDE, (SIDE / 2, SIDE / 2), SIDE, SIDE)
BACKDROP = 30
AMBIENT = 0.35
LIGHT = (0.0, 0.35, 0.94)
GAMMA = 1.6
FEWEST = 6
"""Drawings in which the detector must find the face."""
NEIGHBOURS = 40
"""Triangles that are tried for the one nearest to a lifted point."""


@dataclass(frozen=True)
class Embedding:
    """Points of a surface that stay on it however it moves: three vertices each, and weights."""

    corners: Int[Tensor, "L 3"]
    weights: Float[Tensor, "L 3"]

    def on(self, vertices: Float[Tensor, "*batch V 3"]) -> Float[Tensor, "*batch L 3"]:
        """Where the points are on moved vertices, or what a basis does to them."""
        picked = vertices.index_select(-2, self.corners.flatten().long())
        picked = picked.unflatten(-2, (len(self.corners), 3))
        return (picked * self.weights.to(vertices.dtype)[..., None]).sum(-2)

    def save(self, path: Path) -> None:
        save_tensors(path, SCHEMA, vars(self), {})

    @staticmethod
    def load(path: Path) -> "Embedding":
        """Raises InputError for a file that is not an embedding made by this recipe."""
        tensors, _ = load_tensors(path, SCHEMA)
        return Embedding(**tensors)


class Lifted(NamedTuple):
    """One drawing's landmarks on the surface: [468 3] of the ajar face, and trust [468]."""

    points: np.ndarray
    trust: np.ndarray


def embed(sculpt: Sculpt) -> Embedding:
    """MediaPipe's 468 surface points on a mesh.

    Raises InputError when the detector sees no face in the drawings.
    """
    triangles, part = sculpt.triangles, sculpt.triangle_part
    skin = (part == Part.SKIN) | (part == Part.LIPS)
    reference = sculpt.ajar_vertices()
    poses = [sculpt.neutral, reference]
    seen = part != Part.UNSEEN
    drawer = _Drawer(triangles[seen], _colours(part[seen]), skin[seen].numpy())
    usual = usual_normals()
    lifted = []
    with closing(FaceMesh(still=True)) as mesh:
        for vertices in poses:
            for yaw, pitch in VIEWS:
                rotation = _turned(yaw, pitch)
                picture, fragments, placed = drawer.draw(vertices, rotation)
                found = mesh.detect(picture)
                if found is None:
                    continue
                xy = found[:LANDMARKS, :2]
                on_skin = drawer.lift(xy, fragments, placed, reference.numpy())
                # What the head itself hides, the detector guesses on the outline before it.
                shown = (usual @ rotation.numpy()[2]).clip(0, 1)
                lifted.append(on_skin._replace(trust=on_skin.trust * shown**2 + 1e-6))
    if len(lifted) < FEWEST:
        raise InputError(
            f"the detector finds a face in {len(lifted)} of {len(poses) * len(VIEWS)} drawings of "
            f"{sculpt.name} and needs {FEWEST}; give a model of a whole face."
        )
    points = agreed(*(np.stack(column) for column in zip(*lifted, strict=True)))
    return nearest_on_surface(points, reference.numpy(), triangles[skin].numpy())


def usual_normals() -> Float[np.ndarray, "468 3"]:
    """Which way each landmark faces on a mean head."""
    mean = default_model().mean[None, :LANDMARKS]
    return vertex_normals(mean, torch.from_numpy(tesselation()))[0].numpy()


def _turned(yaw: float, pitch: float) -> Float[Tensor, "3 3"]:
    """The rotation by yaw, then pitch, degrees."""
    angles = torch.tensor([[0.0, yaw, 0.0], [pitch, 0.0, 0.0]]).deg2rad()
    about_y, about_x = matrix_from_axis_angle(angles)
    return about_x @ about_y


def _colours(part: Tensor) -> Tensor:
    table = torch.zeros(len(Part), 3)
    for name, colour in PAINT.items():
        table[name] = torch.tensor(colour)
    return table[part.long()]


@dataclass(frozen=True)
class _Drawer:
    triangles: Tensor
    colours: Tensor
    skin: np.ndarray

    def draw(self, vertices: Tensor, rotation: Tensor) -> tuple[np.ndarray, Fragments, Tensor]:
        """The shaded face, turned: picture, fragments, vertices in camera space."""
        used = vertices[self.triangles[torch.from_numpy(self.skin)].unique().long()]
        # The face is the front of the head, whatever else the mesh has.
        front = used[used[:, 2] > used[:, 2].amax() - 0.10]
        middle = (front.amin(0) + front.amax(0)) / 2
        placed = (vertices - middle) @ rotation.T
        placed = placed - torch.tensor([0.0, 0.0, DISTANCE_METRES])
        clip = CAMERA.clip_from_camera(placed)[None]
        fragments = rasterize(clip, self.triangles, SIDE, SIDE)
        normals = vertex_normals(placed[None], self.triangles)[0]
        light = AMBIENT + (1 - AMBIENT) * (normals @ torch.tensor(LIGHT)).clamp_min(0)
        shade = interpolate(fragments, light[None, :, None], self.triangles)[0, 0]
        picture = self.colours[fragments.face[0].long()] * shade[..., None]
        coded = (255 * picture.clamp(0, 1) ** (1 / GAMMA)).round().to(torch.uint8)
        coded[fragments.face[0] < 0] = BACKDROP
        return coded.numpy(), fragments, placed

    def lift(
        self, xy: np.ndarray, fragments: Fragments, placed: Tensor, reference: np.ndarray
    ) -> Lifted:
        """Each point's nearest pixel of skin, as a point of the reference face."""
        face = fragments.face[0].numpy()
        on_skin = np.argwhere(np.append(self.skin, False)[face])
        missed, nearest = KDTree(on_skin).query(xy[:, ::-1] - 0.5)
        row, column = on_skin[nearest].T
        corners = self.triangles.numpy()[face[row, column]]
        weights = fragments.barycentric[0].numpy()[row, column]
        at = np.einsum("lk,lkc->lc", weights, reference[corners])
        a, b, c = placed.numpy()[corners].transpose(1, 0, 2)
        normal = np.cross(b - a, c - a)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True).clip(1e-12)
        sight = -(a + b + c) / np.linalg.norm(a + b + c, axis=-1, keepdims=True)
        facing = (normal * sight).sum(-1).clip(0.0, 1.0)
        # A point beside the skin was moved to it: the farther, the less it says.
        return Lifted(at, facing**2 / (1 + missed**2))


def agreed(points: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """One place for each landmark [L 3] from all drawings' [N L 3]: a trusted geometric median.

    Weiszfeld's iteration; a millimetre of slack keeps it finite where drawings agree.
    """
    middle = (points * trust[..., None]).sum(0) / trust.sum(0)[:, None]
    for _ in range(20):
        away = np.sqrt(((points - middle) ** 2).sum(-1) + 0.001**2)
        weight = trust / away
        middle = (points * weight[..., None]).sum(0) / weight.sum(0)[:, None]
    return middle


def nearest_on_surface(
    points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray
) -> Embedding:
    """The surface point closest to each of `points` [L 3], among triangles near by."""
    middles = vertices[triangles].mean(1)
    _, tried = KDTree(middles).query(points, min(NEIGHBOURS, len(triangles)))
    corners = triangles[tried.reshape(len(points), -1)]
    weights = closest_weights(points[:, None], vertices[corners])
    found = np.einsum("lnk,lnkc->lnc", weights, vertices[corners])
    best = np.linalg.norm(found - points[:, None], axis=-1).argmin(1)
    rows = np.arange(len(points))
    return Embedding(
        torch.from_numpy(corners[rows, best].astype(np.int32)),
        torch.from_numpy(weights[rows, best].astype(np.float32)),
    )


def closest_weights(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Barycentric weights [... 3] of the point of each triangle [... 3 3] closest to a point.

    Inside the triangle that is the foot of the perpendicular, else the nearest of the feet on the
    three edges.
    """
    a, b, c = np.moveaxis(triangles, -2, 0)
    u, v, w = b - a, c - a, points - a
    uu, uv, vv = ((p * q).sum(-1) for p, q in ((u, u), (u, v), (v, v)))
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    area = np.maximum(uu * vv - uv * uv, 1e-30)
    second, third = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    inside = np.stack([1 - second - third, second, third], -1)
    candidates = [inside]
    for i, j in ((0, 1), (1, 2), (2, 0)):
        p, q = triangles[..., i, :], triangles[..., j, :]
        along = ((points - p) * (q - p)).sum(-1) / np.maximum(((q - p) ** 2).sum(-1), 1e-30)
        along = along.clip(0, 1)
        edge = np.zeros_like(inside)
        edge[..., i], edge[..., j] = 1 - along, along
        candidates.append(edge)
    tried = np.stack(candidates, -2)
    feet = np.einsum("...nk,...kc->...nc", tried, triangles)
    away = np.linalg.norm(feet - points[..., None, :], axis=-1)
    away[..., 0] = np.where((inside >= 0).all(-1), away[..., 0], np.inf)
    return np.take_along_axis(tried, away.argmin(-1)[..., None, None], -2)[..., 0, :]
