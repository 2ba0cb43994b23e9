"""The windows of a face crop that the network paints: no larger than what will be laid over.

A window follows the head's pose and keeps its size and place on it for a whole shot, so that its
border tells nothing of what any frame says. What lies below the chin is hidden from the network
anyway, so a window that ends there paints as well as one that has room for the widest mouth.
"""

import math
from dataclasses import dataclass

import torch

from core.camera import Camera
from face3d.mask import lower_face_proper
from face3d.morphable import MorphableModel
from face3d.track import Identity, Motion, camera_vertices
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH, window_corner
from render.deferred import STRIDE

ROOM_PIXELS = 5
"""Around what a mouth covers. The feather is wider, but its outermost pixels weigh little."""


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


def standard(scale: int) -> Window:
    """What training shows."""
    width, height = scale * WINDOW_WIDTH, scale * WINDOW_HEIGHT
    return Window(-width // 2, -height // 2, width, height)


def window_of(
    model: MorphableModel,
    identity: Identity,
    plate: Motion,
    line: Motion,
    camera: Camera,
    scale: int = 1,
) -> Window:
    """The window of a shot with the plate's mouths and the line's: what any of them covers of the
    lower face. Sides are whole strides. The camera is that of a crop so many times as fine as a
    track's."""
    if not len(plate):
        return standard(scale)
    middle = torch.tensor(window_corner(model, identity, plate, camera, 0, 0))[:, None]
    covered = lower_face_proper(model)
    seen = [
        camera.pixels_from_camera(camera_vertices(model, identity, motion))[:, covered].cpu()
        for motion in (plate, line)
    ]
    pixels = torch.cat(seen, 1) - middle
    room, stride = scale * ROOM_PIXELS, scale * STRIDE
    least, most = pixels.amin((0, 1)) - room, pixels.amax((0, 1)) + room
    width, height = (math.ceil(float(side) / stride) * stride for side in most - least)
    # Narrow faces keep the sides that training showed: light is seen there.
    width = max(width, scale * WINDOW_WIDTH)
    left, top = ((least + most - torch.tensor([width, height])) / 2).round().int().tolist()
    return Window(left, top, width, height)
