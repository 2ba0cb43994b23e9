"""The visibility contract on a CUDA device: one Triton program a tile of pixels, all in registers.

A program walks over the triangles in order and skips those whose box misses its tile, so the lower
index wins ties without atomics and the same input gives the same ids. Under TRITON_INTERPRET=1 the
same code runs on the CPU, slowly, which is how it is tested where there is no such device.
"""

import os
from typing import no_type_check

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from jaxtyping import Float, Int, Int32
from torch import Tensor

from render.backends import DEPTH_STEPS
from render.facing import front_facing

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
TILE = 64 if INTERPRETED else 16
"""Side of the squares of pixels that one program fills; the interpreter likes few programs."""

OPTIONS = {"enable_fp_fusion": False}
"""Fused products would round an edge differently from its two sides."""

if not (INTERPRETED or torch.cuda.is_available()):
    raise ImportError("torch finds no CUDA device")


def visible_faces(
    clip_positions: Float[Tensor, "B V 4"], triangles: Int[Tensor, "F 3"], height: int, width: int
) -> Int32[Tensor, "B H W"]:
    """See `render.visibility.visible_faces`."""
    home = clip_positions.device
    device = home if INTERPRETED or home.type == "cuda" else torch.device("cuda")
    corner = triangles.to(device).flatten().long()
    clip = clip_positions.detach().to(device).double()
    corners = clip.index_select(1, corner).unflatten(1, triangles.shape).contiguous()
    boxes, owns = boxes_of(corners, height, width), owned_edges(corners)
    faces = torch.full((len(clip), height, width), -1, dtype=torch.int32, device=device)
    grid = (len(clip), triton.cdiv(height, TILE), triton.cdiv(width, TILE))
    sizes = len(triangles), height, width
    if faces.numel():
        with torch.cuda.device_of(faces):
            fill_tile[grid](  # pyright: ignore[reportIndexIssue]
                corners, boxes, owns, faces, *sizes, DEPTH_STEPS, TILE=TILE, **OPTIONS
            )
    return faces.to(home)


def owned_edges(corners: Float[Tensor, "B F 3 4"]) -> Int32[Tensor, "B F 3"]:
    """1 where a pixel whose centre lies on the edge opposite a corner belongs to the triangle."""
    x, y, w = corners[..., [0, 1, 3]].unbind(-1)
    x1, y1, w1 = (t.roll(-1, -1) for t in (x, y, w))
    x2, y2, w2 = (t.roll(-2, -1) for t in (x, y, w))
    rightwards, upwards = y1 * w2 - w1 * y2, w1 * x2 - x1 * w2
    return ((rightwards > 0) | ((rightwards == 0) & (upwards < 0))).int()


def boxes_of(corners: Float[Tensor, "B F 3 4"], height: int, width: int) -> Int32[Tensor, "B F 4"]:
    """First and end column, first and end row of the pixels that a triangle may cover.

    Empty for triangles that cover none; the whole image where one has a corner behind the camera,
    for that projects to the wrong side.
    """
    x, y, _, w = corners.unbind(-1)
    column, row = (x / w + 1) * width / 2, (1 - y / w) * height / 2
    # Rounded outwards, so up to a pixel too many on each side.
    box = torch.stack(
        [
            (column.amin(-1) - 0.5).floor().clamp(0, width),
            (column.amax(-1) + 0.5).ceil().clamp(0, width),
            (row.amin(-1) - 0.5).floor().clamp(0, height),
            (row.amax(-1) + 0.5).ceil().clamp(0, height),
        ],
        -1,
    )
    whole = box.new_tensor([0, width, 0, height])
    box = torch.where((w > 0).all(-1)[..., None], box, whole)
    return torch.where(front_facing(corners)[..., None], box, 0).int()


@triton.jit
@no_type_check  # or the tests' shape checker would wrap it before it is compiled
def fill_tile(corners, boxes, owns, faces, count, height, width, depth_steps, TILE: tl.constexpr):
    """Write the ids of one tile: corners `[B F 3 4]` float64, faces `[B H W]`.

    Corners are shifted to the pixel before they are crossed, as in `numba_cpu`.
    """
    frame = tl.program_id(0)
    top, left = tl.program_id(1) * TILE, tl.program_id(2) * TILE
    row = top + tl.arange(0, TILE)[:, None]
    column = left + tl.arange(0, TILE)[None, :]
    x = (column.to(tl.float64) + 0.5) * 2 / width - 1
    y = 1 - (row.to(tl.float64) + 0.5) * 2 / height
    nearest = tl.full((TILE, TILE), float("inf"), tl.float64)
    seen = tl.full((TILE, TILE), -1, tl.int32)
    for face in range(count):
        index = frame * count + face
        box = boxes + 4 * index
        right_of = tl.load(box) < left + TILE and tl.load(box + 1) > left
        if right_of and (tl.load(box + 2) < top + TILE and tl.load(box + 3) > top):
            corner, own = corners + 12 * index, owns + 3 * index
            w0, w1, w2 = tl.load(corner + 3), tl.load(corner + 7), tl.load(corner + 11)
            u0, v0 = tl.load(corner) - w0 * x, tl.load(corner + 1) - w0 * y
            u1, v1 = tl.load(corner + 4) - w1 * x, tl.load(corner + 5) - w1 * y
            u2, v2 = tl.load(corner + 8) - w2 * x, tl.load(corner + 9) - w2 * y
            e0, e1, e2 = u1 * v2 - v1 * u2, u2 * v0 - v2 * u0, u0 * v1 - v0 * u1
            inside = (
                ((e0 > 0) | ((e0 == 0) & (tl.load(own) == 1)))
                & ((e1 > 0) | ((e1 == 0) & (tl.load(own + 1) == 1)))
                & ((e2 > 0) | ((e2 == 0) & (tl.load(own + 2) == 1)))
            )
            z = e0 * tl.load(corner + 2) + e1 * tl.load(corner + 6) + e2 * tl.load(corner + 10)
            w = tl.where(inside, e0 * w0 + e1 * w1 + e2 * w2, 1.0)
            depth = tl.floor(z / w * depth_steps + 0.5)
            wins = inside & (depth < nearest)
            nearest = tl.where(wins, depth, nearest)
            seen = tl.where(wins, face, seen)
    place = faces + (frame * height + row) * width + column
    tl.store(place, seen, mask=(row < height) & (column < width))
