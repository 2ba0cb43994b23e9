"""Who owns a pixel. Every scenario runs on every backend."""

import os
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch
from numerics import assert_same_faces, drawn, sphere
from scipy.spatial import Delaunay

import render.visibility
from core.camera import Camera
from core.errors import AssetError, UsageError
from render.visibility import BACKENDS as NAMES
from render.visibility import VARIABLE, choose_backend, survey, visible_faces

TRITON = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
BACKENDS = ["reference", "numba_cpu", pytest.param("triton_gpu", marks=TRITON)]
backends = pytest.mark.parametrize("backend", BACKENDS)


def flat(points, w=1.0, z=0.0):
    """Clip positions `[1 V 4]` of NDC points (x, y) at constant w and depth z/w."""
    return torch.tensor([[[x * w, y * w, z * w, w] for x, y in points]], dtype=torch.float64)


def faces(*corners):
    return torch.tensor(corners, dtype=torch.int32)


CORNERS = [(-1, 1), (-1, -1), (1, -1), (1, 1)]


@backends
def test_a_quads_diagonal_has_one_owner(backend):
    """Kills the strict e > 0 test, which loses 8 of these 64 pixels, and the right-bottom rule."""
    ids = visible_faces(flat(CORNERS), faces((0, 1, 2), (0, 2, 3)), 8, 8, backend)
    expected = """
        11111111
        01111111
        00111111
        00011111
        00001111
        00000111
        00000011
        00000001"""
    assert torch.equal(ids, drawn(expected))


@backends
def test_the_other_diagonal_and_the_other_order(backend):
    """Kills e >= 0 with the lower index winning: there the first triangle takes the diagonal."""
    ids = visible_faces(flat(CORNERS), faces((0, 1, 3), (1, 2, 3)), 4, 4, backend)
    assert torch.equal(ids, drawn("0001 0011 0111 1111"))


@backends
@pytest.mark.parametrize("turn", [0, 1, 2])
def test_top_edges_own_and_bottom_edges_do_not(backend, turn):
    """Kills a tie rule that looks at left and right only, or is wrong for one of three edges.

    The box's four sides lie on pixel centres; the triangles start at each of their corners.
    """
    box = flat([(-0.75, 0.75), (-0.75, -0.75), (0.75, -0.75), (0.75, 0.75)])
    ids = visible_faces(box, faces((0, 1, 2), (0, 2, 3)).roll(turn, 1), 4, 4, backend)
    assert torch.equal(ids, drawn("111. 011. 001. ...."))


@backends
def test_rows_run_down_and_columns_right(backend):
    """Kills a flip of either axis and an exchange of height and width."""
    ids = visible_faces(flat([(-1, 1), (-1, 0), (0, 1)]), faces((0, 1, 2)), 4, 6, backend)
    assert torch.equal(ids, drawn("00.... 0..... ...... ......"))


@backends
@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 7), (33, 50)])
def test_triangles_tile_the_image_without_gap_or_overlap(backend, height, width):
    """Kills edge functions whose rounding depends on the side, and rules with two owners.

    Each triangle alone: its neighbours cannot cover for it. Vertices lie anywhere and on centres.
    """
    generator = torch.Generator().manual_seed(3)
    inner = torch.rand(40, 2, generator=generator, dtype=torch.float64) * 2 - 1
    column = torch.randint(0, width, (20,), generator=generator)
    row = torch.randint(0, height, (20,), generator=generator)
    centres = torch.stack([(2 * column + 1 - width) / width, (height - 1 - 2 * row) / height], -1)
    rim = torch.tensor([(x, y) for x in (-2, 0.1, 2) for y in (-2, 2)], dtype=torch.float64)
    points = torch.cat([inner, centres.double().unique(dim=0), rim])
    w = 0.5 + torch.rand(len(points), 1, generator=generator, dtype=torch.float64)
    clip = torch.cat([points * w, torch.zeros_like(w), w], -1)[None]
    triangles = torch.from_numpy(Delaunay(points.numpy()).simplices).int()
    owners = sum(visible_faces(clip, one[None], height, width, backend) + 1 for one in triangles)
    assert torch.equal(owners, torch.ones_like(owners))


