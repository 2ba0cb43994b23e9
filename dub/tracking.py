"""`redub track`: how well and how fast a face is followed, and a picture of it."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Int32

from core.memory import peak_rss_mb
from core.progress import Reporter, reported
from evaluate.metrics.lips import LIPS
from evaluate.metrics.temporal import jitter
from evaluate.sheet import spread_indices
from face3d.initialiser import Initialiser
from face3d.landmarks import FaceMesh
from face3d.morphable import MorphableModel, default_model
from face3d.topology import (
    LANDMARKS,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
)
from face3d.track import Track, camera_vertices
from face3d.tracker import track_clip
from face3d.view import crop_image
from media.clip import Clip
from media.frame import Frame
from media.writer import ClipWriter

JUDGED_FRAMES = 60
"""Frames, spread over the range, whose lips are detected a second time."""

LIP_DETECTOR = (
    "MediaPipe's face mesh, run afresh on still face crops: another pass than the fit used, "
    "but the same network"
)
MESH_COLOUR, LIP_COLOUR = (64, 224, 160), (255, 64, 200)
LIP_CONTOURS = (LIPS_OUTER_UPPER, LIPS_OUTER_LOWER, LIPS_INNER_UPPER, LIPS_INNER_LOWER)


def track_measured(
    clip: Clip,
    frames: range,
    reporter: Reporter,
    model: MorphableModel | None = None,
    initialiser: Initialiser | None = None,
) -> tuple[Track, dict[str, float | int | str | None]]:
    """The track and the contract's figures of it, on our face model unless told."""
    model = model or default_model()
    began = monotonic()
    track = track_clip(clip, frames, model, reporter=reporter, initialiser=initialiser)
    seconds = monotonic() - began
    points = np.stack([crop_points(model, track, i) for i in range(len(track))])
    figures = {
        "frames": len(track),
        "valid_share": float(track.valid.float().mean()),
        "fps": len(track) / seconds,
        "lip_error_px256": lip_error(clip, track, points),
        "lip_error_against": LIP_DETECTOR,
        "jitter_px256": shot_jitter(track, points),
        "peak_rss_mb": peak_rss_mb(),
    }
    return track, figures


def crop_points(model: MorphableModel, track: Track, index: int) -> Float[np.ndarray, "468 2"]:
    """The fitted landmarks of one frame in pixels of its face crop, which are px256."""
    camera = track.crop(index).camera(track.camera)
    vertices = camera_vertices(model, track.identity, track.motion[index : index + 1])
    return camera.pixels_from_camera(vertices[0, :LANDMARKS]).numpy()


def lip_error(clip: Clip, track: Track, points: Float[np.ndarray, "T 468 2"]) -> float:
    """Mean distance of fitted lips from freshly detected ones, px256; NaN where none are found."""
    valid = np.flatnonzero(track.valid.numpy())
    if not len(valid):
        return float("nan")
    judged = (
        {int(valid[i]) for i in spread_indices(len(valid), JUDGED_FRAMES)} if len(valid) else {}
    )
    errors = []
    with closing(FaceMesh(still=True)) as mesh:
        for index, frame in enumerate(clip.frames(range(track.start, track.start + len(track)))):
            if index not in judged:
                continue
            found = mesh.detect(crop_image(frame.rgb, track.crop(index)))
            if found is not None:
                apart = points[index][list(LIPS)] - found[list(LIPS), :2]
                errors.append(np.linalg.norm(apart, axis=-1).mean())
    return float(np.mean(errors)) if errors else float("nan")


def shot_jitter(track: Track, points: Float[np.ndarray, "T 468 2"]) -> float:
    """Mean second difference of the fitted landmarks within shots, px256 per frame²."""
    shot, valid = track.shot.numpy(), track.valid.numpy()
    run = valid[:-2] & valid[1:-1] & valid[2:] & (shot[:-2] == shot[2:])
    bent = [jitter(points[t : t + 3]) for t in run.nonzero()[0]]
    return float(np.mean(bent)) if bent else float("nan")


def write_overlay(
    clip: Clip, track: Track, path: Path, reporter: Reporter, model: MorphableModel | None = None
) -> None:
    """The clip's frames with the fitted mesh and, in a colour of their own, the lips' contours."""
    model = model or default_model()
    frames = range(track.start, track.start + len(track))
    with ClipWriter(path, clip) as writer:
        shown = reported(clip.frames(frames), reporter, "draw the overlay", len(frames))
        for frame in _drawn(model, shown, track):
            writer.write(frame)


def _drawn(model: MorphableModel, frames: Iterator[Frame], track: Track) -> Iterator[Frame]:
    corners = model.triangles.long()
    face = corners[~model.inside[corners].any(1)]
    edges = torch.cat([face[:, [0, 1]], face[:, [1, 2]], face[:, [2, 0]]]).sort(1).values
    edges = edges.unique(dim=0).numpy()
    for index, frame in enumerate(frames):
        if not bool(track.valid[index]):
            yield frame
            continue
        here = track.motion[index : index + 1]
        xy = track.camera.pixels_from_camera(camera_vertices(model, track.identity, here))[0]
        points = np.round((xy.numpy() - 0.5) * 8).astype(np.int32)
        size = frame.height, frame.width
        mesh = _ink(size, points[edges])
        lips = _ink(size, [points[list(contour)] for contour in LIP_CONTOURS])
        colour = np.where(
            lips[..., None] > 0, np.array(LIP_COLOUR, np.uint8), np.array(MESH_COLOUR, np.uint8)
        )
        yield frame.composited(colour, np.maximum(0.4 * mesh, lips), 0, 0)


def _ink(
    size: tuple[int, int], lines: Iterable[Int32[np.ndarray, "_ 2"]]
) -> Float32[np.ndarray, "H W"]:
    """1 where a line runs, through points in eighths of a pixel."""
    ink = np.zeros(size, np.uint8)
    cv2.polylines(ink, list(lines), False, (255,), 1, cv2.LINE_AA, shift=3)
    return ink.astype(np.float32) / 255


def printed(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [
        f"frames       {figures['frames']}, {figures['valid_share']:.0%} valid",
        f"speed        {figures['fps']:.1f} frames/s, all stages",
        f"lip error    {figures['lip_error_px256']:.2f} px256 ({figures['lip_error_against']})",
        f"jitter       {figures['jitter_px256']:.3f} px256/frame^2",
    ]
    if figures["peak_rss_mb"]:
        lines.append(f"peak memory  {figures['peak_rss_mb']:.0f} MB")
    return "\n".join(lines)
