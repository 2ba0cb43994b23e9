"""Lookups against loops over texels written here."""

from math import floor

import torch

from render.sampling import sample_image, sample_texture


def bilinear(image, x, y, outside):
    """Twin: image `[C H W]` at pixel coordinates; texels outside are 0 or the nearest inside."""
    height, width = image.shape[-2:]
    left, top = floor(x - 0.5), floor(y - 0.5)
    total = torch.zeros(len(image), dtype=image.dtype)
    for row in (top, top + 1):
        for column in (left, left + 1):
            weight = (1 - abs(x - 0.5 - column)) * (1 - abs(y - 0.5 - row))
            inside = 0 <= row < height and 0 <= column < width
            if inside or outside == "border":
                texel = image[:, min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
                total += weight * texel
    return total


def test_a_texture_is_read_as_the_twin_reads_it():
    """Kills align_corners, v up, u and v exchanged, a lost batch index and a mask left out."""
    generator = torch.Generator().manual_seed(1)
    texture = torch.randn(2, 3, 7, 5, generator=generator, dtype=torch.float64)
    uv = torch.rand(2, 2, 4, 6, generator=generator, dtype=torch.float64)
    mask = torch.rand(2, 1, 4, 6, generator=generator) < 0.7
    image = sample_texture(texture, uv, mask)
    for b, r, c in torch.cartesian_prod(torch.arange(2), torch.arange(4), torch.arange(6)):
        u, v = uv[b, :, r, c].tolist()
        expected = bilinear(texture[b], 5 * u, 7 * v, "border") * mask[b, 0, r, c]
        torch.testing.assert_close(image[b, :, r, c], expected, rtol=0, atol=1e-12)


def test_an_image_is_read_as_the_twin_reads_it():
    """Kills whole-number centres, x and y exchanged, and borders that continue outside."""
    generator = torch.Generator().manual_seed(2)
    image = torch.randn(2, 3, 6, 9, generator=generator, dtype=torch.float64)
    xy = torch.rand(2, 2, 5, 8, generator=generator, dtype=torch.float64) * 14 - 2
    sampled = sample_image(image, xy)
    for b, r, c in torch.cartesian_prod(torch.arange(2), torch.arange(5), torch.arange(8)):
        x, y = xy[b, :, r, c].tolist()
        expected = bilinear(image[b], x, y, "zeros")
        torch.testing.assert_close(sampled[b, :, r, c], expected, rtol=0, atol=1e-12)


def test_the_top_left_texel_is_at_the_origin():
    """Kills a texture stored bottom up, by one literal: v = 0 is row 0."""
    texture = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    uv = torch.tensor([[[[0.0, 0.75]], [[0.0, 0.25]]]])
    assert sample_texture(texture, uv, torch.ones(1, 1, 1, 2)).tolist() == [[[[1.0, 2.0]]]]


def test_pixel_centres_give_the_image_back():
    """Kills any shift: sampling at (c + ½, r + ½) is the identity. One image serves two grids."""
    image = torch.randn(1, 3, 5, 8)
    y, x = torch.meshgrid(torch.arange(5) + 0.5, torch.arange(8) + 0.5, indexing="ij")
    sampled = sample_image(image, torch.stack([x, y]).expand(2, -1, -1, -1))
    torch.testing.assert_close(sampled, image.expand(2, -1, -1, -1), rtol=0, atol=2e-6)


def test_gradients_reach_texture_uv_image_and_coordinates():
    """Kills a detached argument; interior points away from texel centres, where there is a kink."""
    generator = torch.Generator().manual_seed(4)
    cell = torch.randint(0, 3, (1, 2, 3, 4), generator=generator)
    offset = 0.2 + 0.6 * torch.rand(1, 2, 3, 4, generator=generator, dtype=torch.float64)
    xy = (cell + 0.5 + offset).requires_grad_()
    texture = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([1.0, 0.0, 0.5, 1.0], dtype=torch.float64).expand(1, 1, 3, 4)
    assert torch.autograd.gradcheck(lambda t, p: sample_texture(t, p / 4, mask), (texture, xy))
    assert torch.autograd.gradcheck(sample_image, (texture, xy))