@backends
def test_the_nearer_triangle_wins_in_either_order(backend):
    """Kills a reversed depth test, drawing order, and depth by z or w alone."""
    far, near = flat(CORNERS[:3], w=1.0, z=0.5), flat(CORNERS[:3], w=3.0, z=0.25)
    both = torch.cat([far, near], 1)
    for triangles, winner in ((faces((0, 1, 2), (3, 4, 5)), 1), (faces((3, 4, 5), (0, 1, 2)), 0)):
        ids = visible_faces(both, triangles, 4, 4, backend)
        assert set(ids.unique().tolist()) == {-1, winner}


@backends
@pytest.mark.parametrize("z", [0.0, 0.3, -0.7])
def test_equal_depth_goes_to_the_lower_index(backend, z):
    """Kills `<=` in the depth test, and depths compared to the last bit: the two differ in shape.

    Both orders; the shapes overlap in the lower left, where rounding of z/w would choose.
    """
    points = flat([*CORNERS, (-0.3, 0.9), (0.7, -0.9), (-0.9, -0.77)], w=1.7, z=z)
    corner, other = (0, 1, 2), (4, 6, 5)
    alone = [visible_faces(points, faces(each), 16, 16, backend) >= 0 for each in (corner, other)]
    overlap = alone[0] & alone[1]
    assert overlap.sum() > 30
    for triangles in (faces(corner, other), faces(other, corner)):
        assert (visible_faces(points, triangles, 16, 16, backend)[overlap] == 0).all()


@backends
def test_back_faces_neither_show_nor_hide(backend):
    """Kills missing culling and culling by the wrong winding."""
    clip = torch.cat([flat(CORNERS[:3], z=-0.5), flat(CORNERS[:3], z=0.5)], 1)
    triangles = faces((0, 2, 1), (3, 4, 5))
    ids = visible_faces(clip, triangles, 4, 4, backend)
    assert torch.equal(ids, drawn(".... 1... 11.. 111."))


@backends
def test_zero_area_covers_nothing(backend):
    """Kills e >= 0 without an area test, which fills lines through centres, and 0/0 depths."""
    points = flat([(-1, 1), (1, -1), (0, 0), (-1, 1), (0.1, 0.3), (0.3, 0.9), (0.2, 0.6)])
    triangles = faces((0, 1, 2), (0, 2, 1), (0, 3, 1), (0, 0, 0), (0, 1, 1), (4, 5, 6), (4, 6, 5))
    assert (visible_faces(points, triangles, 8, 8, backend) == -1).all()


@backends
def test_almost_no_area_covers_nothing(backend):
    """Kills a test for area zero exactly: later divisions need more than the last bit's noise.

    Both top edges run through a row of centres, which they own; the second triangle is 1e-10 high.
    """
    for height, covers in ((1e-14, False), (1e-10, True)):
        points = flat([(-1, 0), (0, -height), (1, 0)])
        assert (visible_faces(points, faces((0, 1, 2)), 5, 5, backend) == 0).any() == covers


@backends
def test_behind_the_camera_covers_nothing(backend):
    """Kills division by w without its sign: points behind project mirrored into the image."""
    camera = Camera(8.0, (4.0, 4.0), 8, 8)
    points = torch.tensor([[-1.0, 1.0, 2.0], [-1.0, -1.0, 2.0], [1.0, -1.0, 2.0]])
    clip = camera.clip_from_camera(points)[None]
    assert (visible_faces(clip, faces((0, 1, 2), (0, 2, 1)), 8, 8, backend) == -1).all()


