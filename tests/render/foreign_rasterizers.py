"""Stand-ins for nvdiffrast and PyTorch3D with the conventions their documentation states.

Slow, exact on the float32 they are given, and as particular about types as the originals. What the
adapters hand over and how they read the answer is tested against these where the originals are
not installed.
"""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from render.visibility import choose_backend


def install_nvdiffrast(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = ModuleType("nvdiffrast.torch")
    functions.__dict__.update(RasterizeCudaContext=Context, rasterize=nvdiffrast_rasterize)
    monkeypatch.setitem(sys.modules, "nvdiffrast", ModuleType("nvdiffrast"))
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", functions)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delitem(sys.modules, "render.backends.nvdiffrast_gpu", raising=False)
    choose_backend.cache_clear()
    adapter = choose_backend("nvdiffrast_gpu").visible_faces
    monkeypatch.setattr(sys.modules[adapter.__module__], "DEVICE", "cpu")


class Context:
    """The rasterizer context; its device is where the tensors must be."""

    def __init__(self, device: str | None = None) -> None:
        self.device = device


def nvdiffrast_rasterize(
    glctx: Context,
    pos: Tensor,
    tri: Tensor,
    resolution: tuple[int, int],
    ranges: None = None,
    grad_db: bool = True,
) -> tuple[Tensor, None]:
    """Instanced mode: (u, v, z/w, triangle + 1) of both sides within the frustum, row 0 lowest."""
    assert isinstance(glctx, Context)
    assert ranges is None
    assert pos.dtype == torch.float32
    assert tri.dtype == torch.int32
    assert pos.is_contiguous()
    assert tri.is_contiguous()
    assert pos.shape[2] == 4
    assert pos.numel() > 0
    assert tri.numel() > 0
    height, width = resolution
    out = np.zeros((len(pos), height, width, 4))
    x = (2 * np.arange(width) + 1) / width - 1
    y = (2 * np.arange(height) + 1) / height - 1
    p = np.stack([*np.meshgrid(x, y), np.ones((height, width))])
    for frame, clip in zip(out, pos.double().numpy(), strict=True):
        nearest = np.full((height, width), np.inf)
        for index, corners in enumerate(clip[tri.numpy()]):
            v = corners[:, [0, 1, 3]]
            if np.linalg.det(v) == 0:
                continue
            weights = np.einsum("ij,jhw->ihw", np.linalg.inv(v.T), p)
            depth = np.einsum("ihw,i->hw", weights, corners[:, 2])  # Σ weights w = 1: this is z/w
            wins = (weights >= 0).all(0) & (np.abs(depth) <= 1) & (depth < nearest)
            nearest[wins] = depth[wins]
            u, v, _ = weights / weights.sum(0)
            answer = np.stack([u, v, depth, np.full_like(u, index + 1)], -1)
            frame[wins] = answer[wins]
    return torch.from_numpy(out).float(), None


def install_pytorch3d(monkeypatch: pytest.MonkeyPatch) -> None:
    rasterizing = ModuleType("pytorch3d.renderer.mesh.rasterize_meshes")
    rasterizing.__dict__.update(rasterize_meshes=rasterize_meshes)
    structures = ModuleType("pytorch3d.structures")
    structures.__dict__.update(Meshes=Meshes)
    for name in ("pytorch3d", "pytorch3d.renderer", "pytorch3d.renderer.mesh"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for module in (rasterizing, structures):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delitem(sys.modules, "render.backends.pytorch3d", raising=False)
    choose_backend.cache_clear()


class Meshes(SimpleNamespace):
    """A batch of meshes with vertices and faces of their own."""

    def __init__(self, verts: list[Tensor], faces: list[Tensor]) -> None:
        assert isinstance(verts, list)
        assert isinstance(faces, list)
        assert len(verts) == len(faces)
        assert all(v.dtype == torch.float32 and v.shape[1:] == (3,) for v in verts)
        assert all(f.dtype == torch.int64 and f.shape[1:] == (3,) for f in faces)
        super().__init__(verts=verts, faces=faces)


def rasterize_meshes(
    meshes: Meshes,
    image_size: tuple[int, int],
    blur_radius: float = 0.0,
    faces_per_pixel: int = 8,
    perspective_correct: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(pix_to_face, zbuf, barycentric, distances): ids of the packed batch, −1 where none; +x left.

    Both sides are drawn, edges are nobody's, a face with a vertex behind z = 0 is left out.
    """
    assert blur_radius == 0
    assert not perspective_correct
    assert faces_per_pixel == 1
    height, width = image_size
    short = min(height, width)
    x = (width - 1 - 2 * np.arange(width)) / short
    y = (height - 1 - 2 * np.arange(height)) / short
    p = np.stack([*np.meshgrid(x, y), np.ones((height, width))])
    seen = np.full((len(meshes.verts), height, width, 1), -1)
    depths = np.full(seen.shape, -1.0)
    weights = np.full((*seen.shape, 3), -1.0)
    packed = 0
    for frame, (verts, faces) in enumerate(zip(meshes.verts, meshes.faces, strict=True)):
        for corners in verts.double().numpy()[faces.numpy()]:
            flat = np.stack([corners[:, 0], corners[:, 1], np.ones(3)])
            if corners[:, 2].min() >= 1e-8 and np.linalg.det(flat) != 0:
                b = np.einsum("ij,jhw->ihw", np.linalg.inv(flat), p)
                depth = np.einsum("ihw,i->hw", b, corners[:, 2])
                free = seen[frame, ..., 0] < 0
                wins = (b > 0).all(0) & (free | (depth < depths[frame, ..., 0]))
                seen[frame, wins, 0], depths[frame, wins, 0] = packed, depth[wins]
                weights[frame, wins, 0] = b[:, wins].T
            packed += 1
    return (
        torch.from_numpy(seen),
        torch.from_numpy(depths).float(),
        torch.from_numpy(weights).float(),
        torch.full(seen.shape, -1.0),
    )
