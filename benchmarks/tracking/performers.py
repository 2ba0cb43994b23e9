"""The cast of `scripts.acting.cast`, filmed once: clips whose heads and lips are known exactly."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from core.camera import Camera
from core.progress import Reporter, reported
from face3d.morphable import default_model
from face3d.topology import CHIN, INNER_PAIRS
from face3d.tracker import track_clip
from media.clip import Clip
from scripts.acting.cast import Role
from scripts.acting.filming import Take, calibrated_lips, filmed, performed, truth_of
from scripts.acting.gestures import gestures
from scripts.acting.head import load_head
from scripts.acting.lips import LIP_LANDMARKS, SurfacePoints
from scripts.acting.recording import write_clip
from scripts.acting.retarget import retargeted
from scripts.acting.truth import Truth, load_truth, save_truth

FPS = Fraction(25)
SIZE = 512
FRAMES = 100
METRES_AT_ONE_SIDE = 0.33
"""Distance of a head whose lens is one side long: every face is about 230 px high."""
STRENGTH = 0.8
"""Standard deviations of the identity's coefficients."""
SOUND_RATE = 16000


@dataclass(frozen=True)
class Performer:
    """A filmed role."""

    name: str
    clip: Path
    truth: Truth


def performer(role: Role, ict: Path, driver: Path, work: Path, reporter: Reporter) -> Performer:
    """The role's clip and truth, filmed unless they lie in `work`.

    Raises InputError where the model or the driver cannot be read.
    """
    folder = work / role.name.replace(" ", "_")
    clip, truth = folder / "clip.mp4", folder / "truth.safetensors"
    if not truth.exists():
        take, points = played(role, ict, driver)
        pictures = filmed(take, role.look, role.identity)
        pictures = reported(pictures, reporter, f"film {role.name}", FRAMES)
        silence = np.zeros(int(FRAMES / FPS * SOUND_RATE), np.float32)
        write_clip(clip, pictures, FPS, silence, SOUND_RATE)
        save_truth(truth, truth_of(take, points))
    return Performer(role.name, clip, load_truth(truth))


def played(role: Role, ict: Path, driver: Path) -> tuple[Take, SurfacePoints]:
    """The role's take, and the skin points that stand for MediaPipe's lip landmarks."""
    torch.set_num_threads(1)  # small kernels: more threads only wait for each other
    head = load_head(ict, role.identity, STRENGTH)
    points, _ = calibrated_lips(head, role.look.palette)
    lips, chin, gap = tracked_lips(driver)
    times = (np.arange(FRAMES) + 0.5) / float(FPS)
    distance = METRES_AT_ONE_SIDE * role.focal_per_side
    moves = gestures(times, distance, role.identity, role.reach_degrees)
    curves = {**moves.controls, **retargeted(lips, chin, gap, head, points)}
    camera = Camera(role.focal_per_side * SIZE, (SIZE / 2, SIZE / 2), SIZE, SIZE)
    return Take(head, camera, performed(head, curves, FRAMES), moves), points


def tracked_lips(driver: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Head-local lips `[T 40 3]`, chin `[T 3]`, gap `[T]` (metres) of a real clip's first frames.

    The clip is tracked with the mean face, so the performer gets its motion and not its shape.
    """
    model = default_model()
    clip = Clip.open(driver)
    track = track_clip(clip, range(FRAMES), model)
    vertices = model.vertices(model.mean, track.motion.mouth, track.motion.upper).numpy()
    upper, lower = np.array(INNER_PAIRS).T
    gap = (vertices[:, upper, 1] - vertices[:, lower, 1]).mean(1)
    return vertices[:, list(LIP_LANDMARKS)], vertices[:, CHIN[0]], gap