@backends
def test_a_floor_that_runs_behind_the_camera(backend):
    """Kills dropping a triangle that crosses w = 0, and its box from projected corners.

    The floor y = −1 from 3 m behind to 4 m in front: field of view 90°, so a row whose centre
    looks down by the slope s sees the floor at 1/s metres, if that is at most 4.
    Slopes of the rows from the middle down: 1/8, 3/8, 5/8, 7/8.
    """
    camera = Camera(4.0, (4.0, 4.0), 8, 8)
    points = torch.tensor([[-99.0, -1, -4], [99, -1, -4], [0, -1, 3]], dtype=torch.float64)
    ids = visible_faces(camera.clip_from_camera(points)[None], faces((0, 2, 1)), 8, 8, backend)
    rows = ["........"] * 5 + ["00000000"] * 3
    assert torch.equal(ids, drawn(" ".join(rows)))


def ray_cast(points, triangles, camera):
    """Twin in camera space: a ray through every pixel (Möller and Trumbore 1997), nearest front."""
    column = torch.arange(camera.width, dtype=torch.float64) + 0.5 - camera.centre[0]
    row = torch.arange(camera.height, dtype=torch.float64) + 0.5 - camera.centre[1]
    y, x = torch.meshgrid(-row / camera.focal, column / camera.focal, indexing="ij")
    ray = torch.stack([x, y, -torch.ones_like(x)], -1).unsqueeze(-2)
    a, b, c = points[triangles.long()].unbind(1)
    across = torch.linalg.cross(ray, (c - a).expand_as(ray + a))
    volume = (across * (b - a)).sum(-1)
    u = (across * -a).sum(-1) / volume
    beside = torch.linalg.cross(-a, b - a)
    v = (beside * ray).sum(-1) / volume
    metres = (beside * (c - a)).sum(-1) / volume
    hit = (volume > 0) & (u > 0) & (v > 0) & (u + v < 1) & (metres > 0)
    nearest, face = torch.where(hit, metres, torch.inf).min(-1)
    return torch.where(nearest.isfinite(), face, -1).int()[None]


def soup(camera):
    """Triangles all around the camera: most cross w = 0 or lie behind. Points, triangles, clip."""
    generator = torch.Generator().manual_seed(5)
    centre = torch.randn(120, 1, 3, generator=generator, dtype=torch.float64) * 2
    spread = torch.randn(120, 3, 3, generator=generator, dtype=torch.float64)
    points = (centre + spread).flatten(0, 1)
    triangles = torch.arange(360, dtype=torch.int32).view(120, 3)
    return points, triangles, camera.clip_from_camera(points)[None]


@backends
def test_agrees_with_rays_on_a_soup_around_the_camera(backend):
    """Kills every shortcut in homogeneous space."""
    camera = Camera(20.0, (14.0, 21.0), 31, 37)
    points, triangles, clip = soup(camera)
    crossing = (clip[0, :, 3] > 0).view(120, 3).sum(1) % 3 != 0
    expected = ray_cast(points, triangles, camera)
    assert crossing.sum() > 30
    assert torch.isin(expected, crossing.nonzero()).float().mean() > 0.2
    assert (expected == -1).any()
    ids = visible_faces(clip, triangles, camera.height, camera.width, backend)
    assert_same_faces(ids, expected, clip, triangles)


@TRITON
def test_tritons_boxes_hold_what_their_triangles_cover():
    """Kills boxes from corners that project to the wrong side: a tile would skip the triangle."""
    from render.backends.triton_gpu import boxes_of

    camera = Camera(20.0, (14.0, 21.0), 31, 37)
    _, triangles, clip = soup(camera)
    face = visible_faces(clip, triangles, camera.height, camera.width, "reference")[0]
    row, column = (face >= 0).nonzero().unbind(1)
    boxes = boxes_of(clip[:, triangles.long()], camera.height, camera.width)[0]
    left, right, top, bottom = boxes[face[row, column].long()].unbind(1)
    assert ((left <= column) & (column < right) & (top <= row) & (row < bottom)).all()
    assert (boxes[:, 1] <= boxes[:, 0]).float().mean() > 0.3


