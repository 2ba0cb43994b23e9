"""`redub inspect`: what a clip holds and what redub would do with it, before any work is done."""

from contextlib import closing
from fractions import Fraction
from time import monotonic
from typing import Any

import numpy as np
import torch

from core.errors import InputError
from core.progress import Reporter
from core.rotation import matrix_from_axis_angle
from dub.sidecar import runs
from evaluate.sheet import spread_indices
from face3d.faces import FaceFinder
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from face3d.topology import LANDMARKS
from face3d.track import Motion, Track, camera_vertices
from face3d.tracker import track_clip
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH
from media.audio import load_audio
from media.clip import Clip
from media.interlace import is_combed
from prior.motion.alignment import estimate_lag
from prior.motion.expression import load_driver
from render.deferred import DeferredRenderer, RendererConfig

COUNTED_FRAMES = 24
"""Frames, spread over the clip, in which faces are counted."""

BATCH = 4
RENDER_OVERHEAD = 4.0
"""A painted frame takes about twice what the network alone does, for conditions, pasting and
encoding, and about as much again for being registered."""

ADAPT_SECONDS = 180.0


def inspect_clip(clip: Clip, reporter: Reporter) -> dict[str, Any]:
    """Shots, faces, pose, sound and forecast. A clip without a face is a finding, not an error."""
    found: dict[str, Any] = {
        "file": clip.path.name,
        "frames": len(clip),
        "fps": str(clip.fps),
        "seconds": round(clip.seconds, 3),
        "size": [clip.width, clip.height],
        "format": clip.pix_fmt,
        "timecode": clip.timecode,
        **glance(clip),
    }
    began = monotonic()
    try:
        track = track_clip(clip, range(len(clip)), reporter=reporter)
    except InputError as error:
        whole = [{"start": 0, "stop": len(clip), "reason": "no face"}]
        return found | {"passed_through": whole, "note": str(error)}
    seconds = monotonic() - began
    return found | {
        "shots": shots(track),
        "valid_frames": int(track.valid.sum()),
        "face_height_pixels": round(face_height(track), 1),
        "pose_degrees": pose_range(track),
        "sound": sound_offset(clip, track),
        "passed_through": runs(track.reasons(), track.start),
        "estimated_seconds": {
            "adapt": ADAPT_SECONDS,
            "dub": round(seconds + len(track) * RENDER_OVERHEAD * network_seconds_a_frame(), 1),
        },
    }


def glance(clip: Clip) -> dict[str, int | bool]:
    """The most faces seen in one of a few frames (redub follows the most prominent one), and
    whether one of them is woven of two fields."""
    wanted = set(spread_indices(len(clip), COUNTED_FRAMES))
    most, combed = 0, False
    with closing(FaceFinder()) as finder:
        for frame in clip.frames():
            if frame.index in wanted:
                most = max(most, len(finder.whole(frame)))
                combed = combed or is_combed(frame)
    return {"most_faces": most, "interlaced": combed}


def shots(track: Track) -> list[dict[str, int]]:
    """Each shot's frames, half-open, and how many of them show the face."""
    shot = track.shot.numpy()
    rows = []
    for index in np.unique(shot):
        frames = np.flatnonzero(shot == index)
        rows.append(
            {
                "start": int(frames[0]) + track.start,
                "stop": int(frames[-1]) + 1 + track.start,
                "valid_frames": int(track.valid[torch.from_numpy(frames)].sum()),
            }
        )
    return rows


def face_height(track: Track) -> float:
    """Median height of the face in pixels of the clip, chin to hairline; 0 where none is valid."""
    motion = track.motion[track.valid]
    if not len(motion):
        return 0.0
    vertices = camera_vertices(default_model(), track.identity, motion)[:, :LANDMARKS]
    y = track.camera.pixels_from_camera(vertices)[..., 1]
    return float((y.amax(1) - y.amin(1)).median())


def pose_range(track: Track) -> dict[str, list[float]]:
    """Lowest and highest yaw (to the subject's left), pitch (up) and roll of valid frames."""
    motion: Motion = track.motion[track.valid]
    if not len(motion):
        return {}
    turned = matrix_from_axis_angle(motion.rotation)
    nose, up = turned[..., 2], turned[..., 1]
    angles = {
        "yaw": torch.atan2(nose[:, 0], nose[:, 2]),
        "pitch": torch.asin(nose[:, 1].clamp(-1, 1)),
        "roll": torch.atan2(-up[:, 0], up[:, 1]),
    }
    return {
        name: [round(float(a.rad2deg().min()), 1), round(float(a.rad2deg().max()), 1)]
        for name, a in angles.items()
    }


def sound_offset(clip: Clip, track: Track) -> dict[str, float] | None:
    """How late the sound is against the lips, in frames (see `prior.motion.alignment.Lag`); None
    without sound. A confidence below 0.1 means that it cannot be told."""
    if not clip.has_audio:
        return None
    model = default_model()
    start = Fraction(track.start) / clip.fps
    heard = load_driver().mouth(load_audio(clip.path), clip.fps, len(track), start)
    expected, seen = (mouth_opening(model, m).numpy() for m in (heard, track.motion.mouth))
    lag = estimate_lag(expected, seen, clip.fps)
    return {"late_by_frames": round(lag.frames, 2), "confidence": round(lag.confidence, 3)}


@torch.inference_mode()
def network_seconds_a_frame() -> float:
    """What the renderer's network costs here, from one batch after a warm-up."""
    config = RendererConfig()
    network = DeferredRenderer(config).eval().to(memory_format=torch.channels_last)  # pyright: ignore
    size = WINDOW_HEIGHT, WINDOW_WIDTH
    inputs = (
        torch.zeros(BATCH, config.features, *size),
        torch.zeros(BATCH, 3, *size),
        torch.zeros(BATCH, 2, *size),
        torch.zeros(BATCH, config.references, 4, *size),
    )
    network(*inputs)
    began = monotonic()
    network(*inputs)
    return (monotonic() - began) / BATCH


def printed(found: dict[str, Any]) -> str:
    """The findings for a person."""
    width, height = found["size"]
    lines = [
        f"{found['file']}: {found['frames']} frames at {found['fps']} fps, {width} x {height}, "
        f"{found['format']}",
        f"faces        at most {found['most_faces']} at once",
    ]
    if found["interlaced"]:
        lines.append(
            "interlaced   yes: the mouth would be painted over both fields at once; "
            "deinterlace the clip first"
        )
    if "shots" not in found:
        return "\n".join([*lines, f"no face      {found['note']}"])
    lines.append(f"shots        {len(found['shots'])}")
    lines.append(f"face height  {found['face_height_pixels']} px")
    for name, (low, high) in found["pose_degrees"].items():
        lines.append(f"{name:<12} {low} to {high} degrees")
    if found["sound"]:
        sound = found["sound"]
        sure = "" if sound["confidence"] > 0.1 else ", cannot be told"
        lines.append(
            f"sound        late by {sound['late_by_frames']} frames "
            f"(confidence {sound['confidence']}{sure})"
        )
    for run in found["passed_through"]:
        lines.append(f"untouched    frames {run['start']} to {run['stop']} ({run['reason']})")
    time = found["estimated_seconds"]
    lines.append(f"estimated    adapt {time['adapt']:.0f} s, dub {time['dub']:.0f} s")
    return "\n".join(lines)
