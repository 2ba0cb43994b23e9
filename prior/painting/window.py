"""The windows of a face crop that the network paints: no larger than what will be laid over.

A window follows the head's pose and keeps its size and place on it for a whole shot, so that its
border tells nothing of what any frame says. What lies below the chin is hidden from the network
anyway, so a window that ends there paints as well as one that has room for the widest mouth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.camera import Camera
from face3d.mask import MARGIN_PIXELS, lower_face_proper
from face3d.morphable import MorphableModel
from face3d.track import Identity, Motion, camera_vertices
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH, window_corner
from render.deferred import STRIDE

ROOM_PIXELS = 5
"""Rows beyond what a mouth covers. The feather is wider, but its outermost rows weigh little."""


@dataclass(frozen=True)
class Window:
    """Crop pixels; left and top are counted from where `window_corner` has a frame's middle."""

    left: int
    top: int
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    def corners(
        self, model: MorphableModel, identity: Identity, motion: Motion, camera: Camera
    ) -> list[tuple[int, int]]:
        """Left and top of each frame's window in the crop that a camera sees."""
        middles = window_corner(model, identity, motion, camera, 0, 0)
        return [(x + self.left, y + self.top) for x, y in middles]


STANDARD = Window(-WINDOW_WIDTH // 2, -WINDOW_HEIGHT // 2, WINDOW_WIDTH, WINDOW_HEIGHT)
"""What training shows."""


def window_of(
    model: MorphableModel,
    identity: Identity,
    plate: Motion,
    line: Motion,
    camera: Camera,
    sweep: tuple[float, ...],
) -> Window:
    """The window of a shot with the plate's mouths and the line's: as wide as the swept lower face
    needs, as high as what any of those mouths covers. Sides are whole strides."""
    if not len(plate):
        return STANDARD
    neutral = [_opened(plate, sweep[0]), _opened(plate, sweep[-1])]
    low, high = extents(model, identity, neutral, camera, model.lower_face)
    width = max(_strides(float((high - low)[:, 0].max()) + 8), WINDOW_WIDTH)
    middle = low.new_tensor(window_corner(model, identity, plate, camera, 0, 0))[:, 1]
    highest = low[:, 1].sub(middle).min() - MARGIN_PIXELS
    lowest = high[:, 1].sub(middle).max() + MARGIN_PIXELS
    low, high = extents(model, identity, [plate, line], camera, lower_face_proper(model))
    top = torch.maximum(low[:, 1].sub(middle).min() - ROOM_PIXELS, highest)
    bottom = torch.minimum(high[:, 1].sub(middle).max() + ROOM_PIXELS, lowest)
    height = _strides(float(bottom - top))
    return Window(-width // 2, round(float(top + bottom) / 2) - height // 2, width, height)


def extents(
    model: MorphableModel,
    identity: Identity,
    motions: Sequence[Motion],
    camera: Camera,
    vertices: Bool[Tensor, "V"],
) -> tuple[Float[Tensor, "T 2"], Float[Tensor, "T 2"]]:
    """Least and greatest pixel of some vertices in every frame, over several motions of it."""
    seen = [
        camera.pixels_from_camera(camera_vertices(model, identity, motion))[:, vertices]
        for motion in motions
    ]
    pixels = torch.cat(seen, 1)
    return pixels.amin(1), pixels.amax(1)


def _opened(motion: Motion, jaw: float) -> Motion:
    """The same heads with a neutral mouth whose jaw is so far open, in deviations."""
    mouth = torch.zeros_like(motion.mouth)
    mouth[:, 0] = jaw
    return motion.with_mouth(mouth)


def _strides(pixels: float) -> int:
    return int(np.ceil(pixels / STRIDE)) * STRIDE
