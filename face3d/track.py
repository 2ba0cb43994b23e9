"""What a tracker finds in a clip, and the file that keeps it."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.camera import Camera
from core.rotation import matrix_from_axis_angle
from core.serial import Schema, load_tensors, save_tensors
from face3d.morphable import MorphableModel

SCHEMA = Schema("track", 3)

FACE_PIXELS = 192
"""Height in pixels of a face, chin to hairline, in a face crop: three quarters of 256."""


@dataclass(frozen=True)
class Crop:
    """The square of a frame, in its pixels, that a shot's faces stay in; shown `pixels` wide."""

    left: int
    top: int
    side: int
    pixels: int

    @property
    def scale(self) -> float:
        return self.pixels / self.side

    def camera(self, full: Camera) -> Camera:
        return full.cropped(self.left, self.top, self.scale, self.pixels, self.pixels)

    def finer(self, scale: int) -> "Crop":
        """The same square in so many times as many pixels a side."""
        return replace(self, pixels=scale * self.pixels)


@dataclass(frozen=True)
class Identity:
    """A person's closed-mouth face: coefficients, and what they leave over at the landmarks (m).

    `albedo` are the colours of `surface_samples`, where pictures have told them: other footage of
    the person is tracked to lie under the same skin. `teeth`: metres by which the upper teeth end
    higher than the average's; a tracker does not look for it, see `dental`.
    """

    shape: Float[Tensor, "S"]
    offset: Float[Tensor, "468 3"]
    albedo: Float[Tensor, "P 3"] | None = None
    teeth: float = 0.0


@dataclass(frozen=True)
class Motion:
    """Per frame: head pose (radians, metres, camera space) and the two expressions."""

    rotation: Float[Tensor, "T 3"]
    translation: Float[Tensor, "T 3"]
    mouth: Float[Tensor, "T M"]
    upper: Float[Tensor, "T U"]

    def __len__(self) -> int:
        return len(self.rotation)

    def __getitem__(self, frames: slice | Tensor) -> "Motion":
        return Motion(
            self.rotation[frames], self.translation[frames], self.mouth[frames], self.upper[frames]
        )

    def with_mouth(self, mouth: Float[Tensor, "T M"]) -> "Motion":
        """The same head and upper face saying something else."""
        return replace(self, mouth=mouth)


@dataclass(frozen=True)
class Photometric:
    """What pictures agreed on: albedo of `surface_samples`, the light on them (see `appearance`),
    and each frame's mean absolute difference from that (code values of 255; NaN without a face).

    `before` is the same difference for the landmarks' fit, with an albedo of its own where none was
    known.
    """

    albedo: Float[Tensor, "P 3"]
    light: Float[Tensor, "9 3"]
    before: Float[Tensor, "T"]
    after: Float[Tensor, "T"]

    def __getitem__(self, frames: slice) -> "Photometric":
        return replace(self, before=self.before[frames], after=self.after[frames])


@dataclass(frozen=True)
class Track:
    """A person in frames `start` to `start + T` of a clip.

    `valid` frames show a face that the mesh fits; `residual` is the landmarks' root mean square
    distance from it in px256; `confidence` in [0, 1] says how far a frame can be trusted; `shot`
    indexes `crops`. `photometric` is there where pictures took part, not only landmarks.
    """

    fps: Fraction
    start: int
    camera: Camera
    crops: tuple[Crop, ...]
    shot: Int[Tensor, "T"]
    identity: Identity
    motion: Motion
    valid: Bool[Tensor, "T"]
    residual: Float[Tensor, "T"]
    confidence: Float[Tensor, "T"]
    photometric: Photometric | None = None

    def __len__(self) -> int:
        return len(self.motion)

    def __getitem__(self, frames: slice) -> "Track":
        start, _, step = frames.indices(len(self))
        assert step == 1, "a track is cut into runs of frames"
        return replace(
            self,
            start=self.start + start,
            shot=self.shot[frames],
            motion=self.motion[frames],
            valid=self.valid[frames],
            residual=self.residual[frames],
            confidence=self.confidence[frames],
            photometric=self.photometric and self.photometric[frames],
        )

    def reasons(self) -> list[str]:
        """Why each frame is not valid; empty where it is."""
        found = torch.isfinite(self.residual).tolist()
        return [
            "" if ok else "face not clear" if seen else "no face"
            for ok, seen in zip(self.valid.tolist(), found, strict=True)
        ]

    def crop(self, frame: int) -> Crop:
        return self.crops[int(self.shot[frame])]

    def save(self, path: Path, about: dict[str, Any] | None = None) -> None:
        tensors = {
            "shot": self.shot,
            "identity_shape": self.identity.shape,
            "identity_offset": self.identity.offset,
            "rotation": self.motion.rotation,
            "translation": self.motion.translation,
            "mouth": self.motion.mouth,
            "upper": self.motion.upper,
            "valid": self.valid,
            "residual": self.residual,
            "confidence": self.confidence,
        }
        if self.photometric:
            tensors |= {f"photometric_{k}": v for k, v in vars(self.photometric).items()}
        header = {
            "fps": str(self.fps),
            "start": self.start,
            "camera": vars(self.camera),
            "crops": [vars(crop) for crop in self.crops],
            "about": about or {},
        }
        save_tensors(path, SCHEMA, tensors, header)

    @staticmethod
    def load(path: Path) -> "Track":
        """Raises InputError for a file that is not a track of this schema."""
        tensors, header = load_tensors(path, SCHEMA)
        camera = header["camera"]
        pictures = {
            name.removeprefix("photometric_"): value
            for name, value in tensors.items()
            if name.startswith("photometric_")
        }
        return Track(
            fps=Fraction(header["fps"]),
            start=header["start"],
            camera=Camera(**{**camera, "centre": tuple(camera["centre"])}),
            crops=tuple(Crop(**crop) for crop in header["crops"]),
            shot=tensors["shot"],
            identity=Identity(
                tensors["identity_shape"], tensors["identity_offset"], pictures.get("albedo")
            ),
            motion=Motion(*(tensors[k] for k in ("rotation", "translation", "mouth", "upper"))),
            valid=tensors["valid"],
            residual=tensors["residual"],
            confidence=tensors["confidence"],
            photometric=Photometric(**pictures) if pictures else None,
        )


def camera_vertices(
    model: MorphableModel, identity: Identity, motion: Motion
) -> Float[Tensor, "T V 3"]:
    """Vertices of every frame in camera space, metres."""
    shape = model.shape(identity.shape, identity.offset)
    raised = identity.teeth * model.upper_arc[:, None] * shape.new_tensor([0.0, 1.0, 0.0])
    local = model.vertices(shape + raised, motion.mouth, motion.upper)
    rotation = matrix_from_axis_angle(motion.rotation)
    return torch.einsum("tij,tvj->tvi", rotation, local) + motion.translation[:, None]
