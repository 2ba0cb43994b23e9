"""Track a face through a clip: landmarks, then identity and camera, then motion.

    landmarks ─▶ closed-form pose ─▶ identity + focal + offset (key frames, jointly)
              ─▶ pose, mouth, upper face of every frame (banded Gauss-Newton over time)

Frames without a face take part only through time: they are interpolated and marked invalid.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from core.camera import Camera
from core.errors import DivergedError
from core.progress import Reporter
from core.rotation import axis_angle_from_matrix
from face3d.confidence import confidence_of
from face3d.landmarks import Landmarks
from face3d.morphable import MorphableModel, default_model
from face3d.sighting import Sighting, sight
from face3d.solve import (
    Fit,
    Observation,
    Smoothness,
    joint_step,
    linearise,
    motion_step,
    offset_of,
)
from face3d.topology import JAW_LINE, LANDMARKS, LIPS, STABLE
from face3d.track import FACE_PIXELS, Crop, Identity, Motion, Track
from media.clip import Clip


@dataclass(frozen=True)
class TrackerConfig:
    """How a face is tracked; the defaults suit speech at 22 to 60 frames a second."""

    key_frames: int = 48
    """Frames that identity and camera are fitted to, spread over the clip."""
    joint_steps: int = 12
    motion_steps: int = 5
    window: int = 240
    """Frames solved at once; memory does not grow with the clip beyond them."""
    overlap: int = 12
    focal_per_side: float = 2.0
    """Expected focal length over the longer image side, and its log-deviation. Landmarks alone tell
    little of it and pull it towards infinity, which costs head rotation: hence the firm prior."""
    focal_sigma: float = 0.02
    offset_millimetres: float = 2.0
    sigma_px256: float = 2.5
    """A landmark's expected error; larger than its noise, because neighbours err together."""
    max_residual_px256: float = 6.0
    """Frames that the mesh fits worse than this are marked invalid."""
    margin: float = 0.25
    """Room around the union of all faces of a shot, as a share of the face's height."""


SMOOTH_25FPS = Smoothness(rotation=0.004, across=0.0006, depth=0.004, mouth=0.8, upper=0.6)
"""Second differences of real heads between frames at 25 fps; other rates scale by their square.

Depth is a share of the distance: it shows as the face's scale.
"""


def track_clip(
    clip: Clip,
    frames: range,
    model: MorphableModel | None = None,
    config: TrackerConfig = TrackerConfig(),
    identity: Identity | None = None,
    reporter: Reporter | None = None,
) -> Track:
    """Track the face in `frames` of a clip. A known `identity` is kept, not fitted again.

    Raises InputError where no face is found.
    """
    return track_sighting(clip, sight(clip, frames, reporter), model, config, identity)


def track_sighting(
    clip: Clip,
    seen: Sighting,
    model: MorphableModel | None = None,
    config: TrackerConfig = TrackerConfig(),
    identity: Identity | None = None,
) -> Track:
    """The track of what was seen of a clip; see `track_clip`."""
    return track_landmarks(
        seen.landmarks,
        clip.width,
        clip.height,
        clip.fps,
        seen.start,
        list(seen.cuts),
        model,
        config,
        identity,
    )


