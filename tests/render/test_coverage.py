"""Covered shares: against areas, many samples a pixel, finite differences and known truth."""

import math

import pytest
import torch
from numerics import sphere

from core.camera import Camera
from render.coverage import coverage, crossing
from render.fragments import rasterize

QUAD = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
SIDE = 24


def covered(clip, triangles, height, width, backend="auto"):
    return coverage(rasterize(clip, triangles, height, width, backend), clip, triangles)


def flat(xy_pixels, width=SIDE, height=SIDE, w=1.0):
    """Clip positions `[1 V 4]` of points in pixels."""
    x, y = torch.as_tensor(xy_pixels, dtype=torch.float64).unbind(-1)
    ndc = torch.stack([2 * x / width - 1, 1 - 2 * y / height, 0 * x, 0 * x + 1], -1)
    return (ndc * w)[None]


def turned_box(degrees, middle=(12.2, 11.7)):
    """Corners of a box of 13 × 9 pixels, counter-clockwise with y up."""
    turn = math.radians(degrees)
    c, s = math.cos(turn), math.sin(turn)
    a, b = 6.5, 4.5
    corners = [(-a, b), (a, b), (a, -b), (-a, -b)]
    return [(middle[0] + c * x - s * y, middle[1] + s * x + c * y) for x, y in corners]


def ball(height=40, width=44, rings=14, segments=18):
    vertices, triangles = sphere(rings, segments)
    camera = Camera(36.0, (23.3, 21.1), width, height)
    places = torch.tensor([[[0.1, -0.1, -2.9]], [[-0.3, 0.2, -2.4]]], dtype=torch.float64)
    return camera.clip_from_camera(vertices + places), triangles


def sampled(clip, triangles, height, width, samples=16):
    """Twin: the share of `samples`² points of each pixel that see a face."""
    face = rasterize(clip, triangles, height * samples, width * samples).face
    return torch.nn.functional.avg_pool2d((face >= 0).double()[:, None], samples)


def test_upright_edges_cover_exact_shares():
    """Kills a pixel shifted by half, the wrong neighbour, rows for columns and a share reversed.

    The box spans columns 2.7 to 5.4 and rows 1.2 to 4.6 of seven by six pixels.
    """
    box = flat([(2.7, 1.2), (2.7, 4.6), (5.4, 4.6), (5.4, 1.2)], 7, 6, w=1.7)
    share = covered(box, QUAD, 6, 7)[0, 0]
    middle_row = torch.tensor([0, 0, 0.3, 1, 1, 0.4, 0], dtype=torch.float64)
    middle_column = torch.tensor([0, 0.8, 1, 1, 0.6, 0], dtype=torch.float64)
    torch.testing.assert_close(share[2], middle_row, rtol=0, atol=1e-12)
    torch.testing.assert_close(share[:, 3], middle_column, rtol=0, atol=1e-12)


SHIFTS = [(dx / 3, dy / 3) for dx in range(3) for dy in range(3)]
GIRTH, AREA = 2 * (13 + 9), 13 * 9


@pytest.mark.parametrize("degrees", [10, 45, 137])
def test_shares_sum_to_the_area(degrees):
    """Kills hard masks, off by up to 9 pixels at 45°, and pairs that take or give without measure.
    Measured: 0.6 at most, all of it at the four corners."""
    areas = [
        covered(flat(turned_box(degrees, (12.2 + dx, 11.7 + dy))), QUAD, SIDE, SIDE).sum()
        for dx, dy in SHIFTS
    ]
    assert float((torch.stack(areas) - AREA).abs().max()) < 0.75
    assert abs(float(torch.stack(areas).mean()) - AREA) < 0.25


@pytest.mark.parametrize("degrees", [7, 33, 45])
def test_the_gradient_of_the_area_is_the_outline(degrees):
    """The area law: growing a box by ε adds ε times its girth, moving it adds nothing. Kills pairs
    that count by their number: slanted edges meet two a pixel. Measured: 2 %, at the corners."""
    turn = math.radians(degrees)
    c, s = math.cos(turn), math.sin(turn)
    axes = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    by_growth, by_move = torch.zeros(()), torch.zeros(2)
    for dx, dy in SHIFTS:
        corners = torch.tensor(turned_box(degrees, (12.2 + dx, 11.7 + dy)), dtype=torch.float64)
        grown = torch.zeros((), dtype=torch.float64, requires_grad=True)
        moved = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        outwards = ((corners - corners.mean(0)) @ axes.T).sign() @ axes
        area = covered(flat(corners + grown * outwards + moved), QUAD, SIDE, SIDE).sum()
        growth, move = torch.autograd.grad(area, (grown, moved))
        by_growth, by_move = by_growth + growth / len(SHIFTS), by_move + move / len(SHIFTS)
    assert abs(float(by_growth) / GIRTH - 1) < 0.04
    assert float(by_move.abs().max()) < 0.4


