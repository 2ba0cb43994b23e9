"""Motion registered to pictures by what the person's own renderer paints: analysis by synthesis.

A tracker holds a picture against an appearance that stands still; teeth, the dark between them and
lips that roll are none of it. A renderer that knows the person paints them. Its painting is held
against the picture, and head and mouth take Gauss-Newton steps (Lucas and Kanade 1981, with the
mean of both pictures' slopes) that move the painting onto it; then it is painted anew.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.camera import Camera, pixel_positions
from face3d.morphable import MorphableModel
from face3d.solve import POSE
from face3d.track import Identity, Motion, camera_vertices
from face3d.view import View, look
from prior.painting.bank import ReferenceBank
from prior.painting.conditions import Conditions, assembled
from prior.training.losses import attention, weighted_l1

BLURS = (2.0, 1.5, 1.0)
"""Pixels of a track's crop that picture and painting are softened by, step after step."""

LATTICE = 2
"""Of softened pixels each second one in rows and columns says it all; in a finer crop, fewer."""

NOISE = 0.15
"""How far colours, from −1 to 1, of a painting in its place lie from the picture's, unsoftened."""

MOUTH = 4.0
"""How much more than skin the mouth and its surroundings say, as where actors are learned."""

MOUTH_ERROR, TURN_ERROR, SHIFT_ERROR = 0.3, 0.007, 0.003
"""What a track is expected to err by: deviations of a coefficient, radians, shares of the distance.

Changes are counted in these.
"""

HELD = 1e6
"""How much more than that a mouth is held which is not to change."""

Painter = Callable[[Conditions], Float[Tensor, "B 3 H W"]]


@dataclass(frozen=True)
class Sight:
    """`B` windows of a person: pictures in the person's own grade, colours in [−1, 1], what of them
    is repainted, the cameras that saw them, which references of the bank they are painted by, and
    how many times as fine as a track's crop they are.
    """

    model: MorphableModel
    identity: Identity
    bank: ReferenceBank
    image: Float[Tensor, "B 3 H W"]
    outer: Float[Tensor, "B 1 H W"]
    cameras: tuple[Camera, ...]
    chosen: Int[Tensor, "B K"]
    scale: int = 1

    def observe(self, motion: Motion) -> tuple[View, Conditions]:
        view = look(self.model, self.identity, motion, self.cameras)
        return view, assembled(self.model, view, self.outer, self.image, self.bank, self.chosen)


def registered(
    sight: Sight, motion: Motion, paint: Painter, rounds: int, mouth: bool = True
) -> tuple[Float[Tensor, "B U"], Float[Tensor, "B U U"]]:
    """How `B` frames' motion changes to be painted best, or not at all, and how surely: the inverse
    covariance of each frame's change."""
    count = motion.mouth.shape[1] + POSE
    change = best = motion.mouth.new_zeros(len(motion), count)
    held = torch.ones(count)
    if not mouth:
        held[:-POSE] = HELD
    sure = torch.diag(held).repeat(len(motion), 1, 1)
    least, weight = motion.mouth.new_full((len(motion),), torch.inf), None
    for painting in range(rounds + 1):
        here = moved(motion, change)
        view, seen = sight.observe(here)
        made = paint(seen).clamp(-1, 1)
        if weight is None:  # the same for all paintings, or an open mouth would cost more
            weight = attention(sight.outer, seen.mouth, MOUTH, sight.scale)
        error = weighted_l1(made, sight.image, weight)
        best = torch.where((error < least)[:, None], change, best)
        least = torch.minimum(error, least)
        if painting < rounds:
            nudges = []
            for i, before in enumerate(change):
                face, flow = flow_of(sight, i, here[i : i + 1], view, seen)
                pair, counts = (made[i], sight.image[i]), weight[i, 0]
                after, sure[i] = nudged(before, face, flow, *pair, counts, held, sight.scale)
                nudges.append(after)
            change = torch.stack(nudges)
    return best, sure


def moved(motion: Motion, change: Float[Tensor, "B U"]) -> Motion:
    """Motion with mouth, turn and shift changed, counted in what a track errs by."""
    mouth, turn, shift = change.to(motion.mouth.dtype).split([motion.mouth.shape[1], 3, 3], 1)
    distance = motion.translation[:, 2:].abs()
    return Motion(
        motion.rotation + TURN_ERROR * turn,
        motion.translation + SHIFT_ERROR * distance * shift,
        motion.mouth + MOUTH_ERROR * mouth,
        motion.upper,
    )