def track_landmarks(
    landmarks: Landmarks,
    width: int,
    height: int,
    fps: Fraction,
    start: int = 0,
    cuts: list[int] | None = None,
    model: MorphableModel | None = None,
    config: TrackerConfig = TrackerConfig(),
    identity: Identity | None = None,
) -> Track:
    """The track of detected landmarks; see `track_clip`."""
    model = (model or default_model()).to(torch.float64)
    pixels_per_px256 = face_height(landmarks) / FACE_PIXELS
    crops, shot = union_crops(landmarks, cuts or [], width, height, config.margin)
    seen = observe(landmarks, config.sigma_px256 * pixels_per_px256)
    focal = config.focal_per_side * max(width, height)
    camera = Camera(focal, (width / 2, height / 2), width, height)
    fit = initial_fit(model, landmarks, camera, identity)
    if identity is None:
        fit = fit_identity(model, fit, seen, landmarks.found, config)
    else:
        fit = replace(fit, identity=as_double(identity))
    fit = fit_motion(model, fit, seen, shot, fps, config)
    error = linearise(model, fit, seen, shared=False).residual.square().sum(-1).mean(-1).sqrt()
    residual = error / pixels_per_px256
    if not bool(torch.isfinite(fit.motion.mouth).all()):
        raise DivergedError(f"the tracker diverged on {len(landmarks)} frames (mouth not finite).")
    found = torch.from_numpy(landmarks.found)
    residual = torch.where(found, residual, torch.inf).float()
    return Track(
        fps=fps,
        start=start,
        camera=fit.camera,
        crops=crops,
        shot=torch.from_numpy(shot),
        identity=Identity(fit.identity.shape.float(), fit.identity.offset.float()),
        motion=as_float(fit.motion),
        valid=found & (residual < config.max_residual_px256),
        residual=residual,
        confidence=confidence_of(residual),
    )


def as_double(identity: Identity) -> Identity:
    return Identity(identity.shape.double(), identity.offset.double())


def as_float(motion: Motion) -> Motion:
    return Motion(*(v.float() for v in vars(motion).values()))


def face_height(landmarks: Landmarks) -> float:
    """Median height of the face in pixels, chin to hairline."""
    y = landmarks.xy[landmarks.found][..., 1]
    return float(np.median(y.max(1) - y.min(1)))


def union_crops(
    landmarks: Landmarks, cuts: list[int], width: int, height: int, margin: float
) -> tuple[tuple[Crop, ...], np.ndarray]:
    """One crop a shot that all its faces fit into, and each frame's shot.

    A shot without a face gets the whole clip's crop: nothing in it will be rendered.
    """
    shot = np.zeros(len(landmarks), np.int64)
    for cut in cuts:
        shot[cut:] += 1
    tall = face_height(landmarks)
    crops = []
    for index in range(len(cuts) + 1):
        inside = landmarks.found & (shot == index)
        xy = landmarks.xy[inside if inside.any() else landmarks.found].reshape(-1, 2)
        low, high = xy.min(0) - margin * tall, xy.max(0) + margin * tall
        side = int(np.ceil((high - low).max()))
        left, top = np.round((low + high - side) / 2).astype(int)
        pixels = int(np.ceil(side * FACE_PIXELS / tall / 16)) * 16
        crops.append(Crop(int(left), int(top), side, pixels))
    return tuple(crops), shot


def landmark_weights() -> np.ndarray:
    """Trust in each landmark: lips and stable points count more, the sliding jaw line less."""
    weights = np.full(LANDMARKS, 0.6)
    weights[list(JAW_LINE)] = 0.15
    weights[list(STABLE)] = 1.5
    weights[list(LIPS)] = 2.5
    return weights


def observe(landmarks: Landmarks, sigma: float) -> Observation:
    """Landmarks of the face surface as observations; absent faces weigh nothing."""
    found = landmarks.found[:, None]
    weight = np.where(found, landmark_weights(), 0.0)
    xy = np.where(found[..., None], landmarks.xy[:, :LANDMARKS], 0.0)
    return Observation(torch.from_numpy(xy).double(), torch.from_numpy(weight), sigma)


