"""MediaPipe's 468-vertex face topology: triangles and named rings from its published connections.

"Left" is the subject's left. A ring is an ordered loop or chain of vertex indices.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from functools import cache
from itertools import combinations

import numpy as np
from mediapipe.python.solutions import face_mesh_connections as connections

LANDMARKS = 468
"""Vertices of the face surface; MediaPipe's irises (468 to 477) lie on no surface."""

LIPS_OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIPS_OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LIPS_INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LIPS_INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""Lip contours from the right corner of the mouth to the left one."""

INNER_PAIRS = tuple(zip(LIPS_INNER_UPPER[1:-1], LIPS_INNER_LOWER[1:-1], strict=True))
"""Facing points of the upper and the lower inner lip; their distance is the mouth's opening."""

JAW_LINE = (
    234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152,
    377, 400, 378, 379, 365, 397, 288, 361, 323, 454,
)  # fmt: skip
"""The lower face oval from the right ear under the chin to the left ear."""

STABLE = (
    6, 168, 197, 195, 5, 8, 9, 33, 133, 362, 263, 127, 356, 34, 264, 98, 327, 2, 10, 151,
    54, 284, 139, 368, 122, 351, 193, 417,
)  # fmt: skip
"""Vertices that speech hardly moves: they carry the head's pose."""

CHIN = (152, 175, 199, 148, 377, 171, 396, 176, 400)
"""Vertices that ride on the jaw bone."""

EYE_OUTER_RIGHT, EYE_OUTER_LEFT = 33, 263
EYES_AND_BROWS = tuple(
    sorted(
        {
            vertex
            for edges in (
                connections.FACEMESH_LEFT_EYE,
                connections.FACEMESH_RIGHT_EYE,
                connections.FACEMESH_LEFT_EYEBROW,
                connections.FACEMESH_RIGHT_EYEBROW,
            )
            for edge in edges
            for vertex in edge
        }
    )
)
"""The lids' edges and both rows of the brows."""
NOSE_BASE, NOSE_TIP = 2, 4

LIPS_BETWEEN = (
    76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306, 307, 320, 404, 315, 16, 85, 180, 90, 77,
    62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292, 325, 319, 403, 316, 15, 86, 179, 89, 96,
)  # fmt: skip
"""The two loops on the red of the lips between their contours: no triangle spans it whole."""

LIPS = tuple(sorted({*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER, *LIPS_INNER_UPPER, *LIPS_INNER_LOWER}))


def edges_of(triangles: Iterable[tuple[int, ...]]) -> Counter:
    """How many triangles own each undirected edge."""
    return Counter(tuple(sorted(e)) for t in triangles for e in combinations(t, 2))


@cache
def tesselation() -> np.ndarray:
    """The triangles int32 [852 3] whose edges MediaPipe publishes, consistently oriented.

    They are the 3-cliques of the edge graph, less the cliques that merely surround a vertex: such
    a one is a triangle all of whose edges have three owners.
    """
    neighbours: dict[int, set[int]] = defaultdict(set)
    for a, b in connections.FACEMESH_TESSELATION:
        neighbours[a].add(b)
        neighbours[b].add(a)
    cliques = {
        (a, b, c)
        for a in neighbours
        for b in neighbours[a]
        if b > a
        for c in neighbours[a] & neighbours[b]
        if c > b
    }
    owners = edges_of(cliques)
    faces = [t for t in sorted(cliques) if min(owners[e] for e in combinations(t, 2)) < 3]
    return np.array(_oriented(faces), np.int32)


def _oriented(triangles: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Flip triangles until neighbours run along their shared edge in opposite directions.

    The first one is turned so that the nose tip's faces are counter-clockwise seen from outside:
    1 → 44 → 4 lies on the subject's right flank of the nose.
    """
    by_edge: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, triangle in enumerate(triangles):
        for edge in combinations(triangle, 2):
            by_edge[tuple(sorted(edge))].append(index)
    seed = next(i for i, t in enumerate(triangles) if set(t) == {1, 4, 44})
    result = {seed: (1, 4, 44)}
    queue = deque([seed])
    while queue:
        a, b, c = result[queue.popleft()]
        for start, end in ((a, b), (b, c), (c, a)):
            for other in by_edge[tuple(sorted((start, end)))]:
                if other not in result:
                    third = next(v for v in triangles[other] if v not in (start, end))
                    result[other] = (end, start, third)
                    queue.append(other)
    return [result[i] for i in range(len(triangles))]


def lip_ring_inner() -> tuple[int, ...]:
    """The inner lip contour as a loop of 20: upper lip right to left, then lower lip back."""
    return LIPS_INNER_UPPER + LIPS_INNER_LOWER[-2:0:-1]
