"""Parts that landmarks do not see: the cut, the teeth, the cavity, by their geometry."""

import numpy as np

from face3d.anatomy import FACE_V, cut_along, jaw_rule
from face3d.morphable import default_model
from face3d.topology import CHIN, LANDMARKS, NOSE_BASE, edges_of, tesselation

MODEL = default_model()
FACE = MODEL.mean[:LANDMARKS].double().numpy()
LINE = FACE[NOSE_BASE, 1] - 0.004


def areas(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (points[corner] for corner in triangles.T)
    return np.linalg.norm(np.cross(b - a, c - a), axis=-1) / 2


def cut(height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles and points of the face cut where `height` is 0."""
    triangles, part = cut_along(FACE, np.zeros((LANDMARKS, 2)), tesselation(), height)
    return triangles, np.concatenate([FACE, part.rest])


def test_cutting_keeps_the_surface() -> None:
    """Kills a lost, doubled or flipped piece: area and orientation stay, sides do not mix."""
    height = FACE[:, 1] - LINE
    triangles, points = cut(height)
    np.testing.assert_allclose(areas(points, triangles).sum(), areas(FACE, tesselation()).sum())
    sides = points[:, 1] - LINE
    sides[LANDMARKS:] = 0
    low, high = sides[triangles].min(1), sides[triangles].max(1)
    assert not np.any((low < 0) & (high > 0))
    np.testing.assert_allclose(points[LANDMARKS:, 1], LINE, atol=1e-12)
    owners = edges_of(map(tuple, triangles.tolist()))
    assert set(owners.values()) == {1, 2}
    assert sum(count == 1 for count in owners.values()) == 88 + 2


def test_a_vertex_on_the_line_and_a_line_beside_the_face_do_not_break_the_cut() -> None:
    """Kills 0/0 at a vertex exactly on the line, and a cut where there is nothing to cut."""
    triangles, points = cut(FACE[:, 1] - FACE[NOSE_BASE, 1])
    assert np.isfinite(points).all()
    np.testing.assert_allclose(areas(points, triangles).sum(), areas(FACE, tesselation()).sum())
    triangles, points = cut(FACE[:, 1] + 1.0)
    assert np.array_equal(triangles, tesselation())
    assert len(points) == LANDMARKS


def test_the_model_is_cut_along_a_level_line() -> None:
    """Kills a jagged border: what a dub repaints of the face ends at one height, below the nose."""
    face = MODEL.triangles[(MODEL.triangles < LANDMARKS + 43).all(1)].long()
    lower = MODEL.lower_face[face].all(1)
    y = MODEL.mean[:, 1]
    assert float(y[face[lower]].max()) <= LINE + 1e-6
    assert float(y[face[~lower]].min()) >= LINE - 1e-6


def test_the_jaw_rule_reproduces_a_turning_jaw() -> None:
    """Kills a wrong lever arm or sign: chin landmarks turned about the hinge turn the teeth with
    them. The ridge takes a share of it, measured 7 %."""
    hinge = (FACE[234] + FACE[454]) / 2
    points = np.array([[0.0, -0.03, -0.01], [0.02, -0.035, -0.03]])
    axis = np.array([0.02, 0.005, 0.0])

    def turn(at: np.ndarray) -> np.ndarray:
        return np.cross(axis, at - hinge)

    moved = np.zeros_like(FACE)
    moved[list(CHIN)] = turn(FACE[list(CHIN)])
    result = (jaw_rule(FACE, points) @ moved.ravel()).reshape(-1, 3)
    error = np.linalg.norm(result - turn(points)) / np.linalg.norm(turn(points))
    assert error < 0.08, error


def test_teeth_and_cavity_have_texture_of_their_own() -> None:
    """Kills charts that overlap: faces lie above `FACE_V`, teeth and cavity below, teeth left."""
    inside = MODEL.inside
    assert float(MODEL.uv[~inside, 1].max()) <= FACE_V + 1e-6
    assert float(MODEL.uv[inside, 1].min()) >= FACE_V
    teeth, cavity = MODEL.uv[574:664], MODEL.uv[664:]
    assert float(teeth[:, 0].max()) < 0.5 < float(cavity[:, 0].min())


def test_no_texel_belongs_to_two_triangles() -> None:
    """Kills a chart that folds over itself: the summed areas in uv equal the covered area."""
    size = 384
    owners = np.zeros((size, size), np.int32)
    for corners in MODEL.uv[MODEL.triangles.long()].double().numpy() * size:
        low, high = corners.min(0).astype(int), np.ceil(corners.max(0)).astype(int)
        ys, xs = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
        sides = [
            (v[0] - u[0]) * (ys - u[1]) - (v[1] - u[1]) * (xs - u[0])
            for u, v in zip(corners, np.roll(corners, -1, 0), strict=True)
        ]
        covered = np.all([s > 0 for s in sides], 0) | np.all([s < 0 for s in sides], 0)
        owners[low[1] : high[1], low[0] : high[0]] += covered
    assert (owners > 1).mean() < 0.002, (owners > 1).mean()
    assert (owners > 0).mean() > 0.5
