"""Unwrapping a painted head gives its texture back; filling invents as little as it must."""

import torch
from moving_head import CAMERA, somebody, speaking
from painted_head import picture, texture_at

from face3d.morphable import default_model
from face3d.unwrap import filled, unwrap
from face3d.view import look

MODEL = default_model()
SIZE = 64


def texels() -> torch.Tensor:
    """Texture coordinates of texel centres, [1 2 R R]."""
    v, u = torch.meshgrid(*[(torch.arange(SIZE) + 0.5) / SIZE] * 2, indexing="ij")
    return torch.stack([u, v])[None]


def test_a_painted_texture_is_recovered() -> None:
    """Kills u exchanged with v, v up, and splats half a texel off: the colours seen are those
    painted at the same texture coordinates (measured 0.012 mean, in [−1, 1])."""
    who, motion = somebody(), speaking(40)[torch.arange(0, 40, 8)]
    camera = CAMERA.cropped(106, 106, 1.0, 300, 300)
    uv = look(MODEL, who, motion, camera).uv
    colours, weight = unwrap(uv, picture(who, motion, camera), SIZE)
    seen = weight > 1.0
    assert float(seen.float().mean()) > 0.3
    error = (colours - texture_at(texels())[0]).abs().mean(0)[seen]
    assert float(error.mean()) < 0.02
    assert float(error.quantile(0.99)) < 0.1


def test_inside_the_mouth_the_brighter_frame_wins_and_elsewhere_none() -> None:
    """Kills teeth averaged with the shadow that hides them most of the time."""
    who, motion = somebody(), speaking(2)
    motion.mouth[:, 0] = 4.0
    camera = CAMERA.cropped(106, 106, 1.0, 300, 300)
    uv = look(MODEL, who, motion, camera).uv
    images = torch.full((2, 3, 300, 300), 51, dtype=torch.uint8)
    images[1] = 204
    colours, weight = unwrap(uv, images, SIZE)
    both = unwrap(uv[:1], images[:1], SIZE)[1] * unwrap(uv[1:], images[1:], SIZE)[1] > 1e-2
    row = torch.arange(SIZE)[:, None].expand(SIZE, SIZE) / SIZE
    inside, face = both & (row > 0.8), both & (row < 0.7) & (row > 0.3)
    assert float(colours[:, face].mean().abs()) < 0.05
    assert float(colours[:, inside].mean()) > 0.35
    assert bool((weight[face] > 0).all())


def test_what_was_seen_stays() -> None:
    """Kills filling that blurs: known texels come back unchanged."""
    colours = texture_at(texels())[0]
    weight = torch.ones(SIZE, SIZE)
    weight[20:28, 30:40] = 0
    full = filled(colours * (weight > 0), weight, torch.zeros_like(colours))
    torch.testing.assert_close(full[:, weight > 0], colours[:, weight > 0], atol=1e-5, rtol=0)


def test_holes_take_their_surroundings_colour() -> None:
    """Kills black holes and holes filled by the fallback: eight texels wide, in a flat colour."""
    flat = torch.tensor([0.5, -0.25, 0.1])[:, None, None].expand(3, SIZE, SIZE)
    weight = torch.ones(SIZE, SIZE)
    weight[24:32, 24:32] = 0
    full = filled(flat * weight, weight, -torch.ones(3, SIZE, SIZE))
    torch.testing.assert_close(full, flat, atol=0.12, rtol=0)


def test_where_nothing_was_seen_near_the_fallback_stands() -> None:
    """Kills colours smeared over the whole texture, a fallback that loses its detail, and 0/0 where
    nothing was seen at all."""
    fallback = texture_at(texels())[0]
    nothing = torch.zeros(SIZE, SIZE)
    empty = filled(torch.zeros_like(fallback), nothing, fallback)
    torch.testing.assert_close(empty, fallback)
    corner = nothing.clone()
    corner[:4, :4] = 1
    full = filled(torch.ones_like(fallback) * corner, corner, -torch.ones_like(fallback))
    assert float(full[:, 48:, 48:].max()) < -0.99
