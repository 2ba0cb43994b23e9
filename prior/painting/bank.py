"""Reference frames of a person, and how one is brought into another frame's pose.

A reference is warped by the mesh: each pixel of the new view knows its surface point, and the
reference's own projection says where that point was seen. One resampling, no texture in between.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from core.camera import Camera
from face3d.morphable import MorphableModel
from face3d.topology import LIPS
from face3d.track import Identity, Motion
from face3d.view import View, look
from render.fragments import Fragments, interpolate
from render.sampling import sample_image

HIDDEN_UV = 0.03
"""A reference shows a surface point if the point it shows there lies within this uv distance."""

APART = 5
"""Frames between a picture and its reference: nearer ones are copies of the answer."""

POSE_METRES = 0.010
"""A radian of head turn counts as this much lip motion (rms) when references are chosen."""

SWITCH_METRES = 0.0006
"""Lip distance that is accepted before the chosen reference changes from frame to frame."""


@dataclass(frozen=True)
class ReferenceBank:
    """`N` frames of a person: window images, their motion, where their vertices and texels show.

    `frame` [N] are frame numbers in their clip, so that a frame is never its own reference.
    `depth`: of the vertices, metres along the camera's axis.
    """

    images: UInt8[Tensor, "N 3 H W"]
    motion: Motion
    frame: Int[Tensor, "N"]
    pixels: Float[Tensor, "N V 2"]
    depth: Float[Tensor, "N V"]
    uv: Float[Tensor, "N 2 H W"]

    def __len__(self) -> int:
        return len(self.images)

    @staticmethod
    def of(
        model: MorphableModel,
        identity: Identity,
        motion: Motion,
        frame: Tensor,
        images: UInt8[Tensor, "N 3 H W"],
        cameras: list[Camera],
    ) -> "ReferenceBank":
        """The bank of window images with the cameras that saw them."""
        views = [look(model, identity, motion[i : i + 1], c) for i, c in enumerate(cameras)]
        pixels = torch.cat([view.pixels for view in views])
        depth = torch.cat([view.depth for view in views])
        uv = torch.cat([view.uv for view in views]).half()
        return ReferenceBank(images, motion, frame, pixels, depth, uv)


def lip_positions(model: MorphableModel, mouth: Float[Tensor, "T M"]) -> Float[Tensor, "T L"]:
    """Lip vertices moved by the mouth alone, scaled so that distances are rms metres."""
    lips = list(LIPS)
    moved = torch.einsum("tm,mvc->tvc", mouth, model.mouth[:, lips])
    return moved.flatten(1) / len(lips) ** 0.5


def distances(model: MorphableModel, bank: ReferenceBank, motion: Motion) -> Float[Tensor, "T N"]:
    """How far each reference is from each frame: lips in metres, head turn counted along."""
    lips = torch.cdist(lip_positions(model, motion.mouth), lip_positions(model, bank.motion.mouth))
    turn = torch.cdist(motion.rotation, bank.motion.rotation)
    return (lips.square() + (POSE_METRES * turn).square()).sqrt()


def choose_references(distance: Float[Tensor, "T N"], count: int) -> Int[Tensor, "T K"]:
    """For each frame the `count` references that follow the motion best with few switches.

    Each is a shortest path through time (Viterbi) in which a change of reference costs
    `SWITCH_METRES`; a later path avoids the frames an earlier one used.
    """
    cost = distance.double().cpu().numpy().copy()
    chosen = []
    for _ in range(min(count, cost.shape[1])):
        path = _cheapest_path(cost, SWITCH_METRES)
        chosen.append(path)
        cost[np.arange(len(cost)), path] += 10 * SWITCH_METRES + cost.mean()
    while len(chosen) < count:
        chosen.append(chosen[-1])
    return torch.from_numpy(np.stack(chosen, -1))


def _cheapest_path(cost: np.ndarray, switch: float) -> np.ndarray:
    total = cost[0].copy()
    came_from = np.zeros(cost.shape, np.int64)
    stay = np.arange(cost.shape[1])
    for t in range(1, len(cost)):
        best = int(total.argmin())
        jump = total[best] + switch
        came_from[t] = np.where(total <= jump, stay, best)
        total = np.minimum(total, jump) + cost[t]
    path = np.empty(len(cost), np.int64)
    path[-1] = total.argmin()
    for t in range(len(cost) - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


def pixels_in_reference(
    fragments: Fragments,
    bank: ReferenceBank,
    pick: Int[Tensor, " B"],
    triangles: Int[Tensor, "F 3"],
) -> Float[Tensor, "B 2 H W"]:
    """Where references show the surface points that a view sees, in their windows' pixels.

    Interpolated homogeneously, as (x d, y d, d) with d the depth in the reference: positions
    themselves are not linear across a triangle (0.2 px off in the large ones of the neck).
    """
    depth = bank.depth[pick][..., None]
    seen = interpolate(fragments, torch.cat([bank.pixels[pick] * depth, depth], -1), triangles)
    distance = seen[:, 2:]
    return seen[:, :2] / torch.where(distance > 0, distance, torch.ones_like(distance))


def warp_references(
    model: MorphableModel, view: View, bank: ReferenceBank, chosen: Int[Tensor, "B K"]
) -> Float[Tensor, "B K 4 H W"]:
    """References seen in the view's pose: colours in [−1, 1] and whether they show the point."""
    warped = []
    for k in range(chosen.shape[1]):
        pick = chosen[:, k]
        xy = pixels_in_reference(view.fragments, bank, pick, model.triangles)
        colours = sample_image(bank.images[pick].float() / 127.5 - 1, xy)
        visible = visible_at(bank.uv[pick], xy, view.uv, view.inner)[:, None].float()
        warped.append(torch.cat([colours * visible, visible], 1))
    return torch.stack(warped, 1)


def visible_at(
    seen: Float[Tensor, "B 2 h w"],
    xy: Float[Tensor, "B 2 H W"],
    uv: Float[Tensor, "B 2 H W"],
    wanted: Bool[Tensor, "B H W"],
) -> Bool[Tensor, "B H W"]:
    """Which of the wanted pixels' surface points `uv` references, whose pixels see `seen`, show at
    `xy`: in the mean around there, or in one of the four pixels around it.

    The mean sees neither side of an edge such as the lips' inner one, where skin and mouth meet.
    """
    found = wanted & alike(sample_image(seen.float(), xy), uv)
    batch, row, column = torch.nonzero(wanted & ~found, as_tuple=True)
    height, width = seen.shape[-2:]
    left, top = (xy[batch, :, row, column] - 0.5).floor().long().unbind(1)
    point, any_of = uv[batch, :, row, column], torch.zeros_like(batch, dtype=torch.bool)
    for x, y in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        here = seen[batch, :, y.clamp(0, height - 1), x.clamp(0, width - 1)]
        any_of |= inside & alike(here, point)
    found[batch, row, column] = any_of
    return found


def alike(one: Float[Tensor, "N 2 *rest"], other: Float[Tensor, "N 2 *rest"]) -> Tensor:
    return (one - other).square().sum(1) < HIDDEN_UV**2
