"""Weights and attributes on visible points: laws, hand arithmetic, gradients."""

import pytest
import torch
from numerics import barycentric_of, drawn, pixel_centres, sphere

from core.camera import Camera
from render.fragments import interpolate, rasterize

HEIGHT, WIDTH = 29, 42


def ball(dtype=torch.float64):
    """Two poses of a ball seen off centre in an image of odd size, in clip space."""
    vertices, triangles = sphere(10, 13)
    camera = Camera(31.0, (19.5, 15.0), WIDTH, HEIGHT)
    places = torch.tensor([[[0.1, -0.1, -2.6]], [[-0.3, 0.2, -1.9]]], dtype=torch.float64)
    return camera.clip_from_camera(vertices + places).to(dtype), triangles


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-6)])
def test_interpolated_positions_land_on_pixel_centres(dtype, tolerance):
    """The position law. Kills: no perspective, half a pixel off, corners rolled, image flipped."""
    clip, triangles = ball(dtype)
    fragments = rasterize(clip, triangles, HEIGHT, WIDTH)
    x, y, w = interpolate(fragments, clip[..., [0, 1, 3]], triangles).unbind(1)
    seen = fragments.face >= 0
    centres = pixel_centres(HEIGHT, WIDTH).to(dtype).expand(2, -1, -1, -1)[seen]
    landed = torch.stack([x[seen] / w[seen], y[seen] / w[seen]], -1)
    assert 0.2 < seen.double().mean() < 0.8
    torch.testing.assert_close(landed, centres[:, :2], rtol=0, atol=tolerance)


def test_weights_lie_within_the_face_and_sum_to_one():
    """Containment. Kills a wrong face id, which the position law cannot see."""
    clip, triangles = ball()
    fragments = rasterize(clip, triangles, HEIGHT, WIDTH)
    weights = fragments.barycentric[fragments.face >= 0]
    assert weights.min() >= 0
    torch.testing.assert_close(
        weights.sum(-1), torch.ones(len(weights)).double(), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 6e-8)])
def test_weights_are_the_solution_of_the_projection(dtype, tolerance):
    """Twin: solves Σ λ v = p. Kills whatever the laws above let through, and float32 inside."""
    clip, triangles = ball(dtype)
    fragments = rasterize(clip, triangles, HEIGHT, WIDTH)
    for i in range(2):
        seen = fragments.face[i] >= 0
        expected = barycentric_of(fragments.face[i], clip[i], triangles)[seen]
        weights = fragments.barycentric[i][seen].double()
        torch.testing.assert_close(weights, expected, rtol=0, atol=tolerance)


def test_a_slanted_quad_by_hand():
    """Kills weights linear on the screen, depth other than z/w, and fills other than 0 and 1.

    The left side has w = 1, the right w = 3. Across the middle of the image 1/w falls linearly, so
    at the centre of column c, t = (c + ½)/4 of the way, u = (t/3) / ((1 − t) + t/3) = t / (3 − 2t).
    z/w is linear on the screen, from 0 to ½. The top row is left empty.
    """
    clip = torch.tensor(
        [[[-1, 0.5, 0, 1], [-1, -1, 0, 1], [3, -3, 1.5, 3], [3, 1.5, 1.5, 3]]], dtype=torch.float64
    )
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    u_of_vertex = torch.tensor([[[0.0], [0], [1], [1]]], dtype=torch.float64)
    fragments = rasterize(clip, triangles, 4, 4)
    u = interpolate(fragments, u_of_vertex, triangles)
    assert torch.equal(fragments.face, drawn(".... 0111 0011 0001"))
    t = torch.tensor([0.125, 0.375, 0.625, 0.875], dtype=torch.float64).expand(3, 4)
    torch.testing.assert_close(u[0, 0, 1:], t / (3 - 2 * t), rtol=0, atol=1e-15)
    torch.testing.assert_close(fragments.depth[0, 1:], t / 2, rtol=0, atol=1e-15)
    assert (u[0, 0, 0] == 0).all()
    assert (fragments.barycentric[0, 0] == 0).all()
    assert (fragments.depth[0, 0] == 1).all()


