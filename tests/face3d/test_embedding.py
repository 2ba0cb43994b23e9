"""Points that lie on a surface: found on it, kept on it, agreed on by many drawings."""

import numpy as np
import torch

from face3d.embedding import Embedding, agreed, closest_weights, nearest_on_surface, usual_normals


def test_the_closest_point_of_a_triangle_is_no_farther_than_any_other() -> None:
    """Kills weights that leave the triangle, and a clamp that forgets an edge or a corner: against
    a dense grid of each triangle, for points above, beside and beyond it."""
    random = np.random.default_rng(0)
    triangles = random.standard_normal((200, 3, 3))
    points = 2 * random.standard_normal((200, 3))
    weights = closest_weights(points, triangles)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=0, atol=1e-12)
    i, j = np.meshgrid(np.arange(41), np.arange(41), indexing="ij")
    inside = i + j <= 40
    grid = np.stack([i[inside], j[inside], 40 - i[inside] - j[inside]], -1) / 40
    tried = np.einsum("gk,nkc->ngc", grid, triangles)
    nearest = np.linalg.norm(tried - points[:, None], axis=-1).min(1)
    found = np.linalg.norm(np.einsum("nk,nkc->nc", weights, triangles) - points, axis=-1)
    assert (found <= nearest + 1e-12).all()
    assert (nearest - found).max() < 0.05


def test_a_triangle_without_area_still_has_a_closest_point() -> None:
    """Kills a division by its area."""
    line = np.array([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    weights = closest_weights(np.array([[1.5, 1.0, 0.0]]), line)
    np.testing.assert_allclose(np.einsum("nk,nkc->nc", weights, line), [[1.5, 0, 0]], atol=1e-12)


def test_points_of_a_surface_are_found_and_ride_on_it() -> None:
    """Kills corners taken for weights and a point that stays behind when the surface moves: points
    on a crumpled sheet come back, and follow any affine motion of it."""
    random = np.random.default_rng(1)
    i, j = np.meshgrid(np.arange(9), np.arange(9), indexing="ij")
    sheet = np.stack([i.ravel() / 8, j.ravel() / 8, 0.05 * random.standard_normal(81)], -1)
    a = np.array([r * 9 + c for r in range(8) for c in range(8)])
    corners = np.concatenate(
        [np.stack([a, a + 9, a + 1], -1), np.stack([a + 1, a + 9, a + 10], -1)]
    )
    weights = random.dirichlet(np.ones(3), 30)
    face = random.integers(0, len(corners), 30)
    points = np.einsum("lk,lkc->lc", weights, sheet[corners[face]])
    found = nearest_on_surface(points, sheet, corners)
    vertices = torch.from_numpy(sheet)
    np.testing.assert_allclose(found.on(vertices).numpy(), points, rtol=0, atol=1e-6)
    turn = torch.from_numpy(random.standard_normal((4, 3, 3)))
    moved = torch.einsum("bij,vj->bvi", turn, vertices) + 1
    expected = torch.einsum("bij,vj->bvi", turn, found.on(vertices)) + 1
    torch.testing.assert_close(found.on(moved), expected, rtol=0, atol=1e-6)


def test_one_wrong_drawing_does_not_move_a_point() -> None:
    """Kills the mean: a centimetre's error in one drawing of nine moves it by less than a fifth of
    a millimetre, and drawings that are not trusted say nothing."""
    points = 0.0002 * np.random.default_rng(2).standard_normal((9, 5, 3))
    trust = np.ones((9, 5))
    clean = agreed(points, trust)
    wrong = points.copy()
    wrong[4] += 0.01
    assert np.abs(agreed(wrong, trust) - clean).max() < 2e-4
    wrong[4:] += 1.0
    trust[4:] = 0
    np.testing.assert_allclose(agreed(wrong, trust), agreed(points[:4], trust[:4]), atol=1e-12)


def test_normals_of_a_mean_head_point_outwards() -> None:
    """Kills a turned orientation: the nose looks ahead, the ears' landmarks to their sides."""
    normals = usual_normals()
    assert normals[4, 2] > 0.8
    assert normals[454, 0] > 0.8
    assert normals[234, 0] < -0.8


def test_an_embedding_of_one_vertex_each_picks_vertices() -> None:
    """Kills a batch axis taken for the vertices'."""
    picks = torch.tensor([[2, 0, 0], [1, 1, 1]], dtype=torch.int32)
    chosen = Embedding(picks, torch.tensor([[1.0, 0, 0], [0.5, 0.25, 0.25]]))
    basis = torch.randn(7, 4, 3)
    torch.testing.assert_close(chosen.on(basis), basis[:, [2, 1]])
