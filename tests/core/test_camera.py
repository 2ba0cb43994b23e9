"""The camera: clip space against pixels against arithmetic done by hand."""

import torch

from core.camera import Camera

CAMERA = Camera(500.0, (310.0, 250.0), 640, 480, near_metres=0.1, far_metres=10.0)


def points() -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    xy = 0.4 * torch.randn(50, 2, generator=random, dtype=torch.float64)
    z = -0.2 - 5 * torch.rand(50, 1, generator=random, dtype=torch.float64)
    return torch.cat([xy, z], 1)


def pixels_from_clip(clip: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """Where homogeneous clip points land, in pixels."""
    ndc = clip[..., :2] / clip[..., 3:]
    return torch.stack([(ndc[..., 0] + 1) * width / 2, (1 - ndc[..., 1]) * height / 2], -1)


def test_a_point_lands_where_arithmetic_says() -> None:
    """Kills y that is not flipped and a depth of the wrong sign."""
    point = torch.tensor([0.2, 0.1, -2.0])
    expected = torch.tensor([310 + 500 * 0.1, 250 - 500 * 0.05])
    torch.testing.assert_close(CAMERA.pixels_from_camera(point), expected)


def test_clip_space_and_pixels_agree() -> None:
    """Kills a principal point or half pixel that only one of the two projections knows."""
    clip = CAMERA.clip_from_camera(points())
    torch.testing.assert_close(
        pixels_from_clip(clip, 640, 480), CAMERA.pixels_from_camera(points()), atol=1e-9, rtol=0
    )


def test_the_near_plane_is_minus_one_and_the_far_plane_one() -> None:
    """Kills exchanged planes and a w that is not the depth."""
    clip = CAMERA.clip_from_camera(torch.tensor([[0.0, 0.0, -0.1], [0.0, 0.0, -10.0]]))
    torch.testing.assert_close(clip[:, 3], torch.tensor([0.1, 10.0]))
    torch.testing.assert_close(clip[:, 2] / clip[:, 3], torch.tensor([-1.0, 1.0]))


def test_a_cropped_camera_sees_the_cut_and_enlarged_picture() -> None:
    """Kills a crop that scales before it cuts, forgets the focal length, or drops the planes."""
    crop = CAMERA.cropped(-20.5, 33.0, 0.37, 200, 100)
    expected = (CAMERA.pixels_from_camera(points()) - torch.tensor([-20.5, 33.0])) * 0.37
    torch.testing.assert_close(crop.pixels_from_camera(points()), expected, atol=1e-9, rtol=0)
    assert (crop.width, crop.height, crop.near_metres, crop.far_metres) == (200, 100, 0.1, 10.0)
    clip = crop.clip_from_camera(points())
    torch.testing.assert_close(pixels_from_clip(clip, 200, 100), expected, atol=1e-9, rtol=0)
