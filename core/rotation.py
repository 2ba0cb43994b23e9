"""Rotations: axis-angle vectors `[..., 3]` in radians and matrices `[..., 3, 3]`.

Matrices act on column vectors: `b_from_a @ a`. Axis-angle is what files store.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def cross_matrix(vectors: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The matrix K of v with K @ x = v × x."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(rows, dim=-1).reshape(*vectors.shape[:-1], 3, 3)


def matrix_from_axis_angle(
    axis_angle: Float[Tensor, "*batch 3"],
) -> Float[Tensor, "*batch 3 3"]:
    """Rodrigues' formula, with its series where the angle vanishes so gradients stay finite."""
    squared = axis_angle.square().sum(-1)[..., None, None]
    small = squared < 1e-8
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    sine_over = torch.where(small, 1 - squared / 6, angle.sin() / angle)
    cosine_over = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / angle.square())
    cross = cross_matrix(axis_angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + sine_over * cross + cosine_over * (cross @ cross)


def axis_angle_from_matrix(
    matrix: Float[Tensor, "*batch 3 3"],
) -> Float[Tensor, "*batch 3"]:
    """Inverse of `matrix_from_axis_angle`, through the quaternion's best-conditioned column.

    The four candidate columns are Shepperd's (1978); the largest never divides by a small number,
    so the angle π is as safe as 0. Not meant to be differentiated.
    """
    m = matrix
    trace = m.diagonal(dim1=-2, dim2=-1).sum(-1)
    squares = torch.stack(
        [
            1 + trace,
            1 + 2 * m[..., 0, 0] - trace,
            1 + 2 * m[..., 1, 1] - trace,
            1 + 2 * m[..., 2, 2] - trace,
        ],
        dim=-1,
    )
    sums = {(i, j): m[..., i, j] + m[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2))}
    turns = [m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]]
    columns = torch.stack(
        [
            torch.stack([squares[..., 0], *turns], -1),
            torch.stack([turns[0], squares[..., 1], sums[0, 1], sums[0, 2]], -1),
            torch.stack([turns[1], sums[0, 1], squares[..., 2], sums[1, 2]], -1),
            torch.stack([turns[2], sums[0, 2], sums[1, 2], squares[..., 3]], -1),
        ],
        dim=-2,
    )
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    wxyz = columns.gather(-2, best).squeeze(-2)
    wxyz = wxyz / wxyz.norm(dim=-1, keepdim=True)
    wxyz = torch.where(wxyz[..., :1] < 0, -wxyz, wxyz)
    sine = wxyz[..., 1:].norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, wxyz[..., :1])
    scale = torch.where(sine > 1e-7, angle / sine.clamp_min(1e-12), torch.full_like(sine, 2.0))
    return wxyz[..., 1:] * scale


def left_jacobian(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """J with exp(r + δ) ≈ exp(J δ) exp(r) to first order (Barfoot 2017, eq. 7.77)."""
    squared = axis_angle.square().sum(-1)[..., None, None]
    small = squared < 1e-6
    square = torch.where(small, torch.ones_like(squared), squared)
    angle = square.sqrt()
    turn = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / square)
    twist = torch.where(small, 1 / 6 - squared / 120, (angle - angle.sin()) / (angle * square))
    cross = cross_matrix(axis_angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + turn * cross + twist * (cross @ cross)
