"""`redub track`: how well and how fast a face is followed."""

from contextlib import closing
from time import monotonic
from typing import Any

import numpy as np
from jaxtyping import Float

from core.memory import peak_rss_mb
from core.progress import Reporter
from evaluate.metrics.lips import LIPS
from evaluate.metrics.temporal import jitter
from evaluate.sheet import spread_indices
from face3d.initialiser import Initialiser
from face3d.landmarks import FaceMesh
from face3d.morphable import MorphableModel, default_model
from face3d.topology import LANDMARKS
from face3d.track import Track, camera_vertices
from face3d.tracker import Stage, TrackerConfig, track_clip
from face3d.view import crop_image
from media.clip import Clip

JUDGED_FRAMES = 60
"""Frames, spread over the range, whose lips are detected a second time."""

LIP_DETECTOR = (
    "MediaPipe's face mesh, run afresh on still face crops: another pass than the fit used, "
    "but the same network"
)


def track_measured(
    clip: Clip,
    frames: range,
    reporter: Reporter,
    model: MorphableModel | None = None,
    initialiser: Initialiser | None = None,
    stage: Stage = "photometric",
) -> tuple[Track, dict[str, float | int | str | None]]:
    """The track and the contract's figures of it, on our face model unless told."""
    model = model or default_model()
    began = monotonic()
    config = TrackerConfig(stage=stage)
    track = track_clip(clip, frames, model, config, reporter=reporter, initialiser=initialiser)
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
    if track.photometric:
        figures["landmark_residual_codes"] = float(track.photometric.before.nanmean())
        figures["photometric_residual_codes"] = float(track.photometric.after.nanmean())
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


def printed(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [
        f"frames       {figures['frames']}, {figures['valid_share']:.0%} valid",
        f"speed        {figures['fps']:.1f} frames/s, all stages",
        f"lip error    {figures['lip_error_px256']:.2f} px256 ({figures['lip_error_against']})",
        f"jitter       {figures['jitter_px256']:.3f} px256/frame^2",
    ]
    if "photometric_residual_codes" in figures:
        before, after = (figures[f"{k}_residual_codes"] for k in ("landmark", "photometric"))
        lines.append(f"pictures     {after:.2f} code values off (landmarks alone: {before:.2f})")
    if figures["peak_rss_mb"]:
        lines.append(f"peak memory  {figures['peak_rss_mb']:.0f} MB")
    return "\n".join(lines)
