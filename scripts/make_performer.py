"""Make the bundled performer: a computed head that speaks, with everything about it known.

Needs the package espeak-ng and the ICT FaceKit model (MIT) converted to one npz; neither is part
of this repository, and only the clip, a line to dub and the truth are written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import tyro
from acting.gestures import Gestures, gestures
from acting.head import Head, load_head, placed_vertices, posed_vertices, seam_gap
from acting.lips import (
    LIP_LANDMARKS,
    SurfacePoints,
    corresponding_points,
    detected_lips,
    lip_candidates,
)
from acting.picture import Studio, build_studio, drawn_frame, grained
from acting.recording import write_clip, write_flac
from acting.speech import Line, Phoneme, speak
from acting.truth import Truth, save_truth
from acting.visemes import mouth_curves

from core.camera import Camera
from core.progress import Console, reported

FPS = Fraction(25)
SIZE = 512
FOCAL_PIXELS = 1180.0
DISTANCE_METRES = 0.76
LEAD_SECONDS = 0.2
GRAIN = 1.1 / 255
CLIP_TEXT = (
    "Before we film, both of you should watch my mouth move. "
    "The judge threw five green apples above a big blue boat. "
    "Who chose that very warm summer song? My father, maybe."
)
LINE_TEXT = "Maybe the weather will improve on Monday, so bring your father's old umbrella."
VOICE = {"voice": "en-us", "words_per_minute": 160, "pitch": 45, "pitch_range": 60}
# Faces at rest are not masks: lids a little lowered, corners of the mouth a little up.
CHARACTER = {"eyeSquint": 0.15, "mouthSmile": 0.06}
# Mouths and turns (pitch, yaw, degrees) that tell the lips' points apart, also in depth.
CALIBRATION: tuple[tuple[dict[str, float], tuple[float, float]], ...] = (
    ({"seal": 1.0}, (0, 0)),
    ({"seal": 1.0}, (3, -9)),
    ({"jawOpen": 0.10, "mouthLowerDown": 0.3}, (0, 0)),
    ({"jawOpen": 0.18, "mouthLowerDown": 0.3, "mouthUpperUp": 0.2}, (-4, 8)),
    ({"jawOpen": 0.30, "mouthLowerDown": 0.3}, (0, 0)),
    ({"jawOpen": 0.10, "mouthFunnel": 0.5}, (4, 7)),
    ({"jawOpen": 0.10, "mouthStretch": 0.4, "mouthLowerDown": 0.4}, (-3, -7)),
    ({"jawOpen": 0.22}, (0, 0)),
)


@dataclass(frozen=True)
class Options:
    ict: Path
    """ict_facekit.npz"""
    out: Path = Path(__file__).parent / "performer"
    """Folder for clip.mp4, line.flac and truth.safetensors"""
    identity: int = 3
    """Seed of the face"""
    seed: int = 8
    """Seed of its movement and of the grain"""


def main(options: Options) -> None:
    reporter = Console()
    torch.set_num_threads(1)  # small kernels: more threads only wait for each other
    clip_line, new_line = padded(speak(CLIP_TEXT, **VOICE)), speak(LINE_TEXT, **VOICE)
    head = load_head(options.ict, options.identity, strength=0.7)
    camera = Camera(FOCAL_PIXELS, (SIZE / 2, SIZE / 2), SIZE, SIZE)
    studio = build_studio(head, camera)

    lips, left = calibrated_lips(head, camera)
    reporter.say(f"MediaPipe's lips found on the head; {left:.2f} px of 1024 left over")
    local, moves = performance(head, clip_line, options.seed)
    rotation = torch.from_numpy(moves.rotation).float()
    translation = torch.from_numpy(moves.translation).float()
    placed = [
        placed_vertices(head, shape, turn, shift)
        for shape, turn, shift in zip(local, rotation, translation, strict=True)
    ]
    truth = Truth(
        camera=camera,
        rotation=rotation,
        translation=translation,
        lips_pixels=torch.stack([camera.pixels_from_camera(lips.on(v)) for v in placed]),
        opening_metres=torch.stack([seam_gap(head, shape).clamp(min=0) for shape in local]),
        lip_landmarks=LIP_LANDMARKS,
        phonemes=clip_line.phonemes,
        text=clip_line.text,
    )
    pictures = reported(filmed(studio, placed, options.seed), reporter, "film", len(placed))
    write_clip(options.out / "clip.mp4", pictures, FPS, clip_line.samples, clip_line.rate)
    write_flac(options.out / "line.flac", new_line.samples, new_line.rate)
    save_truth(options.out / "truth.safetensors", truth)


def padded(line: Line) -> Line:
    """The line after a moment of silence, and silence up to a whole number of frames."""
    lead = round(LEAD_SECONDS * line.rate)
    per_frame = int(line.rate / FPS)
    tail = -(lead + len(line.samples)) % per_frame + 4 * per_frame
    end = (lead + len(line.samples)) / line.rate
    spoken = [
        Phoneme(p.symbol, p.start + LEAD_SECONDS, p.end + LEAD_SECONDS) for p in line.phonemes
    ]
    return Line(
        line.text,
        np.pad(line.samples, (lead, tail)),
        line.rate,
        (
            Phoneme("", 0.0, spoken[0].start),
            *spoken,
            Phoneme("", end, end + tail / line.rate),
        ),
    )


def performance(head: Head, line: Line, seed: int) -> tuple[list[torch.Tensor], Gestures]:
    """Head-local vertices of every frame, taken at its middle, and the head's movement."""
    frames = int(line.seconds * FPS)
    times = (np.arange(frames) + 0.5) / float(FPS)
    moves = gestures(times, DISTANCE_METRES, seed)
    curves = {**mouth_curves(line.phonemes, times), **moves.controls}
    shapes = []
    for frame in range(frames):
        weights = {name: float(curve[frame]) for name, curve in curves.items()}
        for name, weight in CHARACTER.items():
            weights[name] = weights.get(name, 0.0) + weight
        shapes.append(posed_vertices(head, weights))
    return shapes, moves


def calibrated_lips(head: Head, camera: Camera) -> tuple[SurfacePoints, float]:
    """MediaPipe's lip landmarks as points of the skin, from still renders twice as large."""
    large = camera.cropped(0, 0, 2, 2 * camera.width, 2 * camera.height)
    studio = build_studio(head, large)
    poses = [
        placed_vertices(
            head,
            posed_vertices(head, {**CHARACTER, **weights}),
            torch.tensor([*turn, 0.0]).deg2rad(),
            torch.tensor([0.0, 0.0, -DISTANCE_METRES]),
        )
        for weights, turn in CALIBRATION
    ]
    stills = [eight_bit(drawn_frame(studio, pose)) for pose in poses]
    detections = detected_lips(stills, still=True)
    return corresponding_points(lip_candidates(head), poses, detections, large)


def filmed(studio: Studio, placed: list[torch.Tensor], seed: int) -> Iterator[np.ndarray]:
    """The clip's pictures in order."""
    for frame, vertices in enumerate(placed):
        yield eight_bit(grained(drawn_frame(studio, vertices), GRAIN, seed * 10_000 + frame))


def eight_bit(picture: torch.Tensor) -> np.ndarray:
    """Coded `[3 H W]` in [0, 1] as `[H W 3]` uint8."""
    return (picture.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
