"""The face's mesh: what makes 852 triangles one oriented sheet with eyes and a mouth in it."""

from collections import Counter
from itertools import pairwise

import numpy as np
from mediapipe.python.solutions import face_mesh_connections as connections

from face3d.morphable import default_model
from face3d.topology import (
    INNER_PAIRS,
    JAW_LINE,
    LANDMARKS,
    LIPS,
    LIPS_BETWEEN,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
    edges_of,
    lip_ring_inner,
    tesselation,
)


def directed(triangles: np.ndarray) -> Counter:
    return Counter((int(t[k]), int(t[(k + 1) % 3])) for t in triangles for k in range(3))


def test_the_sheet_has_all_its_triangles_and_no_others() -> None:
    """Kills cliques that merely surround a vertex, and lost triangles: the edges are MediaPipe's,
    each with one or two owners, and V − E + F = 1 − (eyes and mouth)."""
    triangles = tesselation()
    owners = edges_of(map(tuple, triangles.tolist()))
    assert triangles.shape == (852, 3)
    assert set(owners) == {tuple(sorted(e)) for e in connections.FACEMESH_TESSELATION}
    assert set(owners.values()) == {1, 2}
    assert sum(count == 1 for count in owners.values()) == 88
    assert LANDMARKS - len(owners) + len(triangles) == 1 - 3


def test_the_rim_is_the_oval_the_eyes_and_the_mouth() -> None:
    """Kills a hole or a flap: the edges of one owner are 36 + 16 + 16 + 20, in closed loops."""
    rim = [e for e, count in edges_of(map(tuple, tesselation().tolist())).items() if count == 1]
    neighbours: dict[int, set[int]] = {}
    for a, b in rim:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    assert {len(n) for n in neighbours.values()} == {2}
    loops = []
    while neighbours:
        loop, todo = set(), [next(iter(neighbours))]
        while todo:
            vertex = todo.pop()
            loop.add(vertex)
            todo += neighbours.pop(vertex, set()) - loop
        loops.append(loop)
    assert sorted(map(len, loops)) == [16, 16, 20, 36]
    assert set(lip_ring_inner()) in loops
    oval = max(loops, key=len)
    assert set(JAW_LINE) <= oval


def test_neighbours_run_along_their_edge_in_opposite_directions() -> None:
    """Kills a flipped triangle, in the sheet and in the whole model with its teeth and cavity."""
    for triangles in (tesselation(), default_model().triangles.numpy()):
        assert set(directed(triangles).values()) == {1}


def test_the_outside_is_counter_clockwise() -> None:
    """Kills a sheet turned inside out: nearly all of a facing head's normals face the camera."""
    mean = default_model().mean.numpy()
    a, b, c = (mean[corner] for corner in tesselation().T)
    assert (np.cross(b - a, c - a)[:, 2] > 0).mean() > 0.99


def test_rings_run_along_edges_from_the_right_to_the_left() -> None:
    """Kills a misspelt vertex, a ring that jumps, and left for right."""
    owners = edges_of(map(tuple, tesselation().tolist()))
    x = default_model().mean[:, 0]
    rings = (LIPS_OUTER_UPPER, LIPS_OUTER_LOWER, LIPS_INNER_UPPER, LIPS_INNER_LOWER, JAW_LINE)
    for ring in rings:
        assert all(tuple(sorted(e)) in owners for e in pairwise(ring)), ring
        assert x[ring[0]] < 0 < x[ring[-1]]
    between = LIPS_BETWEEN[:20], LIPS_BETWEEN[20:]
    for loop in (lip_ring_inner(), *between):
        assert len(set(loop)) == 20
        assert all(tuple(sorted((a, loop[i - 1]))) in owners for i, a in enumerate(loop))
    assert len(LIPS) == 40


def test_the_red_of_the_lips_is_whole() -> None:
    """Kills lips of contours only, between which no triangle lies: the red is a band of 120
    triangles whose rim is the outer and the inner contour."""
    lips = set(LIPS + LIPS_BETWEEN)
    band = [t for t in tesselation().tolist() if set(t) <= lips]
    rim = {v for e, n in edges_of(map(tuple, band)).items() if n == 1 for v in e}
    assert len(band) == 120
    assert rim == set(LIPS)


def test_facing_lip_points_face_each_other() -> None:
    """Kills pairs shifted by one: partners lie on one vertical, the upper one above."""
    mean = default_model().mean
    upper, lower = mean[[a for a, _ in INNER_PAIRS]], mean[[b for _, b in INNER_PAIRS]]
    assert float((upper - lower)[:, 0].abs().max()) < 0.002
    assert bool((upper[:, 1] > lower[:, 1]).all())
