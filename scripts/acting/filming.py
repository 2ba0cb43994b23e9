"""A take: a head with its face moving and its movement through space, filmed and known exactly."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.camera import Camera

from .gestures import Gestures
from .head import Head, placed_vertices, posed_vertices, seam_gap
from .light import LIGHTING, Lighting
from .lips import LIP_LANDMARKS, SurfacePoints, corresponding_points, detected_lips, lip_candidates
from .paint import PALETTE, Palette
from .picture import build_studio, drawn_frame, grained
from .speech import Phoneme
from .truth import Truth

STILL_CAMERA = Camera(2360.0, (512.0, 512.0), 1024, 1024)
STILL_METRES = 0.76
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
class Look:
    """Skin and light of a take, and how strong the sensor's noise is (share of white)."""

    palette: Palette = PALETTE
    lighting: Lighting = LIGHTING
    grain: float = 1.1 / 255


@dataclass(frozen=True)
class Take:
    """Head-local vertices of every frame, and where the head is."""

    head: Head
    camera: Camera
    local: list[Float[Tensor, "V 3"]]
    moves: Gestures

    def placed(self) -> list[Float[Tensor, "V 3"]]:
        """Camera-space vertices of every frame."""
        turns = torch.from_numpy(self.moves.rotation).float()
        shifts = torch.from_numpy(self.moves.translation).float()
        return [
            placed_vertices(self.head, shape, turn, shift)
            for shape, turn, shift in zip(self.local, turns, shifts, strict=True)
        ]


def performed(head: Head, curves: dict[str, np.ndarray], frames: int) -> list[Tensor]:
    """Head-local vertices under control curves `[T]`, the head's character added."""
    shapes = []
    for frame in range(frames):
        weights = {name: float(curve[frame]) for name, curve in curves.items()}
        for name, weight in CHARACTER.items():
            weights[name] = weights.get(name, 0.0) + weight
        shapes.append(posed_vertices(head, weights))
    return shapes


def filmed(take: Take, look: Look, seed: int) -> Iterator[np.ndarray]:
    """The take's pictures in order, `[H W 3]` uint8."""
    studio = build_studio(take.head, take.camera, look.palette, look.lighting)
    for frame, vertices in enumerate(take.placed()):
        yield eight_bit(grained(drawn_frame(studio, vertices), look.grain, seed * 10_000 + frame))


def truth_of(
    take: Take, lips: SurfacePoints, phonemes: tuple[Phoneme, ...] = (), text: str = ""
) -> Truth:
    """What is known of a take; `lips` are the points that stand for MediaPipe's lip landmarks."""
    return Truth(
        camera=take.camera,
        rotation=torch.from_numpy(take.moves.rotation).float(),
        translation=torch.from_numpy(take.moves.translation).float(),
        lips_pixels=torch.stack(
            [take.camera.pixels_from_camera(lips.on(vertices)) for vertices in take.placed()]
        ),
        opening_metres=torch.stack(
            [seam_gap(take.head, shape).clamp(min=0) for shape in take.local]
        ),
        lip_landmarks=LIP_LANDMARKS,
        phonemes=phonemes,
        text=text,
    )


def calibrated_lips(head: Head, palette: Palette) -> tuple[SurfacePoints, float]:
    """MediaPipe's lip landmarks as points of the skin, from still renders in a standard light.

    Also the mean distance that is left between them and the detections, pixels of 1024.
    """
    studio = build_studio(head, STILL_CAMERA, palette, LIGHTING)
    poses = [
        placed_vertices(
            head,
            posed_vertices(head, {**CHARACTER, **weights}),
            torch.tensor([*turn, 0.0]).deg2rad(),
            torch.tensor([0.0, 0.0, -STILL_METRES]),
        )
        for weights, turn in CALIBRATION
    ]
    stills = [eight_bit(drawn_frame(studio, pose)) for pose in poses]
    detections = detected_lips(stills, still=True)
    return corresponding_points(lip_candidates(head), poses, detections, STILL_CAMERA)


def eight_bit(picture: Float[Tensor, "3 H W"]) -> np.ndarray:
    """Coded `[3 H W]` in [0, 1] as `[H W 3]` uint8."""
    return (picture.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
