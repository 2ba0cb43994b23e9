"""The visibility contract on CPU: compiled loops over bounding boxes, frames on several threads.

Threads are Python's and the loops release the lock: numba's own parallel layers may not be entered
from two threads at once, and callers have threads of their own.
"""

from concurrent.futures import ThreadPoolExecutor
from math import ceil, floor
from typing import no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from render.backends import DEPTH_STEPS, SMALLEST_DETERMINANT

ROUNDING = 1e-12
"""More than an edge function can be off, as a share of the products that it is made of."""


def visible_faces(
    clip_positions: Float[Tensor, "B V 4"], triangles: Int[Tensor, "F 3"], height: int, width: int
) -> Int[Tensor, "B H W"]:
    """See `render.visibility.visible_faces`."""
    clips = clip_positions.detach().cpu().double().contiguous().numpy()
    corners = triangles.detach().cpu().int().contiguous().numpy()
    faces = np.full((len(clips), height, width), -1, np.int32)

    def fill(frame: int) -> None:
        # The numbers are arguments: as globals they would outlive a change, in the compiled cache.
        fill_faces(clips[frame], corners, faces[frame], SMALLEST_DETERMINANT, DEPTH_STEPS)

    workers = min(len(clips), torch.get_num_threads())
    if workers <= 1:
        for frame in range(len(clips)):
            fill(frame)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(fill, range(len(clips))))
    return torch.from_numpy(faces).to(clip_positions.device)


@numba.njit(cache=True, nogil=True)
@no_type_check  # or the tests' shape checker would wrap it before it is compiled
def fill_faces(clip, triangles, faces, smallest_determinant, depth_steps):
    """Write the ids of one frame: clip `[V 4]` float64, triangles `[F 3]`, faces `[H W]` of −1.

    Corners are shifted to the pixel before they are crossed, (u, v) = (x, y) − w p: an edge seen
    from its two triangles gives exact negatives, and a corner at the pixel's centre exact zeros, so
    the tie rule leaves every pixel with one owner.
    """
    height, width = faces.shape
    nearest = np.full((height, width), np.inf)
    for face in range(len(triangles)):
        i, j, k = triangles[face]
        x0, y0, z0, w0 = clip[i]
        x1, y1, z1, w1 = clip[j]
        x2, y2, z2, w2 = clip[k]

        # Edge i rises by a_i to the right and by b_i upwards.
        a0, b0 = y1 * w2 - w1 * y2, w1 * x2 - x1 * w2
        a1, b1 = y2 * w0 - w2 * y0, w2 * x0 - x2 * w0
        a2, b2 = y0 * w1 - w0 * y1, w0 * x1 - x0 * w1
        determinant = x0 * a0 + y0 * b0 + w0 * (x1 * y2 - y1 * x2)
        size0 = abs(x0) + abs(y0) + abs(w0)
        size1 = abs(x1) + abs(y1) + abs(w1)
        size2 = abs(x2) + abs(y2) + abs(w2)
        if not determinant > smallest_determinant * (size0 * size1 * size2):
            continue
        owns0 = a0 > 0 or (a0 == 0 and b0 < 0)
        owns1 = a1 > 0 or (a1 == 0 and b1 < 0)
        owns2 = a2 > 0 or (a2 == 0 and b2 < 0)

        # Corners behind the camera project to the wrong side: then any pixel may be covered.
        left, right, top, bottom = 0.0, float(width), 0.0, float(height)
        if w0 > 0 and w1 > 0 and w2 > 0:
            left = max(left, (min(x0 / w0, x1 / w1, x2 / w2) + 1) * width / 2)
            right = min(right, (max(x0 / w0, x1 / w1, x2 / w2) + 1) * width / 2)
            top = max(top, (1 - max(y0 / w0, y1 / w1, y2 / w2)) * height / 2)
            bottom = min(bottom, (1 - min(y0 / w0, y1 / w1, y2 / w2)) * height / 2)
        if left > right or top > bottom:
            continue
        # Rounded outwards, so up to a pixel too many on each side.
        first_column, end_column = max(0, floor(left - 0.5)), min(width, ceil(right + 0.5))
        first_row, end_row = max(0, floor(top - 0.5)), min(height, ceil(bottom + 0.5))

        for row in range(first_row, end_row):
            y = 1 - (row + 0.5) * 2 / height
            v0, v1, v2 = y0 - w0 * y, y1 - w1 * y, y2 - w2 * y
            # Edges fall or rise along a row, e = c - d x: only columns where none is negative are
            # looked at, and those where rounding could decide.
            low, high = -1.0, 1.0
            for c, d, size in (
                (x1 * v2 - v1 * x2, w1 * v2 - v1 * w2, size1 * abs(v2) + size2 * abs(v1)),
                (x2 * v0 - v2 * x0, w2 * v0 - v2 * w0, size2 * abs(v0) + size0 * abs(v2)),
                (x0 * v1 - v0 * x1, w0 * v1 - v0 * w1, size0 * abs(v1) + size1 * abs(v0)),
            ):
                if d > 0:
                    high = min(high, (c + ROUNDING * size) / d)
                elif d < 0:
                    low = max(low, (c + ROUNDING * size) / d)
            if low > high:
                continue
            first = max(first_column, ceil((low + 1) * width / 2 - 0.5))
            end = min(end_column, floor((high + 1) * width / 2 + 0.5))
            for column in range(first, end):
                x = (column + 0.5) * 2 / width - 1
                u0, u1, u2 = x0 - w0 * x, x1 - w1 * x, x2 - w2 * x
                e0, e1, e2 = u1 * v2 - v1 * u2, u2 * v0 - v2 * u0, u0 * v1 - v0 * u1
                inside = (
                    (e0 > 0 or (e0 == 0 and owns0))
                    and (e1 > 0 or (e1 == 0 and owns1))
                    and (e2 > 0 or (e2 == 0 and owns2))
                )
                if inside:
                    z_over_w = (e0 * z0 + e1 * z1 + e2 * z2) / (e0 * w0 + e1 * w1 + e2 * w2)
                    depth = np.rint(z_over_w * depth_steps)
                    if depth < nearest[row, column]:
                        nearest[row, column] = depth
                        faces[row, column] = face
