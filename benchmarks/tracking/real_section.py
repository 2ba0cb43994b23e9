"""Section: real footage of the `test` split."""

import csv
import json
from collections.abc import Mapping

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python.vision.face_landmarker import FaceLandmarker

from benchmarks.tracking.findings import STAGES, landmarker_options
from benchmarks.tracking.known_truth import px256, shake
from benchmarks.tracking.residual import residual
from benchmarks.tracking.table import figure, table
from benchmarks.tracking.workplace import Workplace
from core.serial import save_json
from evaluate.metrics.known import known_mean
from face3d.morphable import default_model
from face3d.sighting import sight
from face3d.topology import LANDMARKS, LIPS
from face3d.track import camera_vertices
from face3d.tracker import face_height, track_sighting
from media.clip import Clip

SECONDS = 4
FIGURES = ("skin", "lips", "apart", "jitter", "valid")
HEADINGS = (
    "", "frames", "stage", "skin residual", "lip residual", "lips from second detector px256",
    "jitter px256", "valid %",
)  # fmt: skip

INTRODUCTION = f"""## Real footage

The first {SECONDS} s of clips of the `test` split, one a person. Residual: mean absolute
difference, in code values, between the picture and the tracked surface's albedo under fitted light;
the albedo is the median of *other* blocks of frames (`benchmarks/tracking/residual.py`; the same
judge for all stages). The second detector is MediaPipe's landmarker v2: other weights and another
network than the bundled mesh that the fit used, of the same makers and the same scheme; the row
`detector` is the bundled mesh itself against it, the floor of this comparison."""


def section(place: Workplace) -> str:
    """A row for every clip and stage, and means."""
    with place.material("footage", "manifest.csv").open(newline="") as file:
        test = [row for row in csv.DictReader(file) if row["split"] == "test"]
    # The last of equal keys stays: reversed, that is a person's first clip.
    first = {row["person"]: row["file"][:-4] for row in reversed(test)}
    names = place.clips or tuple(first.values())[::-1]
    measured = {name: figures(place, name) for name in names}
    rows = [row(name, of, system) for name, of in measured.items() for system in of]
    systems = next(iter(measured.values()))
    means = [row("mean", {s: mean([of[s] for of in measured.values()])}, s) for s in systems]
    return "\n\n".join([INTRODUCTION, table(HEADINGS, [*means, *rows])])


def mean(of: list[dict[str, float]]) -> dict[str, float]:
    totals = {name: known_mean(np.array([each[name] for each in of])) for name in FIGURES}
    return {**totals, "frames": sum(each["frames"] for each in of)}


def row(name: str, of: Mapping[str, dict[str, float]], system: str) -> list[str]:
    found = of[system]
    return [
        name,
        f"{found['frames']:.0f}",
        system,
        figure(found["skin"]),
        figure(found["lips"]),
        figure(found["apart"]),
        figure(found["jitter"]),
        figure(100 * found["valid"], 0),
    ]


def figures(place: Workplace, name: str) -> dict[str, dict[str, float]]:
    """Figures of a clip by stage, from their file if they are of this version of the tracker."""
    kept = place.work / "real" / f"{name}.{place.version}.json"
    if not kept.exists():
        place.reporter.say(f"{name}: track and judge")
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_json(kept, measured(place, Clip.open(place.clip(name))))
    return {
        system: {key: np.nan if value is None else value for key, value in of.items()}
        for system, of in json.loads(kept.read_text()).items()
    }


def measured(place: Workplace, clip: Clip) -> dict[str, dict[str, float | None]]:
    """Figures by stage and of the bundled detector."""
    frames = range(min(len(clip), round(SECONDS * clip.fps)))
    second = second_lips(place, clip, frames)
    seen, model = sight(clip, frames), default_model()
    scale = px256(face_height(seen.landmarks))
    every = np.ones(len(frames), bool)
    found = {"detector": lip_figures(seen.landmarks.xy[:, :LANDMARKS], second, scale, every)}
    for stage, config in STAGES.items():
        track = track_sighting(clip, seen, model, config)
        vertices = camera_vertices(model, track.identity, track.motion)[:, :LANDMARKS]
        points = track.camera.pixels_from_camera(vertices).numpy()
        judged = residual(clip, model, track)
        lips = lip_figures(points, second, scale, track.valid.numpy())
        found[stage] = {**lips, "skin": judged.skin, "lips": judged.lips}
    return {
        system: {
            key: None if (value := of.get(key, np.nan)) != value else value
            for key in (*FIGURES, "frames")
        }
        for system, of in found.items()
    }


def lip_figures(
    points: np.ndarray, second: np.ndarray, scale: float, valid: np.ndarray
) -> dict[str, float]:
    """Distance from the second detector's lips [T 40 2], and jitter of all points, px256."""
    known = np.where(valid[:, None, None], points, np.nan)
    apart = np.linalg.norm(known[:, list(LIPS)] - second, axis=-1) / scale
    return {
        "apart": float(np.nanmean(apart)),
        "jitter": shake(known) / scale,
        "valid": float(np.isfinite(known).all((1, 2)).mean()),
        "frames": len(points),
    }


def second_lips(place: Workplace, clip: Clip, frames: range) -> np.ndarray:
    """The second detector's lips [T 40 2] in pixels; NaN where it finds no face."""
    task = place.material("models", "mp_face_landmarker_v2_with_blendshapes.task")
    lips = np.full((len(frames), len(LIPS), 2), np.nan)
    with FaceLandmarker.create_from_options(landmarker_options(task)) as landmarker:
        for index, frame in enumerate(clip.frames(frames)):
            image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(frame.rgb))
            result = landmarker.detect_for_video(image, round(1000 * index / clip.fps))
            if result.face_landmarks:
                marks = result.face_landmarks[0]
                lips[index] = [(marks[i].x * clip.width, marks[i].y * clip.height) for i in LIPS]
    return lips