def test_compiled_loops_agree_with_the_specification():
    """Kills boxes that cut a triangle, threads that mix frames, and float32 inside."""
    generator = torch.Generator().manual_seed(7)
    vertices, triangles = sphere(18, 24)
    shaken = vertices + 0.1 * torch.randn(4, *vertices.shape, generator=generator)
    shaken = shaken * torch.tensor([1.0, 0.3, 2.0, 0.9])[:, None, None]
    camera = Camera(70.0, (33.3, 30.0), 67, 64)
    clip = camera.clip_from_camera((shaken - torch.tensor([0.1, 0, 2.2])).float())
    compiled = visible_faces(clip, triangles, 64, 67, "numba_cpu")
    reference = visible_faces(clip, triangles, 64, 67, "reference")
    assert (reference >= 0).float().mean() > 0.4
    assert_same_faces(compiled, reference, clip, triangles)


@backends
def test_frames_do_not_see_each_other(backend):
    """Kills a depth buffer kept from frame to frame, and frames in another order."""
    near, far = flat(CORNERS[:3], z=-0.5), flat([(x / 2, y) for x, y in CORNERS[:3]], z=0.5)
    triangles = faces((0, 1, 2))
    together = visible_faces(torch.cat([near, far, near]), triangles, 6, 6, backend)
    apart = [visible_faces(clip, triangles, 6, 6, backend) for clip in (near, far, near)]
    assert torch.equal(together, torch.cat(apart))


@backends
@pytest.mark.parametrize(("batch", "count"), [(0, 1), (1, 0), (2, 0)])
def test_no_frames_and_no_triangles(backend, batch, count):
    """Kills loops that need a first element."""
    triangles = faces((0, 1, 2))[:count]
    ids = visible_faces(flat(CORNERS).repeat(batch, 1, 1), triangles, 3, 2, backend)
    assert ids.shape == (batch, 3, 2)
    assert ids.dtype == torch.int32
    assert (ids == -1).all()


@backends
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_vertex_that_is_no_number_takes_its_triangle_only(backend, bad):
    """Kills comparisons that let NaN through, and boxes of infinite size."""
    clip = torch.cat([flat(CORNERS[:3]), flat(CORNERS[:3], z=-0.5)], 1)
    clip[0, 3, 0] = bad
    ids = visible_faces(clip, faces((0, 1, 2), (3, 4, 5)), 4, 4, backend)
    assert torch.equal(ids, visible_faces(clip, faces((0, 1, 2)), 4, 4, backend))


@backends
@pytest.mark.parametrize("corner", [-1, 4])
def test_a_corner_that_is_no_vertex_is_refused(backend, corner):
    """Kills compiled loops reading memory that is not theirs."""
    with pytest.raises(AssertionError, match="of 4 vertices"):
        visible_faces(flat(CORNERS), faces((0, 1, corner)), 4, 4, backend)


@TRITON
@pytest.mark.parametrize("tile", [8, 16])
def test_tiles_agree_with_the_specification(monkeypatch, tile):
    """Kills tiles that overlap, lack a border or cut a triangle, and boxes of another frame."""
    backend = choose_backend("triton_gpu")
    monkeypatch.setattr(f"{backend.visible_faces.__module__}.TILE", tile)
    vertices, triangles = sphere(5, 6)
    camera = Camera(18.0, (9.3, 10.0), 21, 19)
    places = torch.tensor([[[0.1, 0, -2.2]], [[-0.9, 0.4, -3.0]]], dtype=torch.float64)
    clip = camera.clip_from_camera(vertices + places)
    tiled = visible_faces(clip, triangles, 19, 21, "triton_gpu")
    reference = visible_faces(clip, triangles, 19, 21, "reference")
    assert (reference >= 0).float().mean() > 0.3
    assert_same_faces(tiled, reference, clip, triangles)


@TRITON
def test_the_kernel_compiles_for_gpus_without_fused_products(tmp_path):
    """Kills code that only the interpreter takes, and fused multiply-adds, which round an edge
    differently from its two sides. No device is needed to compile for one."""
    script = [sys.executable, "-P", "-c", COMPILE]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TRITON_CACHE_DIR": str(tmp_path),
        "TRITON_INTERPRET": "0",
    }
    done = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0"


