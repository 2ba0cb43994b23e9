"""Track a face through a clip: landmarks, then identity and camera, then motion.

    landmarks ─▶ closed-form pose ─▶ identity + focal + offset (key frames, jointly)
              ─▶ pose, mouth, upper face of every frame (banded Gauss-Newton over time)
              ─▶ the same once more, against the pictures (see `refine`)

Frames without a face take part only through time: they are interpolated and marked invalid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from core.camera import Camera
from core.errors import DivergedError
from core.progress import Reporter
from core.rotation import axis_angle_from_matrix
from face3d.confidence import default_calibration
from face3d.evidence import Evidence
from face3d.initialiser import Initialiser
from face3d.landmarks import Landmarks
from face3d.likeness import likeness_of
from face3d.morphable import MorphableModel, default_model
from face3d.motion import Runs, fit_motion
from face3d.observed import Observed
from face3d.refine import Refinement, refined
from face3d.sighting import Sighting, sight
from face3d.similarity import similarity
from face3d.solve import (
    Fit,
    joint_step,
    offset_of,
    projected,
)
from face3d.topology import LANDMARKS, STABLE
from face3d.track import FACE_PIXELS, Crop, Identity, Motion, Track
from media.clip import Clip

Stage = Literal["landmarks", "photometric"]


@dataclass(frozen=True)
class TrackerConfig:
    """How a face is tracked; the defaults suit speech at 22 to 60 frames a second."""

    key_frames: int = 48
    """Frames that identity and camera are fitted to, spread over the clip."""
    joint_steps: int = 12
    runs: Runs = field(default_factory=Runs)
    stage: Stage = "photometric"
    """Whether the pictures are heard as well, or the landmarks alone."""
    refinement: Refinement = field(default_factory=Refinement)
    focal_per_side: float = 2.0
    """Expected focal length over the longer image side, and its log-deviation. Landmarks alone tell
    little of it and pull it towards infinity, which costs head rotation: hence the firm prior."""
    focal_sigma: float = 0.02
    offset_millimetres: float = 2.0
    sigma_px256: float = 2.5
    """A landmark's expected error; larger than its noise, because neighbours err together."""
    max_residual_px256: float = 6.0
    """Frames that the mesh fits worse than this are marked invalid."""
    min_confidence: float = 0.3
    """So are those whose lips are right with less than this probability, see `confidence`."""
    margin: float = 0.25
    """Room around the union of all faces of a shot, as a share of the face's height."""


def track_clip(
    clip: Clip,
    frames: range,
    model: MorphableModel | None = None,
    config: TrackerConfig = TrackerConfig(),
    identity: Identity | None = None,
    reporter: Reporter | None = None,
    initialiser: Initialiser | None = None,
) -> Track:
    """Track the face in `frames` of a clip. A known `identity` is kept, not fitted again.

    Raises InputError where no face is found.
    """
    model = model or default_model()
    known = None if identity is None else likeness_of(model, identity)
    seen = sight(clip, frames, reporter, known)
    if initialiser is not None:
        seen = initialiser(clip, seen)
    return track_sighting(clip, seen, model, config, identity, reporter=reporter)


def track_clips(
    footage: Sequence[tuple[Clip, range]],
    model: MorphableModel | None = None,
    config: TrackerConfig = TrackerConfig(),
    reporter: Reporter | None = None,
) -> tuple[Track, ...]:
    """Tracks of one person in several clips: one identity for all, a camera for each.

    Raises InputError where a clip shows no face.
    """
    if len(footage) == 1:
        return (track_clip(*footage[0], model, config, reporter=reporter),)
    sightings = [sight(clip, frames, reporter) for clip, frames in footage]
    double = (model or default_model()).to(torch.float64)
    begun = [
        begin(double, seen.landmarks, guessed_camera(clip.width, clip.height, config), config)
        for (clip, _), seen in zip(footage, sightings, strict=True)
    ]
    fits = fit_identity(double, [fit for fit, _ in begun], [look for _, look in begun], config)
    tracks: list[Track] = []
    for (clip, _), seen, fit in zip(footage, sightings, fits, strict=True):
        skin = tracks[0].identity.albedo if tracks else None
        who = replace(fit.identity, albedo=skin)
        tracks.append(track_sighting(clip, seen, model, config, who, fit.camera, reporter))
    return tuple(tracks)


