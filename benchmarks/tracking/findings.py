"""What a tracker says of a clip, in one form for all trackers, and the trackers.

Lips are pixels of the clip's picture at MediaPipe's 40 lip landmarks; rotations take a head's own
axes to camera axes and are compared up to one constant turn of those axes.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, process_time

import cv2
import mediapipe as mp
import numpy as np
from jaxtyping import Bool, Float
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision.core.vision_task_running_mode import VisionTaskRunningMode
from mediapipe.tasks.python.vision.face_landmarker import FaceLandmarker, FaceLandmarkerOptions

from core.camera import Camera
from core.rotation import matrix_from_axis_angle
from face3d.landmarks import FaceMesh
from face3d.morphable import MorphableModel, default_model
from face3d.track import Track, camera_vertices
from face3d.tracker import TrackerConfig, track_clip
from media.clip import Clip
from scripts.acting.lips import LIP_LANDMARKS

UPPER_MIDDLE, LOWER_MIDDLE = 13, 14
"""The middles of the inner lips."""
TO_OURS = np.diag([1.0, -1.0, -1.0])
"""OpenCV's camera axes (y down, z away) to ours."""


STRAIGHT = np.zeros(4)
"""A lens without distortion."""


@dataclass(frozen=True)
class Finding:
    """`rotation` [T 3 3], `lips` [T 40 2] pixels, `opening` [T] in any unit; NaN where nothing was
    found, and throughout where a tracker does not tell. `focal` in
    pixels; `wall` and `cpu` seconds."""

    rotation: Float[np.ndarray, "T 3 3"]
    lips: Float[np.ndarray, "T 40 2"]
    opening: Float[np.ndarray, " T"]
    confidence: Float[np.ndarray, " T"]
    valid: Bool[np.ndarray, " T"]
    focal: float = np.nan
    wall: float = 0.0
    cpu: float = 0.0

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **vars(self))

    @staticmethod
    def load(path: Path) -> "Finding":
        with np.load(path) as kept:
            arrays = {name: kept[name] for name in kept.files}
        return Finding(
            *(arrays[name] for name in ("rotation", "lips", "opening", "confidence", "valid")),
            *(float(arrays[name]) for name in ("focal", "wall", "cpu")),
        )


STAGES: Mapping[str, TrackerConfig] = {
    "landmarks": TrackerConfig(stage="landmarks"),
    "photometric": TrackerConfig(stage="photometric"),
}
"""Our tracker's stages."""

Tracker = Callable[[Clip, Camera], Finding]
"""Takes the clip and its true camera, which only peers that cannot do without it may look at."""


def timed(tracker: Tracker, clip: Clip, camera: Camera) -> Finding:
    """The finding with the time that it took."""
    wall, cpu = monotonic(), process_time()
    finding = tracker(clip, camera)
    return replace(finding, wall=monotonic() - wall, cpu=process_time() - cpu)


def ours(config: TrackerConfig, model: MorphableModel | None = None) -> Tracker:
    """Our tracker, with any face model."""

    def track(clip: Clip, camera: Camera) -> Finding:
        found = track_clip(clip, range(len(clip)), model, config)
        return finding_of(model or default_model(), found)

    return track


def finding_of(model: MorphableModel, track: Track) -> Finding:
    """A track in the common form."""
    vertices = camera_vertices(model, track.identity, track.motion)
    local = model.vertices(
        model.shape(track.identity.shape, track.identity.offset),
        track.motion.mouth,
        track.motion.upper,
    )
    return Finding(
        matrix_from_axis_angle(track.motion.rotation).double().numpy(),
        track.camera.pixels_from_camera(vertices[:, list(LIP_LANDMARKS)]).double().numpy(),
        (local[:, UPPER_MIDDLE, 1] - local[:, LOWER_MIDDLE, 1]).clamp(min=0).double().numpy(),
        track.confidence.double().numpy(),
        track.valid.numpy(),
        track.camera.focal,
    )


def detected(clip: Clip) -> np.ndarray:
    """MediaPipe's bundled face mesh, frame after frame: [T 478 2] pixels."""
    with closing(FaceMesh()) as mesh:
        found = [mesh.detect(frame.rgb) for frame in clip.frames()]
    return np.stack([np.full((478, 2), np.nan) if f is None else f[:, :2] for f in found])


def flat(points: np.ndarray, rotation: np.ndarray) -> Finding:
    """The finding of landmarks [T 478 2] without a model of the lips: the gap is in pixels."""
    known = np.isfinite(points).all((1, 2))
    gap = np.linalg.norm(points[:, UPPER_MIDDLE] - points[:, LOWER_MIDDLE], axis=-1)
    return Finding(
        rotation, points[:, list(LIP_LANDMARKS)].astype(np.float64), gap, known * 1.0, known
    )


def perspective_fit(canonical: Path) -> Tracker:
    """MediaPipe's landmarks, and its canonical face fitted to them by OpenCV's solvePnP through the
    true lens."""
    corners = [line.split()[1:4] for line in canonical.read_text().splitlines() if line[:2] == "v "]
    face = np.array(corners, np.float64)

    def fit(clip: Clip, camera: Camera) -> Finding:
        points = detected(clip)
        lens = np.array(
            [[camera.focal, 0, camera.centre[0]], [0, camera.focal, camera.centre[1]], [0, 0, 1]]
        )
        turns = np.full((len(points), 3, 3), np.nan)
        for index, seen in enumerate(points[:, : len(face)].astype(np.float64)):
            if np.isfinite(seen).all():
                _, turn, _ = cv2.solvePnP(face, seen, lens, STRAIGHT, flags=cv2.SOLVEPNP_SQPNP)
                turns[index] = TO_OURS @ cv2.Rodrigues(turn)[0]
        return flat(points, turns)

    return fit


def landmarker(task: Path) -> Tracker:
    """MediaPipe's newer landmarker with the head's transformation that it gives itself."""

    def follow(clip: Clip, camera: Camera) -> Finding:
        points = np.full((len(clip), 478, 2), np.nan)
        turns = np.full((len(clip), 3, 3), np.nan)
        with FaceLandmarker.create_from_options(landmarker_options(task)) as found:
            for index, frame in enumerate(clip.frames()):
                image = mp.Image(
                    image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(frame.rgb)
                )
                result = found.detect_for_video(image, round(1000 * index / clip.fps))
                if result.face_landmarks:
                    size = (clip.width, clip.height)
                    points[index] = [(p.x, p.y) for p in result.face_landmarks[0]]
                    points[index] *= size
                    u, _, vt = np.linalg.svd(result.facial_transformation_matrixes[0][:3, :3])
                    turns[index] = u @ vt
        return flat(points, turns)

    return follow


def landmarker_options(task: Path) -> FaceLandmarkerOptions:
    return FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(task)),
        running_mode=VisionTaskRunningMode.VIDEO,
        num_faces=1,
        output_facial_transformation_matrixes=True,
    )