def initial_fit(
    model: MorphableModel, landmarks: Landmarks, camera: Camera, identity: Identity | None
) -> Fit:
    """Pose from a similarity between detected points, depth included, and the mean face.

    Frames without a face take the pose interpolated between their neighbours.
    """
    start = as_double(identity) if identity else Identity(
        torch.zeros(len(model.identity), dtype=torch.float64),
        torch.zeros(LANDMARKS, 3, dtype=torch.float64),
    )  # fmt: skip
    face = model.shape(start.shape, start.offset).numpy()[list(STABLE)]
    found = landmarks[landmarks.found]
    points = np.concatenate([found.xy, found.depth[..., None]], -1)[:, list(STABLE)]
    points = points.astype(np.float64) * np.array([1.0, -1.0, 1.0])
    a = face - face.mean(0)
    middle = points.mean(1)
    b = points - middle[:, None]
    u, s, vt = np.linalg.svd(np.einsum("tni,nj->tij", b, a))
    flip = np.ones_like(s)
    flip[:, 2] = np.linalg.det(u @ vt)
    rotation = (u * flip[:, None]) @ vt
    scale = (s * flip).sum(-1) / (a**2).sum()
    depth = camera.focal / scale
    x = (middle[:, 0] - camera.centre[0]) / scale
    y = (middle[:, 1] + camera.centre[1]) / scale
    centre = np.stack([x, y, -depth], -1) - np.einsum("tij,j->ti", rotation, face.mean(0))
    turn = axis_angle_from_matrix(torch.from_numpy(rotation)).numpy()
    times, known = np.arange(len(landmarks)), np.flatnonzero(landmarks.found)

    def filled(values: np.ndarray) -> Tensor:
        return torch.from_numpy(
            np.stack([np.interp(times, known, column) for column in values.T], -1)
        )

    def zeros(basis: Tensor) -> Tensor:
        return torch.zeros(len(landmarks), len(basis), dtype=torch.float64)

    motion = Motion(filled(turn), filled(centre), zeros(model.mouth), zeros(model.upper))
    return Fit(camera, start, motion)


def fit_identity(
    model: MorphableModel, fit: Fit, seen: Observation, found: np.ndarray, config: TrackerConfig
) -> Fit:
    """Identity, focal length and offset on key frames; the other frames keep their pose."""
    known = np.flatnonzero(found)
    pick = known[np.unique(np.linspace(0, len(known) - 1, config.key_frames).astype(int))]
    keys = Observation(seen.xy[pick], seen.weight[pick], seen.sigma)
    guess = fit.camera.focal
    part = Fit(fit.camera, fit.identity, fit.motion[torch.from_numpy(pick)])
    for _ in range(config.joint_steps):
        part = joint_step(model, part, keys, config.focal_sigma, guess)
    offset = offset_of(model, part, keys, config.offset_millimetres / 1000)
    deeper = fit.motion.translation.clone()
    deeper[:, 2] *= part.camera.focal / guess
    motion = replace(fit.motion, translation=deeper)
    return Fit(part.camera, replace(part.identity, offset=offset), motion)


def windows(total: int, size: int, overlap: int) -> Iterator[tuple[int, int, int]]:
    """Runs (start, known, stop) that tile `total` frames; `known` frames repeat the run before."""
    start = 0
    while True:
        stop = min(total, start + size)
        yield start, (0 if start == 0 else overlap), stop
        if stop == total:
            return
        start = stop - overlap


def fit_motion(
    model: MorphableModel,
    fit: Fit,
    seen: Observation,
    shot: np.ndarray,
    fps: Fraction,
    config: TrackerConfig,
) -> Fit:
    """Every frame's motion, window after window; a window's first frames are the last one's."""
    slow = float(25 / fps) ** 2
    smooth = Smoothness(**{name: value * slow for name, value in vars(SMOOTH_25FPS).items()})
    distance = float(fit.motion.translation[:, 2].abs().median())
    smooth = replace(smooth, depth=smooth.depth * distance)
    solved: list[Motion] = []
    for start, known, stop in windows(len(shot), config.window, config.overlap):
        here = slice(start, stop)
        motion = fit.motion[here]
        if known:
            past = Motion(*(v[-known:] for v in vars(solved[-1]).values()))
            motion = _joined([past, motion[known:]])
        part = replace(fit, motion=motion)
        look = Observation(seen.xy[here], seen.weight[here], seen.sigma)
        linked = np.concatenate([[False], shot[here][1:] == shot[here][:-1]])
        for _ in range(config.motion_steps):
            part = motion_step(model, part, look, smooth, linked, known // 2)
        # The overlap's second half had no future when it was solved first: it is replaced.
        if known:
            solved[-1] = solved[-1][: len(solved[-1]) - known]
        solved.append(part.motion)
    return replace(fit, motion=_joined(solved))


def _joined(parts: list[Motion]) -> Motion:
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Motion(*(torch.cat(column) for column in columns))
