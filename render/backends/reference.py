"""The visibility contract as an executable specification: float64, every pixel, no shortcuts."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from render.backends import DEPTH_STEPS, SMALLEST_DETERMINANT


def visible_faces(
    clip_positions: Float[Tensor, "B V 4"], triangles: Int[Tensor, "F 3"], height: int, width: int
) -> Int[Tensor, "B H W"]:
    """See `render.visibility.visible_faces`."""
    clips = clip_positions.detach().cpu().double().numpy()
    corners = triangles.detach().cpu().long().numpy()
    frames = [visible_faces_of_frame(clip[corners], height, width) for clip in clips]
    faces = np.stack(frames) if frames else np.zeros((0, height, width), np.int32)
    return torch.from_numpy(faces).to(clip_positions.device)


def visible_faces_of_frame(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """Face ids `[H W]` of triangles with clip-space corners `[F 3 4]`."""
    x = (np.arange(width) + 0.5) * 2 / width - 1
    y = 1 - (np.arange(height) + 0.5) * 2 / height
    pixels = np.stack([*np.meshgrid(x, y), np.ones((height, width))], -1)
    nearest = np.full((height, width), np.inf)
    faces = np.full((height, width), -1, np.int32)
    for face, corner in enumerate(corners):
        covered, depth = coverage_and_depth(corner, pixels)
        wins = covered & (depth < nearest)
        nearest[wins] = depth[wins]
        faces[wins] = face
    return faces


def coverage_and_depth(corner: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels `[H W 3]`, as (x, y, 1), a triangle `[3 4]` covers, and its stepped z/w there.

    With the corners v as (x, y, w) and e_i = p · (v_j × v_k), the covered points are those with
    every e_i ≥ 0 and det > 0: then p = Σ (e_i / det) v_i has the w of its third row, one, so the
    point on the triangle lies before the camera whatever the signs of the corners' w
    (Olano and Greer 1997).
    """
    v = corner[:, [0, 1, 3]]
    nothing = np.zeros(pixels.shape[:2], bool), np.full(pixels.shape[:2], np.inf)
    if not np.linalg.det(v) > SMALLEST_DETERMINANT * np.abs(v).sum(1).prod():
        return nothing
    edges = np.cross(v[[1, 2, 0]], v[[2, 0, 1]])
    e = pixels @ edges.T
    a, b = edges[:, 0], edges[:, 1]
    is_left_or_top = (a > 0) | ((a == 0) & (b < 0))
    covered = ((e > 0) | ((e == 0) & is_left_or_top)).all(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.rint((e @ corner[:, 2]) / (e @ corner[:, 3]) * DEPTH_STEPS)
    return covered, depth