@pytest.mark.parametrize(("rings", "segments"), [(14, 18), (40, 60)])
def test_agrees_with_many_samples(rings, segments):
    """Kills edges sought only in the triangle that a centre sees: of a fine ball's slivers most are
    seen by none. Measured: worst 0.13, mean at the border 0.03, in all 4e-5; hard masks: 0.5, 0.2,
    1e-3."""
    clip, triangles = ball(rings=rings, segments=segments)
    share, truth = covered(clip, triangles, 40, 44), sampled(clip, triangles, 40, 44)
    border = (truth > 0) & (truth < 1)
    assert float((share - truth).abs().max()) < 0.15
    assert float((share - truth).abs()[border].mean()) < 0.035
    assert abs(float((share - truth).mean())) < 1e-4
    assert int(border.sum()) > 200


def test_what_lies_before_the_mesh_does_not_change_its_outline():
    """Kills the outline of a nose taken for the face's, or a hidden one, or a back face's."""
    box = flat(turned_box(20))
    nose = flat([(10, 9), (9, 13), (14, 12)]) * torch.tensor([1.0, 1, 0, 1])
    near, far = nose.clone(), nose.clone()
    near[..., 2], far[..., 2] = -0.5, 0.5
    alone = covered(box, QUAD, SIDE, SIDE)
    together = torch.cat([box, near, far], 1)
    more = torch.tensor([[4, 5, 6], [7, 8, 9], [6, 5, 4]], dtype=torch.int32)
    assert torch.equal(covered(together, torch.cat([QUAD, more]), SIDE, SIDE), alone)


def test_a_nose_beyond_the_outline_is_part_of_it():
    """Kills the edge nearest to the covered centre, where one mesh reaches out before another."""
    box = flat([(4, 4), (4, 18), (12.2, 18), (12.2, 4)])
    ear = flat([(10.1, 8), (10.1, 13), (12.4, 13), (12.4, 8)])
    ear[..., 2] = -0.5
    clip = torch.cat([box, ear], 1)
    share = covered(clip, torch.cat([QUAD, QUAD + 4]), SIDE, SIDE)[0, 0]
    assert abs(float(share[5, 12]) - 0.2) < 1e-12
    assert abs(float(share[10, 12]) - 0.4) < 1e-12


def test_a_back_face_beyond_the_outline_is_none_of_it():
    """Kills the outline of what nobody sees: a flap turned away, at the right of the same box."""
    points = [(4, 4), (4, 18), (12.2, 18), (12.2, 4), (12.4, 18), (12.4, 4)]
    flap = torch.tensor([[3, 4, 2], [3, 5, 4]], dtype=torch.int32)
    clip = flat(points)
    alone = covered(clip, QUAD, SIDE, SIDE)
    assert torch.equal(covered(clip, torch.cat([QUAD, flap]), SIDE, SIDE), alone)


def test_shares_do_not_jump():
    """Kills a jump when an edge passes a pixel's centre: a ten-thousandth of a pixel moves no share
    by more than 4e-4, at slanted edges, over whole pixels."""
    corners = torch.tensor(turned_box(31), dtype=torch.float64)
    for step in torch.linspace(0, 1, 30, dtype=torch.float64):
        here = covered(flat(corners + step), QUAD, SIDE, SIDE)
        there = covered(flat(corners + step + 1e-4), QUAD, SIDE, SIDE)
        assert float((there - here).abs().max()) < 4e-4


def test_gradients_are_finite_differences():
    """Kills a detached outline, a constant weight, and batch elements that take each other's."""
    vertices, triangles = sphere(3, 4)
    camera = Camera(6.0, (4.9, 4.6), 10, 9)
    places = torch.tensor([[[0.0, 0.1, -2.2]], [[0.2, -0.1, -2.6]]], dtype=torch.float64)
    clip = camera.clip_from_camera(vertices + places).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: covered(c, triangles, 9, 10), (clip,), fast_mode=True)


