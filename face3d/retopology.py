"""Any face model in redub's form: its surface sampled at the landmarks, with our anatomy hung on.

Tracking, masks and rendering see 468 points and what is attached to them, so a model of 26,719
vertices is fitted as fast as our own. Its makers' mesh moves by the same coefficients and is what
leaves the house (`face3d/export.py`).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from scipy.spatial import KDTree
from torch import Tensor

from core.rotation import matrix_from_axis_angle
from face3d.assembly import completed, mouth_share
from face3d.embedding import Embedding, embed
from face3d.morphable import MorphableModel
from face3d.sculpt import Sculpt
from face3d.topology import INNER_PAIRS, LANDMARKS, NOSE_BASE
from face3d.track import Identity, Motion

RIG_DEVIATION = 0.3
"""Expected size of a blendshape's weight, whose range is 0 to 1."""
JAW_METRES = 0.005
"""What one deviation of the first mouth coefficient opens the lips; masks sweep it up to five."""
STILL_METRES = 0.0005
"""Shapes, of people too, that move no landmark farther than this for one deviation are left out:
landmarks cannot tell them from noise."""
OFFSET_REACH = 0.012
"""Metres over which a landmark's own offset spreads on the surface around it."""
OFFSET_NEIGHBOURS = 8


@dataclass(frozen=True)
class FaceModel:
    """A model as the tracker uses it, and as its makers drew it, moved by the same coefficients.

    `sculpt.expression` runs along [mouth, upper] of `model`, in the same deviations. `attachment`
    (sparse [V 468]) carries the landmarks' personal offsets over to the sculpt.
    """

    model: MorphableModel
    sculpt: Sculpt
    attachment: sparse.csr_matrix

    @property
    def facts(self) -> dict[str, str]:
        """Whose model it is and under which licence, for files made with it."""
        about = self.model.about
        found = {key: about[key] for key in ("file", "sha256") if key in about}
        return {"name": self.sculpt.name, "licence": self.sculpt.licence, **found}

    @property
    def units(self) -> Float[Tensor, "E"]:
        """The rig's own weight in one deviation of each expression; 1 where the rig has none."""
        return torch.tensor(self.model.about.get("units", [1.0] * len(self.sculpt.expression)))

    def shape(self, identity: Identity) -> Float[Tensor, "V 3"]:
        """The sculpt as this person with a closed mouth, head-local."""
        offset = self.attachment @ identity.offset.numpy()
        shape = self.sculpt.neutral + torch.from_numpy(offset.astype(np.float32))
        return shape + torch.einsum("s,svc->vc", identity.shape, self.sculpt.identity)

    def local(self, identity: Identity, motion: Motion) -> Float[Tensor, "T V 3"]:
        """The sculpt's vertices of every frame, head-local."""
        codes = torch.cat([motion.mouth, motion.upper], -1)
        moved = torch.einsum("te,evc->tvc", codes, self.sculpt.expression)
        return self.shape(identity) + moved

    def surface(self, identity: Identity, motion: Motion) -> Float[Tensor, "T V 3"]:
        """The sculpt's vertices of every frame in camera space, metres."""
        rotation = matrix_from_axis_angle(motion.rotation)
        local = self.local(identity, motion)
        return torch.einsum("tij,tvj->tvi", rotation, local) + motion.translation[:, None]


@dataclass(frozen=True)
class _Shape:
    """One expression of the new form: which of the sculpt's, how much of it, on which side."""

    source: int
    scale: float
    is_mouth: bool


def retopologised(sculpt: Sculpt, embedding: Embedding | None = None) -> FaceModel:
    """The model of a sculpt; `embedding` saves drawing it again.

    Blendshapes go whole to the mouth or to the upper face, where most of their motion is. Principal
    components are cut in two at the nose, as our own model's are. The mouth's first shape is the
    jaw, by which the sculpt parts its lips. Raises InputError when the sculpt does not show a face.
    """
    embedding = embedding or embed(sculpt)
    face = embedding.on(sculpt.neutral).double().numpy()
    moves = embedding.on(sculpt.expression).double().numpy()
    height = face[:, 1] - face[NOSE_BASE, 1]
    low = mouth_share(height)
    shapes = _local_shapes(moves, height < 0) if sculpt.local else _halves(moves, low)
    shapes = _jaw_first(shapes, moves, int(sculpt.ajar.argmax()))
    mouth = [s for s in shapes if s.is_mouth]
    upper = [s for s in shapes if not s.is_mouth]

    def basis(of: list[_Shape]) -> np.ndarray:
        share = {True: low, False: 1 - low}
        return np.stack(
            [
                s.scale * moves[s.source] * (1 if sculpt.local else share[s.is_mouth][:, None])
                for s in of
            ]
        )

    names = tuple(_shape_name(s, sculpt) for s in (*mouth, *upper))
    about = {
        "name": sculpt.name,
        "licence": sculpt.licence,
        "shapes": list(names),
        "units": [round(s.scale, 6) for s in (*mouth, *upper)],
    }
    people = embedding.on(sculpt.identity).double().numpy()
    told = [i for i, shape in enumerate(people) if _reach(shape) > STILL_METRES]
    model = completed(face, people[told], basis(mouth), basis(upper), about)
    moved = _sculpted(sculpt, (*mouth, *upper), float(face[NOSE_BASE, 1]))
    drawn = replace(
        sculpt,
        identity=sculpt.identity[told],
        expression=moved,
        expression_names=names,
        ajar=torch.nn.functional.one_hot(torch.tensor(0), len(names)).float(),
    )
    return FaceModel(model, drawn, offset_attachment(sculpt, embedding))


