"""What leaves the house: read back by the format's own library, it lands on the same pixels."""

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pygltflib
import pytest
import torch
from moving_head import somebody, speaking
from pxr import Usd, UsdGeom  # pyright: ignore[reportAttributeAccessIssue]

from core.camera import Camera
from core.errors import AssetError, InputError, UsageError
from face3d.export import gltf, obj_sequence, usd
from face3d.export.take import Take, writer_for
from face3d.models.obj import read_obj
from face3d.models.shelf import open_face_model
from face3d.retopology import FaceModel
from face3d.sculpt import Sculpt
from face3d.topology import LANDMARKS
from face3d.track import Crop, Track

RATE = Fraction(24000, 1001)
START = 118
CAMERA = Camera(900.0, (320.0, 180.0), 640, 360)
FRAMES = 5


def quad_rig(own: FaceModel) -> FaceModel:
    """Our model as if others had made it: a quad among the triangles, texture seams, rig units."""
    sculpt = own.sculpt
    first, second = sculpt.triangles[0].tolist(), sculpt.triangles[1].tolist()
    fourth = next(v for v in second if v not in first)
    shared = [v for v in first if v in second]
    lone = next(v for v in first if v not in second)
    a = first.index(lone)
    quad = [lone, first[(a + 1) % 3], fourth, first[(a + 2) % 3]]
    assert set(quad) == {lone, fourth, *shared}
    polygons = torch.cat([torch.tensor([quad], dtype=torch.int32), sculpt.polygons[2:]])
    uv = torch.cat([sculpt.uv, sculpt.uv[:50] * 0.5])
    seamed = polygons.clone()
    half = seamed[len(seamed) // 2 :]
    half[(half >= 0) & (half < 50)] += len(sculpt.uv)
    changed = replace(
        sculpt, polygons=polygons, part=sculpt.part[1:], uv=uv, uv_polygons=seamed, licence="Theirs"
    )
    about = {**own.model.about, "units": [0.25] * len(sculpt.expression)}
    return FaceModel(replace(own.model, about=about), changed, own.attachment)


@pytest.fixture(scope="module")
def take() -> Take:
    face = quad_rig(open_face_model("redub"))
    motion = speaking(FRAMES)
    motion.rotation[1] = torch.tensor([0.0, math.pi - 0.01, 0.0])
    motion.rotation[2] = torch.tensor([0.0, -math.pi + 0.01, 0.0])
    motion.rotation[3] = 0.0
    who = replace(somebody(), offset=0.001 * torch.randn(LANDMARKS, 3))
    crop = Crop(0, 0, 360, 256)
    valid = torch.tensor([True, True, False, True, True])
    still = torch.zeros(FRAMES)
    track = Track(
        fps=RATE, start=START, camera=CAMERA, crops=(crop,), shot=still.long(), identity=who,
        motion=motion, valid=valid, residual=still, confidence=still + 1,
    )  # fmt: skip
    return Take(face, track)


@pytest.fixture(scope="module")
def expected(take: Take) -> np.ndarray:
    """Pixels [T V 2] of the mesh in the camera that tracked it."""
    return CAMERA.pixels_from_camera(
        take.face.surface(take.track.identity, take.track.motion)
    ).numpy()


def corner_pixels(xy: np.ndarray, sculpt: Sculpt) -> np.ndarray:
    return xy[sculpt.triangles.numpy()]


def test_an_obj_sequence_has_a_file_for_each_valid_frame(
    take: Take, expected: np.ndarray, tmp_path: Path
) -> None:
    """Kills frames numbered from 0, head-local vertices, a quad cut in two, a file for a frame
    without a face, and a camera of another field of view."""
    obj_sequence.write(take, tmp_path / "face.obj")
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [
        "face.0118.obj",
        "face.0119.obj",
        "face.0121.obj",
        "face.0122.obj",
        "face.chan",
    ]
    rows = np.loadtxt(tmp_path / "face.chan")
    assert rows[:, 0].tolist() == list(range(START, START + FRAMES))
    focal = CAMERA.height / 2 / np.tan(np.radians(rows[0, 7]) / 2)
    for index in (0, 1, 3, 4):
        path = obj_sequence.frame_path(tmp_path / "face.obj", START + index)
        assert "Theirs" in path.read_text()[:200]
        mesh = read_obj(path)
        assert np.array_equal(mesh.polygons, take.face.sculpt.polygons.numpy())
        assert np.array_equal(mesh.uv_polygons, take.face.sculpt.uv_polygons.numpy())
        np.testing.assert_allclose(mesh.uv, take.face.sculpt.uv.numpy(), rtol=0, atol=1e-6)
        x, y, z = mesh.vertices.T
        xy = np.stack([320 - focal * x / z, 180 + focal * y / z], -1)
        np.testing.assert_allclose(xy, expected[index], rtol=0, atol=0.01)


def read_accessor(document: pygltflib.GLTF2, index: int) -> np.ndarray:
    """An accessor's numbers, by the specification and not by our writer."""
    accessor = document.accessors[index]
    view = document.bufferViews[accessor.bufferView]
    kind = {pygltflib.FLOAT: np.float32, pygltflib.UNSIGNED_INT: np.uint32}[accessor.componentType]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[accessor.type]
    blob = document.binary_blob()
    assert blob is not None
    start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
    flat = np.frombuffer(blob, kind, accessor.count * width, start)
    return flat.reshape(accessor.count, width)


def test_a_glb_performs_the_same_take(take: Take, expected: np.ndarray, tmp_path: Path) -> None:
    """Kills quaternions in another order, weights in deviations, targets that hold positions,
    keys at whole 1/24 seconds, a texture upside down, and vertices lost at seams."""
    path = tmp_path / "face.glb"
    gltf.write(take, path)
    document = pygltflib.GLTF2().load(str(path))
    assert document is not None
    mesh = document.meshes[0]
    primitive = mesh.primitives[0]
    base = read_accessor(document, primitive.attributes.POSITION)
    targets = np.stack([read_accessor(document, t["POSITION"]) for t in primitive.targets])
    triangles = read_accessor(document, primitive.indices).reshape(-1, 3)
    animation = document.animations[0]
    keys = {
        channel.target.path: read_accessor(document, animation.samplers[channel.sampler].output)
        for channel in animation.channels
    }
    times = read_accessor(document, animation.samplers[0].input)[:, 0]
    np.testing.assert_allclose(times, np.arange(FRAMES) * 1001 / 24000, rtol=0, atol=1e-6)
    weights = keys["weights"].reshape(FRAMES, -1)
    np.testing.assert_allclose(
        weights[:, 0], 0.25 * take.track.motion.mouth[:, 0].numpy(), atol=1e-6
    )
    lens = document.cameras[0].perspective
    focal = CAMERA.height / 2 / math.tan(lens.yfov / 2)
    assert lens.aspectRatio == pytest.approx(640 / 360)
    for index in range(FRAMES):
        x, y, z, w = keys["rotation"][index].astype(float)
        turn = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        local = base + np.einsum("e,evc->vc", weights[index], targets)
        px, py, pz = (local @ turn.T + keys["translation"][index]).T
        xy = np.stack([320 - focal * px / pz, 180 + focal * py / pz], -1)
        true = corner_pixels(expected[index], take.face.sculpt)
        np.testing.assert_allclose(xy[triangles], true, rtol=0, atol=0.02)
    uv = read_accessor(document, primitive.attributes.TEXCOORD_0)[triangles[0, 0]]
    corner = int(take.face.sculpt.uv_polygons[0, 0])
    u, v = take.face.sculpt.uv[corner].tolist()
    np.testing.assert_allclose(uv, [u, 1 - v], rtol=0, atol=1e-6)
    assert mesh.extras["targetNames"] == list(take.face.sculpt.expression_names)
    assert document.asset.copyright == "Theirs"


def test_neighbouring_keys_turn_the_short_way(take: Take, tmp_path: Path) -> None:
    """Kills a head that spins round between two frames: quaternions of opposite sign are one
    rotation, but not one path. From +179.4° to −179.4° is 1.1°."""
    turns = gltf.continuous(gltf.quaternions(take.track.motion.rotation))
    assert bool(((turns[1:] * turns[:-1]).sum(-1) >= 0).all())
    torch.testing.assert_close(turns.norm(dim=-1), torch.ones(FRAMES), atol=1e-6, rtol=0)
    assert turns[3].abs().tolist() == [0, 0, 0, 1]


def test_a_glb_cannot_hold_a_lens_shift(take: Take, tmp_path: Path) -> None:
    """Kills a principal point that is dropped in silence."""
    shifted = replace(
        take, track=replace(take.track, camera=replace(CAMERA, centre=(330.0, 180.0)))
    )
    with pytest.raises(InputError, match=r"10.00 pixels off the middle.*export USD"):
        gltf.write(shifted, tmp_path / "a.glb")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".usda", ".usdc"])
