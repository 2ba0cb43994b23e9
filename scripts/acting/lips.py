"""Which surface points MediaPipe's lip landmarks mean on this head, found once on still renders.

`L` = 40 landmarks, `P` calibration poses, `K` candidate points on the lips' skin.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mediapipe as mp
import numpy as np
import torch
from jaxtyping import Float, Int64
from mediapipe.python.solutions.face_mesh_connections import FACEMESH_LIPS
from torch import Tensor

from core.camera import Camera
from core.errors import QualityError

from .head import SKIN, Head

LIP_LANDMARKS: tuple[int, ...] = tuple(sorted({index for edge in FACEMESH_LIPS for index in edge}))
_SUBDIVISIONS = 5
_HUBER_PIXELS = 1.5


@dataclass(frozen=True)
class SurfacePoints:
    """Points that stay on the skin: three vertices each, and their weights."""

    corners: Int64[Tensor, "N 3"]
    weights: Float[Tensor, "N 3"]

    def on(self, vertices: Float[Tensor, "V 3"]) -> Float[Tensor, "N 3"]:
        """Where they are on a moved head."""
        return (vertices[self.corners] * self.weights[..., None]).sum(1)

    def chosen(self, index: Tensor) -> "SurfacePoints":
        return SurfacePoints(self.corners[index], self.weights[index])


def detected_lips(pictures: Sequence[np.ndarray], still: bool) -> list[np.ndarray | None]:
    """Lip landmarks `[L 2]` in pixels of RGB uint8 pictures, None where there is no face."""
    found: list[np.ndarray | None] = []
    with mp.solutions.face_mesh.FaceMesh(  # pyright: ignore[reportAttributeAccessIssue]
        static_image_mode=still, max_num_faces=1, refine_landmarks=True
    ) as detector:
        for picture in pictures:
            faces = detector.process(picture).multi_face_landmarks
            if not faces:
                found.append(None)
                continue
            height, width = picture.shape[:2]
            marks = faces[0].landmark
            found.append(
                np.array([(marks[i].x * width, marks[i].y * height) for i in LIP_LANDMARKS])
            )
    return found


def lip_candidates(head: Head) -> SurfacePoints:
    """A dense sampling of the skin around the mouth, without the lips' hidden inner sides."""
    corners = head.triangles[head.material == SKIN].long()
    middle = head.canonical[corners].mean(1)
    x, y, z = middle.unbind(-1)
    near = (x.abs() < 0.033) & (y > -0.052) & (y < -0.017) & (z > 0.090)
    a, b, c = head.canonical[corners].unbind(1)
    outward = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)[:, 2] > 0.1
    # The lips roll over at the seam: keep the strip there although it faces up or down.
    corners = corners[near & (outward | (z > 0.108))]
    steps = np.arange(_SUBDIVISIONS) + 1 / 3
    grid = [(i, j) for i in steps for j in steps if i + j < _SUBDIVISIONS]
    weights = torch.tensor([(i, j, _SUBDIVISIONS - i - j) for i, j in grid]) / _SUBDIVISIONS
    count = len(weights)
    return SurfacePoints(
        corners.repeat_interleave(count, 0), weights.float().repeat(len(corners), 1)
    )


def corresponding_points(
    candidates: SurfacePoints,
    poses: Sequence[Float[Tensor, "V 3"]],
    detections: Sequence[np.ndarray | None],
    camera: Camera,
) -> tuple[SurfacePoints, float]:
    """The candidate nearest each landmark over all poses, and the mean distance left in pixels.

    Distances are summed with Huber's loss, so one bad detection does not move a point. Raises
    QualityError when a calibration picture shows no face.
    """
    total = torch.zeros(len(LIP_LANDMARKS), len(candidates.weights))
    distances = []
    for vertices, detection in zip(poses, detections, strict=True):
        if detection is None:
            raise QualityError(
                "a calibration render shows no face to MediaPipe and all must; "
                "make the head more lifelike."
            )
        projected = camera.pixels_from_camera(candidates.on(vertices))
        distance = torch.cdist(torch.from_numpy(detection).float(), projected)
        distances.append(distance)
        total += torch.where(
            distance < _HUBER_PIXELS, distance**2, _HUBER_PIXELS * (2 * distance - _HUBER_PIXELS)
        )
    best = total.argmin(1)
    left = torch.stack([d.gather(1, best[:, None]) for d in distances]).mean()
    return candidates.chosen(best), float(left)
