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
    pixels = np.stack(np.meshgrid(x, y))
    nearest = np.full((height, width), np.inf)
    faces = np.full((height, width), -1, np.int32)
    for face, corner in enumerate(corners):
        with np.errstate(divide="ignore", invalid="ignore"):  # on pixels not covered
            covered, depth = coverage_and_depth(corner, pixels)
        wins = covered & (depth < nearest)
        nearest[wins] = depth[wins]
        faces[wins] = face
    return faces


def coverage_and_depth(corner: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels `[2 H W]`, as NDC (x, y), a triangle `[3 4]` covers, and its stepped z/w there.

    With the corners v as (x, y, w), p = (x, y, 1) and e_i = p · (v_j × v_k), the triangle faces us
    if det v > 0 and covers p if also every e_i ≥ 0. Then p = Σ (e_i / det v) v_i, whose third row
    says that the point on the triangle has w > 0, whatever the signs of the corners' w (Olano and
    Greer 1997). A shear by −w p leaves e as it is; computed after it, e is exactly opposite on the
    two sides of an edge and exactly zero where a corner meets the centre.
    """
    x, y, z, w = corner.T
    v = corner[:, [0, 1, 3]]
    if not np.linalg.det(v) > SMALLEST_DETERMINANT * np.abs(v).sum(1).prod():
        return np.zeros(pixels.shape[1:], bool), np.full(pixels.shape[1:], np.inf)
    after, before = [1, 2, 0], [2, 0, 1]
    shifted_x = x[:, None, None] - w[:, None, None] * pixels[0]
    shifted_y = y[:, None, None] - w[:, None, None] * pixels[1]
    e = shifted_x[after] * shifted_y[before] - shifted_x[before] * shifted_y[after]
    rightwards = y[after] * w[before] - w[after] * y[before]
    upwards = w[after] * x[before] - x[after] * w[before]
    owns = (rightwards > 0) | ((rightwards == 0) & (upwards < 0))
    covered = ((e > 0) | ((e == 0) & owns[:, None, None])).all(0)
    depth = np.tensordot(z, e, 1) / np.tensordot(w, e, 1)
    return covered, np.rint(depth * DEPTH_STEPS)
