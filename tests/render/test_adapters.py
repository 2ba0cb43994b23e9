"""Adapters of other rasterizers agree with the specification away from edges.

Each test runs with a stand-in that keeps to the documented conventions, and with the library itself
where it is installed.
"""

from importlib.util import find_spec

import pytest
import torch
from foreign_rasterizers import install_nvdiffrast, install_pytorch3d
from numerics import assert_same_faces, drawn, sphere

from core.camera import Camera
from render.visibility import choose_backend, visible_faces

INSTALL = {"nvdiffrast_gpu": install_nvdiffrast, "pytorch3d": install_pytorch3d}
LIBRARY = {"nvdiffrast_gpu": "nvdiffrast", "pytorch3d": "pytorch3d"}


@pytest.fixture(params=[(n, kind) for n in INSTALL for kind in ("stand-in", "itself")])
def adapter(request, monkeypatch):
    """An adapter's name, over its stand-in or over the library itself."""
    name, kind = request.param
    if kind == "stand-in":
        INSTALL[name](monkeypatch)
    elif find_spec(LIBRARY[name]) is None:
        pytest.skip(f"{LIBRARY[name]} is not installed")
    yield name
    choose_backend.cache_clear()


def assert_agrees(adapter, clip, triangles, height, width):
    ids = visible_faces(clip, triangles, height, width, adapter)
    reference = visible_faces(clip, triangles, height, width, "reference")
    assert (reference >= 0).any()
    assert_same_faces(ids, reference, clip, triangles)


@pytest.mark.parametrize(("height", "width"), [(24, 33), (35, 22)])
def test_a_ball_in_images_of_either_shape(adapter, height, width):
    """Kills rows or columns flipped, square NDC in images that are not, ids off by one, half a
    pixel, ids counted over the batch, and back faces that hide or show."""
    generator = torch.Generator().manual_seed(7)
    vertices, triangles = sphere(6, 8)
    shaken = vertices + 0.1 * torch.randn(3, *vertices.shape, generator=generator).double()
    camera = Camera(21.0, (width / 2 + 1.3, height / 2 - 2.1), width, height)
    clip = camera.clip_from_camera(shaken + torch.tensor([0.2, -0.1, -2.4]))
    assert_agrees(adapter, clip, triangles, height, width)


def test_an_open_sheet_from_its_back(adapter):
    """Kills culling by the wrong winding or none: of two frames one shows its back and nothing."""
    corners = torch.tensor([[-0.9, -0.8], [0.7, -0.8], [0.1, 0.9]], dtype=torch.float64)
    front = torch.cat([corners, torch.tensor([[0.0, 1.0]]).expand(3, 2)], 1)
    clip = torch.stack([front * torch.tensor([-1.0, 1, 1, 1]), front])
    triangles = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    ids = visible_faces(clip, triangles, 9, 9, adapter)
    assert (ids[0] == -1).all()
    assert_agrees(adapter, clip, triangles, 9, 9)


def test_the_nearer_by_z_over_w_wins(adapter):
    """Kills depth by w or z alone: the second triangle has the larger of both and the smaller z/w.
    The first lies before the near plane in the third frame, behind the far one in the fourth."""
    corners = torch.tensor([[-0.9, 0.8], [-0.8, -0.9], [0.85, -0.7]], dtype=torch.float64)
    frames = []
    for z_over_w in (0.5, 0.1, -3.0, 5.0):
        first, second = (
            torch.cat([corners * w, torch.tensor([[z * w, w]]).expand(3, 2)], 1)
            for w, z in ((1.0, z_over_w), (3.0, 0.25))
        )
        frames.append(torch.cat([first, second]))
    clip = torch.stack(frames)
    triangles = torch.tensor([[0, 1, 2], [3, 4, 5]], dtype=torch.int32)
    ids = visible_faces(clip, triangles, 10, 8, adapter)
    assert [sorted(frame.unique().tolist()) for frame in ids] == [
        [-1, 1],
        [-1, 0],
        [-1, 0],
        [-1, 1],
    ]


def test_behind_the_camera_covers_nothing(adapter):
    """Kills division by w without its sign. One of three frames is in front."""
    camera = Camera(8.0, (4.3, 3.9), 8, 8)
    points = torch.tensor([[-1.0, 1.0, -2.1], [-1.0, -1.0, -2.2], [1.0, -1.0, -2.3]])
    behind = camera.clip_from_camera(points * torch.tensor([1.0, 1, -1]))
    clip = torch.stack([behind, camera.clip_from_camera(points), behind])
    triangles = torch.tensor([[0, 1, 2], [0, 2, 1]], dtype=torch.int32)
    assert (visible_faces(clip[[0, 2]], triangles, 8, 8, adapter) == -1).all()
    assert_agrees(adapter, clip, triangles, 8, 8)


def test_a_floor_that_runs_behind_the_camera(adapter):
    """Kills dropping what crosses w = 0 where the library can draw it: nvdiffrast can. PyTorch3D's
    adapter leaves it out, rather than draw it mirrored."""
    camera = Camera(4.0, (4.0, 4.0), 8, 8)
    points = torch.tensor([[-99.0, -1, -4], [99, -1, -4], [0, -1, 3]], dtype=torch.float64)
    floor = torch.tensor([[0, 2, 1]], dtype=torch.int32)
    ids = visible_faces(camera.clip_from_camera(points)[None], floor, 8, 8, adapter)
    floor_rows = "00000000" if adapter == "nvdiffrast_gpu" else "........"
    assert torch.equal(ids, drawn(" ".join(["........"] * 5 + [floor_rows] * 3)))


@pytest.mark.parametrize(("batch", "count"), [(0, 1), (1, 0), (2, 0)])
def test_no_frames_and_no_triangles(adapter, batch, count):
    """Kills calls with empty tensors, which the libraries refuse."""
    clip = torch.tensor([[[-1.0, 1, 0, 1], [-1, -1, 0, 1], [1, -1, 0, 1]]]).repeat(batch, 1, 1)
    ids = visible_faces(clip, torch.tensor([[0, 1, 2]])[:count], 3, 2, adapter)
    assert ids.shape == (batch, 3, 2)
    assert ids.dtype == torch.int32
    assert (ids == -1).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_vertex_that_is_no_number_takes_its_triangle_only(adapter, bad):
    """Kills a depth range over vertices that are no numbers, which loses the whole frame."""
    clip = torch.tensor([[-0.9, 0.8, 0, 1], [-0.8, -0.9, 0, 1], [0.85, -0.7, 0, 1]]).double()
    clip = torch.cat([clip, clip])[None]
    clip[0, 3] = bad
    triangles = torch.tensor([[3, 4, 5], [0, 1, 2]], dtype=torch.int32)
    ids = visible_faces(clip, triangles, 6, 6, adapter)
    assert torch.equal(ids, visible_faces(clip, triangles, 6, 6, "reference"))


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_pytorch3d_owns_edges_by_the_nudge(monkeypatch, turn):
    """Kills pixels lost where two triangles meet on a row of centres, and the other owner: a box
    whose sides and diagonal lie on centres, as in the contract's own test."""
    install_pytorch3d(monkeypatch)
    box = [(-0.75, 0.75), (-0.75, -0.75), (0.75, -0.75), (0.75, 0.75)]
    clip = torch.tensor([[[x, y, 0.3, 1] for x, y in box]])
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32).roll(turn, 1)
    ids = visible_faces(clip, triangles, 4, 4, "pytorch3d")
    choose_backend.cache_clear()
    assert torch.equal(ids, drawn("111. 011. 001. ...."))