def flow_of(
    sight: Sight, index: int, motion: Motion, view: View, seen: Conditions
) -> tuple[Bool[Tensor, "H W"], Float[Tensor, "P 2 U"]]:
    """Each `LATTICE`th pixel that sees the lower face, and how what it sees moves (px) with every
    change."""
    face, step = torch.zeros_like(seen.inner[index, 0], dtype=torch.bool), sight.scale * LATTICE
    face[::step, ::step] = seen.inner[index, 0, ::step, ::step] > 0
    corners = sight.model.triangles.long()[view.fragments.face[index][face].long()]
    share = view.fragments.barycentric[index][face]
    slopes = vertex_slopes(sight, motion, sight.cameras[index]).float()
    return face, (slopes[corners] * share[:, :, None, None]).sum(1)


def vertex_slopes(sight: Sight, motion: Motion, camera: Camera) -> Float[Tensor, "V 2 U"]:
    """How one frame's vertices move, px for a unit of change, by central differences."""
    step, count = 0.1, motion.mouth.shape[1] + POSE
    change = step * torch.eye(count, dtype=motion.mouth.dtype, device=motion.mouth.device)
    around = Motion(*(value.expand(2 * count, -1) for value in vars(motion).values()))
    around = moved(around, torch.cat([change, -change]))
    xy = pixel_positions(camera, camera_vertices(sight.model, sight.identity, around))
    return ((xy[:count] - xy[count:]) / (2 * step)).permute(1, 2, 0)


def nudged(
    before: Float[Tensor, "U"],
    face: Bool[Tensor, "H W"],
    flow: Float[Tensor, "P 2 U"],
    made: Float[Tensor, "3 H W"],
    true: Float[Tensor, "3 H W"],
    weight: Float[Tensor, "H W"],
    held: Float[Tensor, "U"],
    scale: int = 1,
) -> tuple[Float[Tensor, "U"], Float[Tensor, "U U"]]:
    """The change after `before` that brings the painting onto the picture, and how surely.

    The painting is not painted anew in between: it is moved along the flow. `scale`: how many times
    as fine as a track's crop both are.
    """
    across, down = flow.cpu().unbind(1)
    at = face.cpu().numpy()
    painting, picture = (np.ascontiguousarray(v.permute(1, 2, 0).cpu()) for v in (made, true))
    counts = weight[face].cpu()
    start = before.float().cpu()
    change = start.clone()
    row, column = np.nonzero(at)
    for blur in BLURS:
        soft, here = (cv2.GaussianBlur(v, (0, 0), scale * blur) for v in (picture, painting))
        to = [
            (row - (down @ (change - start)).numpy()).astype(np.float32),
            (column - (across @ (change - start)).numpy()).astype(np.float32),
        ]
        error = torch.from_numpy(soft[at] - sampled(here, *to))
        x, y = (
            torch.from_numpy((slope(soft, way)[at] + sampled(slope(here, way), *to)) / 2)
            for way in ((1, 0), (0, 1))
        )
        noise = NOISE / (1 + blur)
        # Neighbours within the blur say the same; an error of twice the usual counts half.
        trust = counts / (1 + (error.abs().mean(1) / (2 * noise)).square())
        trust = trust * LATTICE**2 / (3 * noise**2 * 4 * np.pi * blur**2)
        xx, xy, yy = ((trust * (a * b).sum(1))[:, None] for a, b in ((x, x), (x, y), (y, y)))
        mixed = across.T @ (down * xy)
        normal = across.T @ (across * xx) + mixed + mixed.T + down.T @ (down * yy)
        pull = across.T @ (trust * (x * error).sum(1)) + down.T @ (trust * (y * error).sum(1))
        normal += torch.diag(held)
        change = change - torch.linalg.solve(normal, pull + held * change)
    return change.to(before), normal


def slope(picture: Float[np.ndarray, "H W 3"], way: tuple[int, int]) -> np.ndarray:
    """The picture's slope along x or y, a pixel."""
    return cv2.Sobel(picture, -1, *way, ksize=3, scale=1 / 8)


def sampled(
    picture: Float[np.ndarray, "H W 3"], row: Float[np.ndarray, "P"], column: Float[np.ndarray, "P"]
) -> Float[np.ndarray, "P 3"]:
    """Colours between pixels; beyond the border those of the border."""
    mode = cv2.BORDER_REPLICATE
    return cv2.remap(picture, column, row, cv2.INTER_LINEAR, borderMode=mode)[:, 0]