def track_sighting(
    clip: Clip,
    seen: Sighting,
    model: MorphableModel | None = None,
    config: TrackerConfig = TrackerConfig(),
    identity: Identity | None = None,
    camera: Camera | None = None,
    reporter: Reporter | None = None,
) -> Track:
    """The track of what was seen of a clip; see `track_clip`. A known camera is kept as well."""
    track = track_landmarks(
        seen.landmarks,
        clip.width,
        clip.height,
        clip.fps,
        seen.start,
        list(seen.cuts),
        model,
        config,
        identity,
        camera,
    )
    track = judged(track, seen.evidence, config)
    if config.stage == "landmarks":
        return track
    sigma = config.sigma_px256 * face_height(seen.landmarks) / FACE_PIXELS
    return refined(
        clip,
        track,
        Observed(seen.landmarks, sigma),
        model or default_model(),
        guessed_camera(clip.width, clip.height, config).focal if identity is None else None,
        config.refinement,
        reporter,
    )


def judged(track: Track, evidence: Evidence | None, config: TrackerConfig) -> Track:
    """The track with the confidence that its pictures give; doubtful frames are not valid."""
    if evidence is None:
        return track
    sure = torch.from_numpy(default_calibration().confidence(evidence)).float()
    sure = torch.where(track.valid, sure, 0.0)
    return replace(track, confidence=sure, valid=sure >= config.min_confidence)


def guessed_camera(width: int, height: int, config: TrackerConfig) -> Camera:
    focal = config.focal_per_side * max(width, height)
    return Camera(focal, (width / 2, height / 2), width, height)


def begin(
    model: MorphableModel,
    landmarks: Landmarks,
    camera: Camera,
    config: TrackerConfig,
    identity: Identity | None = None,
) -> tuple[Fit, Observed]:
    """The fit that everything starts from, and what it is to explain."""
    sigma = config.sigma_px256 * face_height(landmarks) / FACE_PIXELS
    return initial_fit(model, landmarks, camera, identity), Observed(landmarks, sigma)


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
    camera: Camera | None = None,
) -> Track:
    """The track of detected landmarks; see `track_sighting`."""
    model = (model or default_model()).to(torch.float64)
    pixels_per_px256 = face_height(landmarks) / FACE_PIXELS
    crops, shot = union_crops(landmarks, cuts or [], width, height, config.margin)
    camera = camera or guessed_camera(width, height, config)
    fit, seen = begin(model, landmarks, camera, config, identity)
    if identity is None:
        [fit] = fit_identity(model, [fit], [seen], config)
    else:
        fit = replace(fit, identity=as_double(identity))
    fit = fit_motion(model, fit, seen, shot, fps, config.runs)
    residual = landmark_errors(model, fit, seen, config.runs) / pixels_per_px256
    if not bool(torch.isfinite(fit.motion.mouth).all()):
        raise DivergedError(f"the tracker diverged on {len(landmarks)} frames (mouth not finite).")
    found = torch.from_numpy(landmarks.found)
    residual = torch.where(found, residual, torch.inf).float()
    fits = found & (residual < config.max_residual_px256)
    return Track(
        fps=fps,
        start=start,
        camera=fit.camera,
        crops=crops,
        shot=torch.from_numpy(shot),
        identity=Identity(
            fit.identity.shape.float(),
            fit.identity.offset.float(),
            None if identity is None else identity.albedo,
        ),
        motion=as_float(fit.motion),
        valid=fits,
        residual=residual,
        confidence=fits.float(),
    )


