"""The morphable model: coefficients to vertices.

    vertices = mean + offset + identity · s + mouth · m + upper · u

Every basis vector is scaled to one standard deviation of its coefficient, in metres. Mouth and
upper-face expression are separate bases, so that dubbing replaces `m` and nothing else. The first
468 vertices are MediaPipe's; the rest is our anatomy (skirt, dental arcs, oral cavity).
"""

from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.serial import Schema, load_tensors, save_tensors
from face3d.anatomy import UPPER_ARC_V

SCHEMA = Schema("morphable-model", 1)


@dataclass(frozen=True)
class MorphableModel:
    """Bases in metres, head-local axes.

    `lower_face` marks what a dub repaints, `inside` the teeth and the oral cavity; `attachment`
    says how a change of the 468 landmark vertices' shape carries over to the N further ones.
    """

    mean: Float[Tensor, "V 3"]
    identity: Float[Tensor, "S V 3"]
    mouth: Float[Tensor, "M V 3"]
    upper: Float[Tensor, "U V 3"]
    triangles: Int[Tensor, "F 3"]
    uv: Float[Tensor, "V 2"]
    lower_face: Bool[Tensor, "V"]
    inside: Bool[Tensor, "V"]
    attachment: Float[Tensor, "N 468"]
    about: dict[str, Any]

    def __post_init__(self) -> None:
        count = len(self.mean)
        assert int(self.triangles.max()) < count, "a triangle names a vertex that is not there"
        assert self.uv.min() >= 0, "uv below 0"
        assert self.uv.max() <= 1, "uv above 1"

    @property
    def upper_arc(self) -> Bool[Tensor, "V"]:
        """The upper teeth: rows from the gums to the edge."""
        u, v = self.uv.T
        return self.inside & (u < 0.5) & (v < UPPER_ARC_V[1] + 0.01)

    def shape(
        self, identity: Float[Tensor, "S"], offset: Float[Tensor, "468 3"] | None = None
    ) -> Float[Tensor, "V 3"]:
        """The person's closed-mouth face."""
        shape = self.mean + torch.einsum("s,svc->vc", identity, self.identity)
        if offset is None:
            return shape
        return shape + torch.cat([offset, self.attachment @ offset])

    def vertices(
        self,
        shape: Float[Tensor, "V 3"],
        mouth: Float[Tensor, "T M"],
        upper: Float[Tensor, "T U"],
    ) -> Float[Tensor, "T V 3"]:
        """Head-local vertices of every frame of a person's face (`shape`)."""
        moved = torch.einsum("tm,mvc->tvc", mouth, self.mouth)
        return shape + moved + torch.einsum("tu,uvc->tvc", upper, self.upper)

    def to(self, target: torch.device | torch.dtype) -> "MorphableModel":
        """The same model on another device or in another float type."""
        moved = {}
        for field in fields(self):
            value = getattr(self, field.name)
            is_index = isinstance(value, Tensor) and not value.is_floating_point()
            if isinstance(value, Tensor) and not (is_index and isinstance(target, torch.dtype)):
                value = value.to(target)
            moved[field.name] = value
        return MorphableModel(**moved)

    def save(self, path: Path) -> None:
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "about"}
        save_tensors(path, SCHEMA, tensors, {"about": self.about})

    @staticmethod
    def load(path: Path) -> "MorphableModel":
        """Raises InputError for a file that is not a morphable model of this schema."""
        tensors, header = load_tensors(path, SCHEMA)
        return MorphableModel(**tensors, about=header["about"])


@cache
def default_model() -> MorphableModel:
    """The model that ships with redub (`scripts/learn_face_model.py` makes it)."""
    with as_file(files("face3d") / "morphable.safetensors") as path:
        return MorphableModel.load(path)
