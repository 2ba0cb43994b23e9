"""One look at a tracked face: its mesh in a window of the face crop, what it shows and hides."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from core.camera import Camera, pixel_positions
from face3d.mask import lower_face
from face3d.morphable import MorphableModel
from face3d.topology import LIPS, LIPS_BETWEEN
from face3d.track import Crop, Identity, Motion, camera_vertices
from render.fragments import Fragments
from render.gbuffer import draw

WINDOW_WIDTH, WINDOW_HEIGHT = 176, 144
"""Pixels of a track's face crop that hold the lower face at any jaw opening; multiples of 16."""


@dataclass(frozen=True)
class View:
    """What `B` frames show in their windows: fragments, uv, the lower face, the mouth, vertices.

    Vertices lie at `pixels` of the window, `depth` metres before the camera along its axis.
    """

    fragments: Fragments
    uv: Float[Tensor, "B 2 H W"]
    inner: Bool[Tensor, "B H W"]
    mouth: Bool[Tensor, "B H W"]
    pixels: Float[Tensor, "B V 2"]
    depth: Float[Tensor, "B V"]


def look(
    model: MorphableModel, identity: Identity, motion: Motion, camera: Camera | Sequence[Camera]
) -> View:
    """The view of frames through one camera (a crop's, or a window of it), or each through its own
    of the same size."""
    vertices = camera_vertices(model, identity, motion)
    buffer = draw(vertices, model.triangles, model.uv, camera)
    mouth = _mouth_triangles(model.triangles, model.inside)
    mouth = torch.cat([mouth, mouth.new_zeros(1)])[buffer.fragments.face.long()]
    return View(
        buffer.fragments,
        buffer.uv,
        lower_face(model, buffer.fragments),
        mouth,
        pixel_positions(camera, vertices),
        -vertices[..., 2],
    )


@cache
def _mouth_triangles(triangles: Tensor, inside: Tensor) -> Tensor:
    """Triangles of the lips, the teeth and the cavity."""
    lips = torch.zeros_like(inside)
    lips[list(LIPS + LIPS_BETWEEN)] = True
    corners = triangles.long()
    return lips[corners].all(-1) | inside[corners].all(-1)


def window_corner(
    model: MorphableModel,
    identity: Identity,
    motion: Motion,
    camera: Camera,
    width: int = WINDOW_WIDTH,
    height: int = WINDOW_HEIGHT,
) -> list[tuple[int, int]]:
    """Left and top of each frame's window in crop pixels.

    It is centred on the lower face of a half-open neutral mouth: the real one must not show in it.
    """
    mouth = torch.zeros_like(motion.mouth)
    mouth[:, 0] = 2.0
    rest = Motion(motion.rotation, motion.translation, mouth, torch.zeros_like(motion.upper))
    xy = camera.pixels_from_camera(camera_vertices(model, identity, rest))[:, model.lower_face]
    middle = (xy.amin(1) + xy.amax(1)) / 2
    corner = (middle - middle.new_tensor([width / 2, height / 2])).round().int()
    return [(int(x), int(y)) for x, y in corner]


@dataclass(frozen=True)
class Patch:
    """A rectangle of a frame's own pixels; it may leave the frame."""

    left: int
    top: int
    width: int
    height: int

    @staticmethod
    def around(crop: Crop, left: int, top: int, width: int, height: int) -> "Patch":
        """The one around a window of a crop, which is given in the crop's pixels."""
        return Patch(
            int(np.floor(crop.left + left / crop.scale)),
            int(np.floor(crop.top + top / crop.scale)),
            int(np.ceil(width / crop.scale)) + 2,
            int(np.ceil(height / crop.scale)) + 2,
        )

    def camera(self, full: Camera) -> Camera:
        """The patch's part of the camera that saw the whole frame."""
        return full.cropped(self.left, self.top, 1.0, self.width, self.height)


def crop_image(rgb: UInt8[np.ndarray, "H W 3"], crop: Crop) -> UInt8[np.ndarray, "P P 3"]:
    """The crop of a frame, black beyond its borders, at the crop's own resolution."""
    height, width = rgb.shape[:2]
    left, top = max(crop.left, 0), max(crop.top, 0)
    right, bottom = min(crop.left + crop.side, width), min(crop.top + crop.side, height)
    square = np.zeros((crop.side, crop.side, 3), np.uint8)
    square[top - crop.top : bottom - crop.top, left - crop.left : right - crop.left] = rgb[
        top:bottom, left:right
    ]
    shrinks = crop.scale < 1
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(square, (crop.pixels, crop.pixels), interpolation=method)


def cut(image: np.ndarray, left: int, top: int, width: int, height: int) -> np.ndarray:
    """A window of an image `[H W ...]`; what lies beyond its border repeats the border."""
    rows = np.clip(np.arange(top, top + height), 0, len(image) - 1)
    columns = np.clip(np.arange(left, left + width), 0, image.shape[1] - 1)
    return image[rows[:, None], columns[None]]
