"""Normals and the checks a mesh makes of itself."""

import pytest
import torch
from numerics import sphere

from core.errors import InputError
from render.mesh import Mesh, vertex_normals


def mesh(corners):
    triangles = torch.tensor(corners, dtype=torch.int32)
    return Mesh(torch.zeros(2, 4, 3), triangles, torch.zeros(4, 2))


def test_a_mesh_refuses_what_cannot_be_drawn():
    """Kills missing checks, off-by-one ranges, and messages without the value."""
    assert mesh([[0, 1, 3]]).to("cpu").vertices.shape == (2, 4, 3)
    with pytest.raises(InputError, match=r"triangle 1 has corners \[1, 2, 4\].* 0 to 3; drop"):
        mesh([[0, 1, 2], [1, 2, 4]])
    with pytest.raises(InputError, match=r"triangle 0 has corners \[-1, 1, 2\]"):
        mesh([[-1, 1, 2]])
    for twice in ([1, 1, 2], [1, 2, 2], [1, 2, 1]):
        with pytest.raises(InputError, match="three different ones"):
            mesh([[0, 1, 2], twice])


def test_normals_of_a_sphere_point_outwards():
    """Kills the wrong winding, missing normalisation and a lost pose."""
    vertices, triangles = sphere(30, 40)
    both = torch.stack([vertices, 3 * vertices - 5])
    normals = vertex_normals(both, triangles)
    torch.testing.assert_close(normals, vertices.expand(2, -1, -1), rtol=0, atol=0.02)  # worst .018
    lengths = normals.norm(dim=-1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths), rtol=0, atol=1e-12)


def test_a_larger_face_weighs_more():
    """Kills the mean of unit face normals: areas 1 (along z) and 2 (along x) meet at 0."""
    vertices = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 2]]])
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    expected = torch.tensor([2.0, 0.0, 1.0]) / 5**0.5
    torch.testing.assert_close(vertex_normals(vertices, triangles)[0, 0], expected)


def test_vertices_without_area_have_no_normal_and_finite_gradients():
    """Kills 0/0: a vertex of no face, one of a collapsed face, and one where normals cancel."""
    vertices = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [5, 5, 5]]], requires_grad=True)
    collapsed = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    there_and_back = torch.tensor([[0, 1, 3], [0, 3, 1]], dtype=torch.int32)
    for triangles in (collapsed, there_and_back):
        normals = vertex_normals(vertices, triangles)
        assert (normals == 0).all()
        (gradient,) = torch.autograd.grad(normals.sum(), vertices)
        assert gradient.isfinite().all()


def test_gradients_of_normals():
    """Kills a backward pass that forgets the normalisation."""
    vertices, triangles = sphere(3, 4)
    shaken = (vertices + 0.1 * torch.randn_like(vertices))[None].requires_grad_()
    assert torch.autograd.gradcheck(lambda v: vertex_normals(v, triangles), (shaken,))