def test_across_the_camera_plane():
    """Kills edges projected by their ends: the floor's run behind the camera, to where w < 0."""
    camera = Camera(12.0, (12.0, 12.0), SIDE, SIDE)
    points = torch.tensor([[-2.0, -1, -4], [2.5, -1, -4], [0.3, -1, 3]], dtype=torch.float64)
    clip = camera.clip_from_camera(points)[None].requires_grad_()
    floor = torch.tensor([[0, 2, 1]], dtype=torch.int32)
    share, truth = covered(clip, floor, SIDE, SIDE), sampled(clip, floor, SIDE, SIDE)
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    assert 0.1 < float(truth.mean()) < 0.9
    assert float((share - truth)[inner].abs().max()) < 0.13
    (gradient,) = torch.autograd.grad(share.square().sum(), clip)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


def test_an_edge_through_the_camera_plane_crosses_rows_on_one_side():
    """Kills the mirror image of what lies behind. From pixel (2, 3) at depth 1 to (−4, 5) at −1 the
    point with y = 1.5 lies 0.3 of the way, at (2.6, 0.6, 0.4); y = 6.5 lies at depth −0.4.
    """
    edge = torch.tensor([[[2.0, 3, 1], [4, -5, -1]]], dtype=torch.float64).expand(3, 2, 3)
    column = crossing(torch.tensor([1, 3, 6]), edge)
    assert abs(float(column[0]) - 6.5) < 1e-12
    assert column[1:].isnan().all()


def test_nothing_everything_and_specks():
    """Kills selections from an empty outline, shares beyond 0 and 1, and an empty batch."""
    whole = flat([(-9, -9), (-9, 99), (99, 99), (99, -9)], 8, 8)
    away = whole * torch.tensor([1.0, 1, 1, -1])
    speck = flat([(3.4, 3.4), (3.4, 3.6), (3.6, 3.6), (3.6, 3.4)], 8, 8)
    clip = torch.cat([whole, away, speck]).float().requires_grad_()
    share = covered(clip, QUAD, 8, 8)
    assert share.dtype == torch.float32
    assert share.shape == (3, 1, 8, 8)
    assert (share[0] == 1).all()
    assert (share[1] == 0).all()
    assert (rasterize(clip, QUAD, 8, 8).face[2] >= 0).sum() == 1
    assert share.min() >= 0
    assert share.max() <= 1
    (gradient,) = torch.autograd.grad(share.sum(), clip)
    assert gradient.isfinite().all()
    assert covered(clip[:0], QUAD, 8, 8).shape == (0, 1, 8, 8)
    assert (covered(clip[:1], QUAD[:0], 8, 8) == 0).all()


def test_place_and_size_are_found_again_from_a_silhouette():
    """Known truth: an egg 3 pixels aside and a fifth too small finds back, in image and depth.

    Kills gradients of the wrong sign or size, and of one axis only. Hard masks would stay put.
    """
    vertices, triangles = sphere(12, 16)
    egg = vertices * torch.tensor([0.8, 1.2, 0.7]) + 0.1 * vertices[:, [1, 0, 2]]
    camera = Camera(60.0, (24.0, 24.0), 48, 48)

    def silhouette(place, size):
        clip = camera.clip_from_camera(egg * size + place)[None]
        return covered(clip, triangles, 48, 48)

    true_place = torch.tensor([0.13, -0.09, -4.0], dtype=torch.float64)
    truth = silhouette(true_place, 1.1)
    aside = torch.tensor([-0.2, 0.17], dtype=torch.float64, requires_grad=True)
    size = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([aside, size], max_iter=40, line_search_fn="strong_wolfe")

    def loss():
        solver.zero_grad()
        place = torch.cat([aside, true_place[2:]])
        error = (silhouette(place, size) - truth).square().sum()
        error.backward()
        return error

    solver.step(loss)
    metres_a_pixel = 4.0 / 60
    assert float((aside - true_place[:2]).abs().max()) < 0.01 * metres_a_pixel
    assert abs(float(size) - 1.1) < 1e-3
