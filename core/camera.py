"""A pinhole camera in pixels. It looks along −z with y up; pixel rows run down from the top.

Pixel (column c, row r) has its centre at (c + ½, r + ½).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Camera:
    """Focal length and principal point in pixels, image size in pixels, planes in metres."""

    focal: float
    centre: tuple[float, float]
    width: int
    height: int
    near_metres: float = 0.01
    far_metres: float = 100.0

    def pixels_from_camera(self, points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 2"]:
        """Project camera-space points (metres, z < 0 in front) to pixels."""
        x, y, z = points.unbind(-1)
        depth = -z
        return torch.stack(
            [self.centre[0] + self.focal * x / depth, self.centre[1] - self.focal * y / depth], -1
        )

    def clip_from_camera(self, points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 4"]:
        """Homogeneous clip coordinates: x right, y up, z/w from −1 (near) to 1 (far), w = depth."""
        x, y, z = points.unbind(-1)
        depth = -z
        offset_x = 2 * self.centre[0] / self.width - 1
        offset_y = 1 - 2 * self.centre[1] / self.height
        near, far = self.near_metres, self.far_metres
        return torch.stack(
            [
                2 * self.focal / self.width * x + offset_x * depth,
                2 * self.focal / self.height * y + offset_y * depth,
                ((far + near) * depth - 2 * far * near) / (far - near),
                depth,
            ],
            -1,
        )

    def cropped(self, left: float, top: float, scale: float, width: int, height: int) -> "Camera":
        """The camera of this image cut at (left, top), then enlarged by `scale`."""
        centre = ((self.centre[0] - left) * scale, (self.centre[1] - top) * scale)
        return Camera(self.focal * scale, centre, width, height, self.near_metres, self.far_metres)


def clip_positions(
    camera: Camera | Sequence[Camera], points: Float[Tensor, "B *rest 3"]
) -> Float[Tensor, "B *rest 4"]:
    """Clip coordinates of all points in one camera, or of each batch element in its own."""
    if isinstance(camera, Camera):
        return camera.clip_from_camera(points)
    return torch.stack([c.clip_from_camera(p) for c, p in zip(camera, points, strict=True)])


def pixel_positions(
    camera: Camera | Sequence[Camera], points: Float[Tensor, "B *rest 3"]
) -> Float[Tensor, "B *rest 2"]:
    """The same in pixels."""
    if isinstance(camera, Camera):
        return camera.pixels_from_camera(points)
    return torch.stack([c.pixels_from_camera(p) for c, p in zip(camera, points, strict=True)])
