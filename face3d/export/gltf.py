"""GLB: the person's mesh, the rig's shapes as morph targets, pose and weights as animation.

The weights are the rig's own (0 to 1 in a blendshape rig), so that an animator can go on with them.
glTF knows seconds, not frames: key i stands at i / rate from the take's first frame. It has no
lens shift either. Needs `pygltflib` (extra `film`).
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pygltflib as gltf
import torch
from jaxtyping import Float
from torch import Tensor

from core.camera import Camera
from core.errors import InputError
from core.serial import atomic_path
from face3d.export.take import Take
from face3d.sculpt import Sculpt, split_polygons

LENS_SHIFT_PIXELS = 0.01
"""A principal point this near to the middle is in it."""


@dataclass
class _Buffer:
    """The binary chunk as it grows, and the accessors that look into it."""

    blob: bytearray = field(default_factory=bytearray)
    views: list[gltf.BufferView] = field(default_factory=list)
    accessors: list[gltf.Accessor] = field(default_factory=list)

    def add(self, values: np.ndarray, kind: str, target: int | None = None) -> int:
        """Append an array [N ...] of float32 or uint32; returns its accessor."""
        data = np.ascontiguousarray(values)
        self.views.append(
            gltf.BufferView(buffer=0, byteOffset=len(self.blob), byteLength=data.nbytes,
                            target=target)
        )  # fmt: skip
        self.blob += data.tobytes()
        rows = data.reshape(len(data), -1)
        is_index = data.dtype == np.uint32
        self.accessors.append(
            gltf.Accessor(
                bufferView=len(self.views) - 1,
                componentType=gltf.UNSIGNED_INT if is_index else gltf.FLOAT,
                count=len(rows),
                type=kind,
                min=rows.min(0).tolist(),
                max=rows.max(0).tolist(),
            )
        )
        return len(self.accessors) - 1


def write(take: Take, path: Path) -> None:
    """Write one GLB. Raises InputError for a camera whose principal point is off the middle."""
    track, face = take.track, take.face
    camera = _camera(track.camera)
    buffer = _Buffer()
    vertex, uv, triangles = corner_vertices(face.sculpt)
    shape = face.shape(track.identity)
    attributes = gltf.Attributes(
        POSITION=buffer.add(shape.numpy()[vertex], gltf.VEC3, gltf.ARRAY_BUFFER)
    )
    if len(uv):
        attributes.TEXCOORD_0 = buffer.add(uv, gltf.VEC2, gltf.ARRAY_BUFFER)
    units = face.units
    shapes = (face.sculpt.expression / units[:, None, None]).numpy()
    morphs = [{"POSITION": buffer.add(s[vertex], gltf.VEC3, gltf.ARRAY_BUFFER)} for s in shapes]
    corners = triangles.astype(np.uint32).ravel()
    primitive = gltf.Primitive(
        attributes=attributes,
        indices=buffer.add(corners, gltf.SCALAR, gltf.ELEMENT_ARRAY_BUFFER),
        targets=morphs,  # pyright: ignore[reportArgumentType]
    )
    weights = (torch.cat([track.motion.mouth, track.motion.upper], -1) * units).numpy()
    document = gltf.GLTF2(
        asset=gltf.Asset(version="2.0", generator="redub", copyright=face.sculpt.licence),
        scene=0,
        scenes=[gltf.Scene(nodes=[0, 1])],
        nodes=[
            gltf.Node(name="Face", mesh=0),
            gltf.Node(name="Camera", camera=0),
        ],
        cameras=[camera],
        meshes=[
            gltf.Mesh(
                name=face.sculpt.name,
                primitives=[primitive],
                weights=[0.0] * len(shapes),
                extras={"targetNames": list(face.sculpt.expression_names)},
            )
        ],
        animations=[_animation(take, weights, buffer)],
        bufferViews=buffer.views,
        accessors=buffer.accessors,
        buffers=[gltf.Buffer(byteLength=len(buffer.blob))],
        extras={"rate": str(track.fps), "start": track.start, "face_model": face.facts},
    )
    document.set_binary_blob(bytes(buffer.blob))
    with atomic_path(path) as temporary:
        document.save_binary(str(temporary))


def _camera(camera: Camera) -> gltf.Camera:
    off = math.dist(camera.centre, (camera.width / 2, camera.height / 2))
    if off > LENS_SHIFT_PIXELS:
        raise InputError(
            f"the camera's principal point lies {off:.2f} pixels off the middle and a GLB can only "
            "have it there; export USD instead."
        )
    lens = gltf.Perspective(
        aspectRatio=camera.width / camera.height,
        yfov=2 * math.atan(camera.height / 2 / camera.focal),
        znear=camera.near_metres,
        zfar=camera.far_metres,
    )
    return gltf.Camera(type="perspective", perspective=lens)


def _animation(take: Take, weights: np.ndarray, buffer: _Buffer) -> gltf.Animation:
    track = take.track
    times = np.array([float(i / track.fps) for i in range(len(track))], np.float32)
    at = buffer.add(times, gltf.SCALAR)
    values = {
        "translation": (track.motion.translation.numpy().astype(np.float32), gltf.VEC3),
        "rotation": (continuous(quaternions(track.motion.rotation)).numpy(), gltf.VEC4),
        "weights": (weights.astype(np.float32).ravel(), gltf.SCALAR),
    }
    samplers, channels = [], []
    for path, (keys, kind) in values.items():
        samplers.append(gltf.AnimationSampler(input=at, output=buffer.add(keys, kind)))
        target = gltf.AnimationChannelTarget(node=0, path=path)
        channels.append(gltf.AnimationChannel(sampler=len(samplers) - 1, target=target))
    return gltf.Animation(name="take", samplers=samplers, channels=channels)


def quaternions(axis_angle: Float[Tensor, "T 3"]) -> Float[Tensor, "T 4"]:
    """Unit quaternions (x, y, z, w), glTF's order."""
    half = axis_angle.norm(dim=-1, keepdim=True) / 2
    # sinc: sin(πx)/(πx), finite at 0.
    return torch.cat([axis_angle / 2 * torch.sinc(half / math.pi), half.cos()], -1)


def continuous(turns: Float[Tensor, "T 4"]) -> Float[Tensor, "T 4"]:
    """The same rotations with signs under which neighbours are near, so none goes the long way."""
    flips = (turns[1:] * turns[:-1]).sum(-1).sign()
    flips = torch.where(flips == 0, torch.ones_like(flips), flips)
    return turns * torch.cat([flips.new_ones(1), flips.cumprod(0)])[:, None]


def corner_vertices(sculpt: Sculpt) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mesh cut at its texture's seams, as glTF wants it.

    Returns for each new vertex the sculpt's vertex [N] and its uv [N 2] (v down; empty without
    texture), and triangles [F 3] of new vertices.
    """
    corners = sculpt.triangles.numpy()
    if not len(sculpt.uv_polygons):
        used, triangles = np.unique(corners, return_inverse=True)
        return used, np.empty((0, 2), np.float32), triangles.reshape(-1, 3)
    # A triangle's texture row ends in −1 where its corner row does, so both split alike.
    textured = split_polygons(sculpt.uv_polygons).numpy()
    pairs = np.stack([corners.ravel(), textured.ravel()], -1)
    unique, triangles = np.unique(pairs, axis=0, return_inverse=True)
    uv = sculpt.uv.numpy()[unique[:, 1]] * [1.0, -1.0] + [0.0, 1.0]
    return unique[:, 0], uv.astype(np.float32), triangles.reshape(-1, 3)