def test_a_stage_performs_the_same_take(
    ending: str, take: Take, expected: np.ndarray, tmp_path: Path
) -> None:
    """Kills matrices for column vectors, a lens shift of the wrong sign, time codes counted from 0,
    a rate rounded to 24, and a mesh shown where it does not fit: through USD's own camera."""
    moved = replace(CAMERA, centre=(330.0, 176.0))
    path = tmp_path / f"face{ending}"
    usd.write(replace(take, track=replace(take.track, camera=moved)), path)
    stage = Usd.Stage.Open(str(path))
    assert stage.GetTimeCodesPerSecond() == 24000 / 1001
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (START, START + FRAMES - 1)
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/Shot/Head/Face"))
    counts = np.array(mesh.GetFaceVertexCountsAttr().Get())
    polygons = take.face.sculpt.polygons.numpy()
    assert counts.tolist() == (polygons >= 0).sum(1).tolist()
    indices = np.array(mesh.GetFaceVertexIndicesAttr().Get())
    assert np.array_equal(indices, polygons[polygons >= 0])
    lens = UsdGeom.Camera(stage.GetPrimAtPath("/Shot/Camera"))
    for index in range(FRAMES):
        code = Usd.TimeCode(START + index)
        matrix = np.array(mesh.ComputeLocalToWorldTransform(code))
        points = np.array(mesh.GetPointsAttr().Get(code), float)
        world = np.concatenate([points, np.ones((len(points), 1))], 1) @ matrix
        frustum = lens.GetCamera(code).frustum
        clip = world @ np.array(frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix())
        ndc = clip[:, :2] / clip[:, 3:]
        xy = np.stack([(ndc[:, 0] + 1) * 320, (1 - ndc[:, 1]) * 180], -1)
        np.testing.assert_allclose(xy, expected[index] + [10, -4], rtol=0, atol=0.01)
        hidden = mesh.GetVisibilityAttr().Get(code) == "invisible"
        assert hidden is (index == 2)
    assert stage.GetDefaultPrim().GetCustomDataByKey("redub:rate") == "24000/1001"


def test_another_ending_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills an hour of tracking before 'unknown format', and a bare ImportError."""
    with pytest.raises(UsageError, match=r"face.fbx does not end in one of .obj, .glb, .usd"):
        writer_for(Path("face.fbx"))
    monkeypatch.setattr("face3d.export.take.import_module", _missing)
    with pytest.raises(AssetError, match=r"pip install 'redub\[film\]'"):
        writer_for(Path("face.USD"))


def _missing(name: str) -> None:
    raise ImportError(f"No module named 'pxr' in {name}")
