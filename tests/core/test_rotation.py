"""Laws of rotations, on grids that hold the singular angles 0, 1e-7 and π."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from core.rotation import (
    axis_angle_from_matrix,
    cross_matrix,
    left_jacobian,
    matrix_from_axis_angle,
)

ANGLES = (0.0, 1e-12, 1e-7, 9.9e-5, 1.1e-4, 1e-3, 0.5, 2.0, 3.0, math.pi - 1e-6, math.pi)


def turns(dtype: torch.dtype = torch.float64) -> Tensor:
    """Every angle about the axes, their negatives and random directions, [N 3]."""
    random = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    axes = torch.cat([torch.eye(3, dtype=torch.float64), -torch.eye(3).double(), random])
    axes = axes / axes.norm(dim=1, keepdim=True)
    return (
        (torch.tensor(ANGLES, dtype=torch.float64)[:, None, None] * axes).reshape(-1, 3).to(dtype)
    )


def test_a_rotation_matches_scipys() -> None:
    """Kills a transposed matrix, a wrong coefficient and a small-angle branch with lost terms."""
    expected = torch.from_numpy(Rotation.from_rotvec(turns().numpy()).as_matrix())
    torch.testing.assert_close(matrix_from_axis_angle(turns()), expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_matrices_are_rotations(dtype: torch.dtype, atol: float) -> None:
    """Kills a reflection and a skew: RᵀR = 1 and det R = 1 at every angle."""
    matrix = matrix_from_axis_angle(turns(dtype))
    eye = torch.eye(3, dtype=dtype).expand_as(matrix)
    torch.testing.assert_close(matrix.mT @ matrix, eye, atol=atol, rtol=0)
    torch.testing.assert_close(matrix.det(), torch.ones_like(matrix[:, 0, 0]), atol=atol, rtol=0)


def test_a_quarter_turn_about_y_takes_forward_to_the_left() -> None:
    """Kills the inverse convention: +z (forward) turns to +x, the subject's left."""
    turn = matrix_from_axis_angle(torch.tensor([0.0, math.pi / 2, 0.0]))
    forward = turn @ torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(forward, torch.tensor([1.0, 0.0, 0.0]), atol=1e-7, rtol=0)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-10), (torch.float32, 3e-6)])
def test_axis_angle_survives_the_round_trip(dtype: torch.dtype, atol: float) -> None:
    """Kills an arccos that loses small angles, a division by 0 at 0 and a lost sign near π.

    At π itself the axis may come back negated: the matrix decides there.
    """
    vectors = turns(dtype)
    back = axis_angle_from_matrix(matrix_from_axis_angle(vectors))
    below = vectors.norm(dim=1) < math.pi - 1e-3
    torch.testing.assert_close(back[below], vectors[below], atol=atol, rtol=0)
    torch.testing.assert_close(
        matrix_from_axis_angle(back), matrix_from_axis_angle(vectors), atol=atol, rtol=0
    )
    assert float(back.norm(dim=1).max()) <= math.pi + 1e-6


def test_the_cross_matrix_multiplies_like_the_cross_product() -> None:
    """Kills a transposed cross matrix."""
    a, b = turns(), turns().flip(0) + 1
    expected = torch.linalg.cross(a, b)
    torch.testing.assert_close(
        (cross_matrix(a) @ b[..., None])[..., 0], expected, atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("axis", range(3))
def test_the_left_jacobian_is_the_derivative(axis: int) -> None:
    """Kills the right Jacobian (its transpose) and a wrong series: against central differences."""
    step = torch.zeros(3, dtype=torch.float64)
    step[axis] = 1e-6
    vectors = turns()[turns().norm(dim=1) < 3.1]
    ahead, behind = matrix_from_axis_angle(vectors + step), matrix_from_axis_angle(vectors - step)
    spin = (ahead - behind) / 2e-6 @ matrix_from_axis_angle(vectors).mT
    measured = torch.stack([spin[:, 2, 1], spin[:, 0, 2], spin[:, 1, 0]], -1)
    torch.testing.assert_close(left_jacobian(vectors)[..., axis], measured, atol=1e-8, rtol=0)


def test_gradients_are_finite_where_the_angle_vanishes() -> None:
    """Kills sqrt(0) inside a torch.where, whose gradient is NaN in the branch not taken."""
    for angle in (0.0, 1e-7, 1e-4, math.pi):
        vector = torch.tensor([angle, 0.0, 0.0], requires_grad=True)
        matrix_from_axis_angle(vector).sum().backward()
        assert vector.grad is not None
        assert bool(torch.isfinite(vector.grad).all()), angle


def test_batches_keep_their_shape() -> None:
    """Kills flattened or squeezed batch axes."""
    assert matrix_from_axis_angle(torch.zeros(3)).shape == (3, 3)
    assert axis_angle_from_matrix(torch.eye(3).expand(2, 5, 3, 3)).shape == (2, 5, 3)