COMPILE = """
import torch
torch.cuda.is_available = lambda: True
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from render.backends.triton_gpu import OPTIONS, fill_tile
pointers = {"corners": "*fp64", "boxes": "*i32", "owns": "*i32", "faces": "*i32"}
numbers = {"count": "i32", "height": "i32", "width": "i32", "depth_steps": "fp32"}
source = ASTSource(fill_tile, pointers | numbers | {"TILE": "constexpr"}, {"TILE": 16})
compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=OPTIONS)
assert compiled.asm["cubin"]
print(compiled.asm["ptx"].count("fma.rn.f64"))
"""


def test_the_choice_says_why_and_refuses_other_names():
    """Kills a silent choice and a silent fall-back from a misspelt name."""
    assert choose_backend().name == "numba_cpu"
    assert choose_backend().reason
    with pytest.raises(UsageError, match="'cuda9' is not one of auto, numba_cpu, triton_gpu"):
        choose_backend("cuda9")


def test_the_variable_decides_where_nobody_names_a_backend(monkeypatch):
    """Kills a variable that nobody reads, that overrules a name, or that is misspelt in silence."""
    choose = choose_backend.__wrapped__
    monkeypatch.setenv(VARIABLE, "reference")
    assert choose().name == "reference"
    assert VARIABLE in choose().reason
    assert choose("numba_cpu").name == "numba_cpu"
    monkeypatch.setenv(VARIABLE, "numba")
    with pytest.raises(UsageError, match="'numba' is not one of"):
        choose()
    monkeypatch.setenv(VARIABLE, "")
    assert choose().name == "numba_cpu"


def without(monkeypatch, *names):
    """Make these backends' imports fail, and every other succeed without a look at the machine."""
    lost = {f"render.backends.{name}" for name in names}

    def refuse(name):
        if name in lost:
            raise ImportError("no wheel for this Python")
        return SimpleNamespace(visible_faces=lambda *_: None)

    monkeypatch.setattr(render.visibility, "import_module", refuse)
    monkeypatch.setattr(render.visibility, "choose_backend", choose_backend.__wrapped__)
    monkeypatch.delenv(VARIABLE, raising=False)


def test_without_numba_auto_is_the_reference_with_the_cause(monkeypatch):
    """Kills an import error at start-up where the compiled loops cannot be had."""
    without(monkeypatch, "numba_cpu")
    choose = render.visibility.choose_backend
    assert choose("auto").name == "reference"
    assert "no wheel" in choose("auto").reason
    with pytest.raises(AssetError, match="use auto"):
        choose("numba_cpu")


def test_the_device_decides_what_auto_takes(monkeypatch):
    """Kills a GPU's tensors drawn on the CPU, the CPU's on a GPU, and a restricted licence or a
    weaker contract taken unasked."""
    without(monkeypatch)
    choose = render.visibility.choose_backend
    assert [choose("auto", device).name for device in ("cpu", "cuda", "mps")] == [
        "numba_cpu",
        "triton_gpu",
        "numba_cpu",
    ]
    without(monkeypatch, "triton_gpu")
    assert choose("auto", "cuda").name == "numba_cpu"
    assert "triton_gpu cannot be loaded" in choose("auto", "cuda").reason
    without(monkeypatch, "numba_cpu", "triton_gpu", "reference")
    with pytest.raises(AssetError, match=r"reference cannot be loaded"):
        choose("auto", "cuda")


def test_the_survey_names_every_backend_and_one_that_is_used(monkeypatch):
    """Kills a doctor that is silent about a backend, and "works" about one that does not load."""
    without(monkeypatch, "pytorch3d")
    found = survey()
    assert list(found) == list(NAMES)
    assert [name for name, state in found.items() if state.startswith("used")] == ["numba_cpu"]
    assert "no wheel" in found["pytorch3d"]
    assert "licence" in found["nvdiffrast_gpu"]
    assert found["triton_gpu"].startswith("works, not used")