def landmark_errors(model: MorphableModel, fit: Fit, seen: Observed, runs: Runs) -> Tensor:
    """Root mean square distance of each frame's landmarks from the mesh [T], pixels."""
    errors = torch.empty(len(seen), dtype=torch.float64)
    for start in range(0, len(seen), runs.size):
        here = slice(start, start + runs.size)
        part = replace(fit, motion=fit.motion[here])
        off = projected(model, part, seen[here]).residual
        errors[here] = off.square().sum(-1).mean(-1).sqrt()
    return errors


def as_double(identity: Identity) -> Identity:
    return Identity(identity.shape.double(), identity.offset.double())


def as_float(motion: Motion) -> Motion:
    return Motion(*(v.float() for v in vars(motion).values()))


def face_height(landmarks: Landmarks) -> float:
    """Median height of the face in pixels, chin to hairline."""
    y = landmarks.xy[..., 1]
    return float(np.nanmedian(y.max(1) - y.min(1)))


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
    lowest, highest = landmarks.xy.min(1), landmarks.xy.max(1)
    crops = []
    for index in range(len(cuts) + 1):
        inside = landmarks.found & (shot == index)
        inside = inside if inside.any() else landmarks.found
        low = lowest[inside].min(0) - margin * tall
        high = highest[inside].max(0) + margin * tall
        side = int(np.ceil((high - low).max()))
        left, top = np.round((low + high - side) / 2).astype(int)
        pixels = int(np.ceil(side * FACE_PIXELS / tall / 16)) * 16
        crops.append(Crop(int(left), int(top), side, pixels))
    return tuple(crops), shot


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
    found, stable = landmarks.found[:, None].nonzero()[0], list(STABLE)
    at = found[:, None], np.array(stable)
    points = np.concatenate([landmarks.xy[at], landmarks.depth[at][..., None]], -1)
    points = points.astype(np.float64) * np.array([1.0, -1.0, 1.0])
    laid = similarity(face, points)
    middle = points.mean(1)
    x = (middle[:, 0] - camera.centre[0]) / laid.scale
    y = (middle[:, 1] + camera.centre[1]) / laid.scale
    depth = camera.focal / laid.scale
    arm = np.einsum("tij,j->ti", laid.rotation, face.mean(0))
    centre = np.stack([x, y, -depth], -1) - arm
    turn = axis_angle_from_matrix(torch.from_numpy(laid.rotation)).numpy()
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
    model: MorphableModel,
    fits: Sequence[Fit],
    seen: Sequence[Observed],
    config: TrackerConfig,
) -> list[Fit]:
    """One identity and offset, and each clip's focal length, on key frames of all clips.

    The other frames keep their pose, moved as the focal length asks.
    """
    many = max(config.key_frames // len(fits), 12)
    picks = [_spread(torch.from_numpy(look.landmarks.found).nonzero()[:, 0], many) for look in seen]
    keys = [look[pick] for look, pick in zip(seen, picks, strict=True)]
    guesses = [fit.camera.focal for fit in fits]
    parts = [replace(fit, motion=fit.motion[pick]) for fit, pick in zip(fits, picks, strict=True)]
    for _ in range(config.joint_steps):
        parts = joint_step(model, parts, keys, config.focal_sigma, guesses)
    offset = offset_of(model, parts, keys, config.offset_millimetres / 1000)
    identity = replace(parts[0].identity, offset=offset)
    return [
        Fit(part.camera, identity, _deeper(fit.motion, part.camera.focal / fit.camera.focal))
        for fit, part in zip(fits, parts, strict=True)
    ]


def _spread(frames: Tensor, limit: int) -> Tensor:
    return frames[torch.linspace(0, len(frames) - 1, limit).long().unique()]


def _deeper(motion: Motion, times: float) -> Motion:
    translation = motion.translation.clone()
    translation[:, 2] *= times
    return replace(motion, translation=translation)
