"""What is known exactly about the bundled performer's clip, and its file.

Pixel positions are of the 512-pixel picture; rotation and translation take head-local points to
camera space by the conventions of `core.camera`.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from core.camera import Camera
from core.serial import Schema, load_tensors, save_tensors

from .speech import Phoneme

SCHEMA = Schema("performer", 1)


@dataclass(frozen=True)
class Truth:
    """`T` frames, 40 lip points; `opening` is the gap between the inner lips' middles in metres."""

    camera: Camera
    rotation: Float[Tensor, "T 3"]
    translation: Float[Tensor, "T 3"]
    lips_pixels: Float[Tensor, "T 40 2"]
    opening_metres: Float[Tensor, " T"]
    lip_landmarks: tuple[int, ...]
    phonemes: tuple[Phoneme, ...]
    text: str


def save_truth(path: Path, truth: Truth) -> None:
    """Write `truth` to a safetensors file of kind `performer`."""
    save_tensors(
        path,
        SCHEMA,
        {
            "rotation": truth.rotation,
            "translation": truth.translation,
            "lips_pixels": truth.lips_pixels,
            "opening_metres": truth.opening_metres,
        },
        {
            "camera": asdict(truth.camera),
            "lip_landmarks": list(truth.lip_landmarks),
            "phonemes": [[p.symbol, round(p.start, 4), round(p.end, 4)] for p in truth.phonemes],
            "text": truth.text,
        },
    )


def load_truth(path: Path) -> Truth:
    """Read what `save_truth` wrote. Raises InputError for any other file."""
    tensors, header = load_tensors(path, SCHEMA)
    camera = header["camera"]
    return Truth(
        camera=Camera(**{**camera, "centre": tuple(camera["centre"])}),
        lip_landmarks=tuple(header["lip_landmarks"]),
        phonemes=tuple(Phoneme(*entry) for entry in header["phonemes"]),
        text=header["text"],
        **tensors,
    )
