"""How much of each pixel a mesh covers, with the gradients of its silhouette.

Fragments only know pixel centres, and those do not move with a vertex. Where one of two neighbours
is covered and the other is not, the silhouette passes between their centres; where it does moves
smoothly (the idea of Laine et al. 2020, section 3.5). Unlike there, all silhouette edges are asked,
not those of the triangle that a centre happens to see: near a silhouette triangles are slivers.

`P` pairs of neighbours, `E` edges, `S` edges of one frame's silhouette; memory goes with P · S.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from render.facing import front_facing
from render.fragments import Fragments, corners_of

ROUNDING_PIXELS = 1e-6
"""A crossing may lie this far beyond the two centres between which the fragments place it."""


def coverage(
    fragments: Fragments, clip_positions: Float[Tensor, "B V 4"], triangles: Int[Tensor, "F 3"]
) -> Float[Tensor, "B 1 H W"]:
    """The covered share of each pixel; its gradient is that of the mesh's outline.

    The crossing lies a share t of the way from a covered centre to its uncovered neighbour. For a
    straight edge with unit normal n, the pair's nearer pixel gains n_a² (t − ½), a the axis of the
    pair: then the sum over all pixels changes by exactly the area that the edge sweeps, whatever
    its direction, and no pixel jumps when its centre is passed. Shares beyond 0 and 1, which
    features smaller than a pixel give, are cut off. Exact for level and upright edges; for slanted
    ones a pixel is off by an eighth at most, corners aside. Pixels on the image's border lack the
    neighbours beyond it.
    """
    height, width = fragments.face.shape[1:]
    ends, edge_of_face = edges_of(triangles)
    silhouette = silhouettes(clip_positions, triangles, edge_of_face, len(ends))
    clip = clip_positions.double()
    x, y, w = clip[..., 0], clip[..., 1], clip[..., 3]
    pixels = torch.stack([(x + w) * width / 2, (w - y) * height / 2, w], -1)
    shares = (fragments.face >= 0).double()
    moved = torch.zeros_like(shares)
    for frame, face in enumerate(fragments.face):
        outline = pixels[frame, ends[silhouette[frame]]]
        # Columns change along a row; then, with the image on its side, rows along a column.
        moved[frame] += moved_share(face, outline)
        moved[frame] += moved_share(face.mT, outline[..., [1, 0, 2]]).mT
    return (shares + moved).clamp(0, 1).unsqueeze(1).to(clip_positions.dtype)


def moved_share(face: Int[Tensor, "H W"], outline: Float[Tensor, "S 2 3"]) -> Float[Tensor, "H W"]:
    """What pairs of neighbours in a row add to their pixels; outline as (column w, row w, w)."""
    seen = face >= 0
    row, left = (seen[:, 1:] != seen[:, :-1]).nonzero().unbind(1)
    inside, outside = (
        torch.where(seen[row, left] == side, left, left + 1) for side in (True, False)
    )
    with torch.no_grad():
        edge, between = outermost_crossing(row, inside, outside, outline)
    row, inside, outside = row[between], inside[between], outside[between]
    chosen = outline[edge[between]]
    t = (crossing(row, chosen) - (inside + 0.5)) * (outside - inside)
    across, along, _ = torch.linalg.cross(chosen[:, 0], chosen[:, 1]).square().unbind(-1)
    gain = across / (across + along) * (t - 0.5)
    pixel = row * face.shape[1] + torch.where(t > 0.5, outside, inside)
    return gain.new_zeros(face.numel()).index_add(0, pixel, gain).view(face.shape)


def outermost_crossing(
    row: Int[Tensor, " P"],
    inside: Int[Tensor, " P"],
    outside: Int[Tensor, " P"],
    outline: Float[Tensor, "S 2 3"],
) -> tuple[Int[Tensor, " P"], Bool[Tensor, " P"]]:
    """The edge that crosses between two centres nearest to the uncovered one, and if there is any.

    Edges nearer to the covered centre outline something before the mesh, not the mesh.
    """
    if not len(outline):
        return torch.zeros_like(row), torch.zeros_like(row, dtype=torch.bool)
    start, way = (inside + 0.5)[:, None], (outside - inside)[:, None]
    t = (crossing(row[:, None], outline[None]) - start) * way
    within = (t >= -ROUNDING_PIXELS) & (t <= 1 + ROUNDING_PIXELS)
    farthest, edge = torch.where(within, t, -torch.inf).max(1)
    return edge, farthest.isfinite()


def crossing(row: Int[Tensor, "*#P"], edge: Float[Tensor, "*#P 2 3"]) -> Float[Tensor, "*P"]:
    """The column (in pixels) at which edges cross the centres of rows, NaN where they do not.

    Homogeneous, so that an edge may run behind the camera: the point on it must have w > 0.
    """
    beside = edge[..., 1] - (row + 0.5)[..., None] * edge[..., 2]
    first, second = beside.unbind(-1)
    crosses = (first > 0) != (second > 0)
    step = first / torch.where(crosses, first - second, 1)
    point = edge[..., 0, :] + step[..., None] * (edge[..., 1, :] - edge[..., 0, :])
    w = torch.where(crosses & (point[..., 2] > 0), point[..., 2], torch.nan)
    return point[..., 0] / w


def edges_of(triangles: Int[Tensor, "F 3"]) -> tuple[Int[Tensor, "E 2"], Int[Tensor, "F 3"]]:
    """The two vertices of each edge, and the three edges of each triangle."""
    low, high = torch.stack([triangles, triangles.roll(-1, 1)]).long().aminmax(dim=0)
    # One number an edge: numbers are sorted twenty times faster than rows.
    count = high.max() + 1 if len(triangles) else 1
    edges, edge_of_face = (low * count + high).unique(return_inverse=True)
    return torch.stack([edges // count, edges % count], -1), edge_of_face


def silhouettes(
    clip_positions: Float[Tensor, "B V 4"],
    triangles: Int[Tensor, "F 3"],
    edge_of_face: Int[Tensor, "F 3"],
    count: int,
) -> Bool[Tensor, "B E"]:
    """Edges of one front face only: its neighbour turns away, or there is none."""
    front = front_facing(corners_of(clip_positions.detach().double(), triangles))
    fronts = front.new_zeros(len(front), count, dtype=torch.int64)
    fronts.index_add_(1, edge_of_face.flatten(), front.long().repeat_interleave(3, 1))
    return fronts == 1
