"""Which pixels a dub repaints, without telling how the mouth really moved.

`inner`: the lower face in the pose that is rendered. `outer`: everything the lower face could
cover at this head pose, found by sweeping the jaw of a *neutral* face. The plate is shown outside
`outer` only; were the mask drawn from the plate's own mouth, its outline would leak the old line.
So would cheeks that stand out beyond the mesh, so more is hidden than is repainted.
`covered`: what a mouth as it moves does cover, for laying the finished picture over the plate.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.camera import Camera, clip_positions
from face3d.morphable import MorphableModel
from face3d.topology import LANDMARKS
from face3d.track import Identity, Motion, camera_vertices
from render.fragments import Fragments
from render.visibility import visible_faces

JAW_SWEEP = (-1.0, 0.5, 2.0, 3.5, 5.0)
"""Values of the first mouth coefficient (the jaw, in deviations), from pressed to wide open."""

MARGIN_PIXELS = 3

BULGE_PIXELS = 4
"""How much farther to either side cheeks may stand out, which hollow as a mouth opens: beside the
mesh of `german_mt` they told a third of the variance of the old mouth's opening."""


def lower_face(model: MorphableModel, fragments: Fragments) -> Bool[Tensor, "B H W"]:
    """Pixels whose visible triangle belongs to the lower face."""
    return _lower(model, fragments.face)


def _lower(model: MorphableModel, face: Tensor) -> Tensor:
    return _of(model.lower_face, model, face)


def _of(vertices: Bool[Tensor, "V"], model: MorphableModel, face: Tensor) -> Tensor:
    """Where the visible triangle's corners are all among some vertices."""
    belongs = vertices[model.triangles.long()].all(-1)
    return torch.cat([belongs, belongs.new_zeros(1)])[face.long()]


def swept_mask(
    model: MorphableModel,
    identity: Identity,
    motion: Motion,
    camera: Camera | Sequence[Camera],
    sweep: tuple[float, ...] = JAW_SWEEP,
    scale: int = 1,
) -> Bool[Tensor, "T H W"]:
    """What may be repainted of every frame: by head pose and identity, never by the expression.

    All frames in one camera, or each in its own of the same size, of crops so many times as fine as
    a track's.
    """
    count, size = len(motion), camera if isinstance(camera, Camera) else camera[0]
    mouth = motion.mouth.new_zeros(len(sweep), motion.mouth.shape[1])
    mouth[:, 0] = mouth.new_tensor(sweep)
    # All openings of a frame, then all of the next.
    still = Motion(
        motion.rotation.repeat_interleave(len(sweep), 0),
        motion.translation.repeat_interleave(len(sweep), 0),
        mouth.repeat(count, 1),
        motion.upper.new_zeros(count * len(sweep), motion.upper.shape[1]),
    )
    vertices = camera_vertices(model, identity, still).unflatten(0, (count, len(sweep)))
    clip = clip_positions(camera, vertices).flatten(0, 1)
    faces = visible_faces(clip, model.triangles, size.height, size.width)
    swept = _lower(model, faces).unflatten(0, (count, len(sweep))).any(1)
    return grown(swept, scale * MARGIN_PIXELS)


def hidden_mask(
    model: MorphableModel,
    identity: Identity,
    motion: Motion,
    camera: Camera | Sequence[Camera],
    sweep: tuple[float, ...] = JAW_SWEEP,
    scale: int = 1,
) -> Bool[Tensor, "T H W"]:
    """What of a plate is not shown: all that may be repainted, and the cheeks beside it."""
    return with_cheeks(swept_mask(model, identity, motion, camera, sweep, scale), scale)


def with_cheeks(swept: Bool[Tensor, "T H W"], scale: int = 1) -> Bool[Tensor, "T H W"]:
    """A swept mask, and where cheeks may stand out beside it."""
    return widened(swept, scale * BULGE_PIXELS, axis=2)


def grown(mask: Bool[Tensor, "T H W"], pixels: int) -> Bool[Tensor, "T H W"]:
    """The mask and what is so near it, in a square: along rows, then along columns."""
    return widened(widened(mask, pixels, axis=2), pixels, axis=1)


def widened(mask: Bool[Tensor, "T H W"], pixels: int, axis: int) -> Bool[Tensor, "T H W"]:
    """The mask and what is so near it along one axis, each step as far again as those before."""
    room = (pixels, pixels) if axis == 2 else (0, 0, pixels, pixels)
    mask, reach = torch.nn.functional.pad(mask, room), 1
    while reach <= 2 * pixels:
        step = min(reach, 2 * pixels + 1 - reach)
        count = mask.shape[axis] - step
        mask = mask.narrow(axis, 0, count) | mask.narrow(axis, step, count)
        reach += step
    return mask


def covered(model: MorphableModel, fragments: Fragments) -> Bool[Tensor, "B H W"]:
    """Pixels of the lower face, down to the jaw's edge, with the mouth that a view shows."""
    return _of(lower_face_proper(model), model, fragments.face)


def covered_mask(
    model: MorphableModel, identity: Identity, motion: Motion, camera: Camera | Sequence[Camera]
) -> Bool[Tensor, "T H W"]:
    """The same of frames that nobody has looked at."""
    clip = clip_positions(camera, camera_vertices(model, identity, motion))
    size = camera if isinstance(camera, Camera) else camera[0]
    face = visible_faces(clip, model.triangles, size.height, size.width)
    return _of(lower_face_proper(model), model, face)


def lower_face_proper(model: MorphableModel) -> Bool[Tensor, "V"]:
    """Vertices of the lower face down to the jaw's edge, and of the mouth's inside."""
    proper = model.lower_face & model.inside
    proper[:LANDMARKS] = model.lower_face[:LANDMARKS]
    return proper


def sweep_covering(mouth: Float[Tensor, "T M"]) -> tuple[float, ...]:
    """The sweep of a whole shot: the fixed one, widened once if a jaw opens beyond it."""
    widest = float(mouth[:, 0].max()) if len(mouth) else 0.0
    if widest <= JAW_SWEEP[-1]:
        return JAW_SWEEP
    return (*JAW_SWEEP, 0.5 * (JAW_SWEEP[-1] + widest), widest)
