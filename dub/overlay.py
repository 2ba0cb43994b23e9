"""Videos of a track: the mesh and the lips' contours over the face; the lit model in its place."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Int32
from torch import Tensor

from core.errors import InputError
from core.progress import Reporter, reported
from face3d.appearance import harmonics
from face3d.morphable import MorphableModel, default_model
from face3d.samples import surface_samples
from face3d.topology import (
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
)
from face3d.track import Photometric, Track, camera_vertices
from media.clip import Clip
from media.frame import Frame
from media.writer import ClipWriter
from render.fragments import interpolate, rasterize
from render.mesh import vertex_normals

MESH_COLOUR, LIP_COLOUR = (64, 224, 160), (255, 64, 200)
LIP_CONTOURS = (LIPS_OUTER_UPPER, LIPS_OUTER_LOWER, LIPS_INNER_UPPER, LIPS_INNER_LOWER)

NEIGHBOUR_METRES = 0.008
"""A vertex that no sample lies near is as bright as one this near."""

Painter = Callable[[Frame, int], Frame]
"""Draws on a frame that shows the face; told which frame of the track it is."""


def write_overlay(
    clip: Clip, track: Track, path: Path, reporter: Reporter, model: MorphableModel | None = None
) -> None:
    """The clip's frames with the fitted mesh and, in a colour of their own, the lips' contours."""
    model = model or default_model()
    edges = _edges(_faced(model))

    def wired(frame: Frame, index: int) -> Frame:
        here = track.motion[index : index + 1]
        xy = track.camera.pixels_from_camera(camera_vertices(model, track.identity, here))[0]
        points = np.round((xy.numpy() - 0.5) * 8).astype(np.int32)
        size = frame.height, frame.width
        mesh = _ink(size, points[edges])
        lips = _ink(size, [points[list(contour)] for contour in LIP_CONTOURS])
        colour = np.where(
            lips[..., None] > 0, np.array(LIP_COLOUR, np.uint8), np.array(MESH_COLOUR, np.uint8)
        )
        return frame.composited(colour, np.maximum(0.4 * mesh, lips), 0, 0)

    _write(clip, track, path, reporter, wired)


def write_lit(
    clip: Clip, track: Track, path: Path, reporter: Reporter, model: MorphableModel | None = None
) -> None:
    """The clip's frames with the model, in the skin and the light that were fitted, for the face.

    Raises InputError for a track that landmarks alone made: it knows neither.
    """
    model = model or default_model()
    if track.photometric is None:
        raise InputError(
            "a track of landmarks alone knows no skin and no light; "
            "track with --stage photometric to see the lit model."
        )
    albedo, faces = _painted(model, track.photometric)
    light = track.photometric.light

    def shown(frame: Frame, index: int) -> Frame:
        vertices = camera_vertices(model, track.identity, track.motion[index : index + 1])
        normals = vertex_normals(vertices, model.triangles)
        colours = albedo * (harmonics(normals) @ light)
        clip_space = track.camera.clip_from_camera(vertices)
        fragments = rasterize(clip_space, faces, frame.height, frame.width)
        picture = interpolate(fragments, colours, faces)[0].permute(1, 2, 0)
        covered = (fragments.face[0] >= 0).numpy().astype(np.float32)
        return frame.composited(picture.clamp(0, 255).round().byte().numpy(), covered, 0, 0)

    _write(clip, track, path, reporter, shown)


def _write(clip: Clip, track: Track, path: Path, reporter: Reporter, painter: Painter) -> None:
    """The track's frames, those that show the face drawn upon."""
    frames = range(track.start, track.start + len(track))
    with ClipWriter(path, clip) as writer:
        decoded: Iterator[Frame] = reported(
            clip.frames(frames), reporter, f"draw {path.name}", len(frames)
        )
        for index, frame in enumerate(decoded):
            writer.write(painter(frame, index) if bool(track.valid[index]) else frame)


def _faced(model: MorphableModel) -> Tensor:
    """The face's triangles [F 3], without what lies in the mouth."""
    corners = model.triangles.long()
    return corners[~model.inside[corners].any(1)]


def _edges(face: Tensor) -> np.ndarray:
    """Each edge of triangles once, [E 2]."""
    edges = torch.cat([face[:, [0, 1]], face[:, [1, 2]], face[:, [2, 0]]])
    return edges.sort(1).values.unique(dim=0).numpy()


def _painted(
    model: MorphableModel, seen: Photometric
) -> tuple[Float[Tensor, "V 3"], Int32[Tensor, "F 3"]]:
    """Albedo of the vertices, means of the samples around them, and the triangles that have one.

    Vertices along the cut below the nose have no samples of their own: they take their neighbour's.
    """
    samples = surface_samples(model)
    weights = (samples.weights * (seen.albedo > 0).all(-1, keepdim=True)).flatten()
    corners = samples.corners.flatten()
    colours = seen.albedo.repeat_interleave(3, 0) * weights[:, None]
    total = weights.new_zeros(len(model.mean)).index_add(0, corners, weights)
    mixed = colours.new_zeros(len(model.mean), 3).index_add(0, corners, colours)
    known = (total > 0).nonzero()[:, 0]
    far, nearest = torch.cdist(model.mean, model.mean[known]).min(1)
    albedo = (mixed / total.clamp_min(1e-6)[:, None])[known][nearest]
    faces = _faced(model)
    return albedo, faces[(far[faces] < NEIGHBOUR_METRES).all(1)].int()


def _ink(
    size: tuple[int, int], lines: Iterable[Int32[np.ndarray, "_ 2"]]
) -> Float32[np.ndarray, "H W"]:
    """1 where a line runs, through points in eighths of a pixel."""
    ink = np.zeros(size, np.uint8)
    cv2.polylines(ink, list(lines), False, (255,), 1, cv2.LINE_AA, shift=3)
    return ink.astype(np.float32) / 255