def test_frames_take_their_own_attributes_and_one_set_serves_all():
    """Kills a batch index lost in flattening, and broadcasting that reads beyond the first set."""
    clip, triangles = ball()
    attributes = torch.randn(2, clip.shape[1], 3, dtype=torch.float64)
    fragments = rasterize(clip, triangles, HEIGHT, WIDTH)
    together = interpolate(fragments, attributes, triangles)
    shared = interpolate(fragments, attributes[:1], triangles)
    for i in range(2):
        alone = rasterize(clip[i : i + 1], triangles, HEIGHT, WIDTH)
        own = interpolate(alone, attributes[i : i + 1], triangles)
        assert torch.equal(together[i], own[0])
        assert torch.equal(shared[i], interpolate(alone, attributes[:1], triangles)[0])


def test_nothing_seen_is_an_empty_image():
    """Kills gathers that need one covered pixel, in both directions."""
    clip, triangles = ball()
    clip = (clip * torch.tensor([1.0, 1, 1, -1])).requires_grad_()
    fragments = rasterize(clip, triangles, 5, 6)
    image = interpolate(fragments, clip, triangles)
    assert image.shape == (2, 4, 5, 6)
    assert (image == 0).all()
    (gradient,) = torch.autograd.grad(image.sum() + fragments.depth.sum(), clip)
    assert (gradient == 0).all()


def test_gradients_of_weights_depth_and_attributes():
    """Kills a detached or wrong backward pass: forward and backward agree in float64."""
    vertices, triangles = sphere(4, 5)
    camera = Camera(6.0, (3.9, 3.6), 8, 7)
    clip = camera.clip_from_camera(vertices + torch.tensor([0.0, 0.1, -2.2]).double())
    clip = clip.expand(2, -1, -1).clone().requires_grad_()
    attributes = torch.randn(2, len(vertices), 2, dtype=torch.float64, requires_grad=True)

    def seen(clip, attributes):
        fragments = rasterize(clip, triangles, 7, 8)
        return fragments.barycentric, fragments.depth, interpolate(fragments, attributes, triangles)

    assert torch.autograd.gradcheck(seen, (clip, attributes))


@pytest.mark.parametrize("thickness", [1e-3, 1e-7, 1e-11])
def test_thin_triangles_have_finite_gradients(thickness):
    """Kills float32 edge functions: edge-on faces give 0/0 or weights far outside [0, 1]."""
    clip = torch.tensor([[[-1, 0, 0.1, 1], [1, 0, 0.3, 1], [0, thickness, 0.2, 1]]])
    clip[..., 1] -= torch.tensor([0.25, 0.25, 0.25]) + thickness / 3
    clip.requires_grad_()
    triangles = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    fragments = rasterize(clip, triangles, 4, 4)
    covered = fragments.barycentric[fragments.face >= 0]
    assert ((covered > -1e-6) & (covered < 1 + 1e-6)).all()
    loss = fragments.barycentric.square().sum() + fragments.depth.sum()
    (gradient,) = torch.autograd.grad(loss, clip)
    assert gradient.isfinite().all()


def test_gradients_are_finite_across_the_camera_plane():
    """Kills division by the corners' w: here one corner has w = 0 exactly, one w < 0."""
    clip = torch.tensor(
        [[[-2.0, -1, 0, 1], [2, -1, 0, 1], [0, 1, -1, 0.0], [0, 2, -2, -1]]], requires_grad=True
    )
    triangles = torch.tensor([[0, 1, 2], [0, 1, 3]], dtype=torch.int32)
    for triangle in triangles:
        fragments = rasterize(clip, triangle[None], 6, 6)
        assert (fragments.face == 0).any()
        loss = fragments.barycentric.square().sum() + fragments.depth.sum()
        (gradient,) = torch.autograd.grad(loss, clip)
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0