def _reach(moves: np.ndarray) -> float:
    return float(np.linalg.norm(moves, axis=-1).max())


def _local_shapes(moves: np.ndarray, below_nose: np.ndarray) -> list[_Shape]:
    """Whole blendshapes that move the face, each on the side of the nose where its energy is."""
    energy = (moves**2).sum(-1)
    below = energy[:, below_nose].sum(1) > 0.5 * energy.sum(1)
    return [
        _Shape(i, RIG_DEVIATION, bool(below[i]))
        for i in range(len(moves))
        if RIG_DEVIATION * _reach(moves[i]) > STILL_METRES
    ]


def _halves(moves: np.ndarray, low: np.ndarray) -> list[_Shape]:
    """Both halves of every component, less those that hardly move their side."""
    return [
        _Shape(i, 1.0, is_mouth)
        for is_mouth, share in ((True, low), (False, 1 - low))
        for i in range(len(moves))
        if _reach(moves[i] * share[:, None]) > STILL_METRES
    ]


def _jaw_first(shapes: list[_Shape], moves: np.ndarray, jaw_source: int) -> list[_Shape]:
    """The shape of the jaw comes first, scaled to open the lips by `JAW_METRES`."""
    jaw = next(s for s in shapes if s.is_mouth and s.source == jaw_source)
    upper, lower = np.array(INNER_PAIRS).T
    opening = (moves[jaw_source, upper] - moves[jaw_source, lower])[:, 1].mean()
    scaled = replace(jaw, scale=JAW_METRES / float(opening))
    return [scaled, *(s for s in shapes if s is not jaw)]


def _shape_name(shape: _Shape, sculpt: Sculpt) -> str:
    name = sculpt.expression_names[shape.source]
    return name if sculpt.local else f"{name}_{'mouth' if shape.is_mouth else 'upper'}"


def _sculpted(sculpt: Sculpt, shapes: tuple[_Shape, ...], nose_base: float) -> Tensor:
    """The shapes on the sculpt's own vertices [K V 3]."""
    scale = torch.tensor([s.scale for s in shapes])
    moved = sculpt.expression[[s.source for s in shapes]] * scale[:, None, None]
    if sculpt.local:
        return moved
    share = torch.from_numpy(mouth_share(sculpt.neutral[:, 1].numpy() - nose_base)).float()
    sides = torch.stack([share if s.is_mouth else 1 - share for s in shapes])
    return moved * sides[..., None]


def offset_attachment(sculpt: Sculpt, embedding: Embedding) -> sparse.csr_matrix:
    """Sparse [V 468]: each vertex takes the offsets of the landmarks near it, by distance.

    Measured on parted lips, so that the upper lip does not follow the lower one. Vertices farther
    from every landmark than a few times `OFFSET_REACH` stay.
    """
    vertices = sculpt.ajar_vertices()
    points = embedding.on(vertices).numpy()
    away, near = KDTree(points).query(vertices.numpy(), OFFSET_NEIGHBOURS)
    weight = np.exp(-0.5 * (away / OFFSET_REACH) ** 2)
    # Half-widths narrow to the nearest landmark, where it is very near: its own offset counts.
    sharp = weight / (away**2 + 1e-6)
    share = sharp / sharp.sum(1, keepdims=True).clip(1e-12) * weight[:, :1]
    rows = np.repeat(np.arange(len(vertices)), OFFSET_NEIGHBOURS)
    return sparse.csr_matrix(
        (share.ravel(), (rows, near.ravel())), shape=(len(vertices), LANDMARKS)
    )
