"""A whole track registered to what a person paints: footage that is learned from, and plates."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from core.device import bfloat16_pays, on_device
from face3d.mask import hidden_mask, sweep_covering
from face3d.motion import joined, smoothness
from face3d.solve import POSE, Fit, smooth_step
from face3d.track import Motion, Track
from face3d.view import look
from media.frame import Frame
from prior.painting.bank import APART, choose_references, distances
from prior.painting.conditions import Conditions
from prior.painting.grade import Grade
from prior.painting.person import (
    SHOWN,
    Person,
    batches,
    by_shot,
    cut_out,
    painted,
    shot_window,
)
from prior.painting.registration import (
    MOUTH_ERROR,
    SHIFT_ERROR,
    TURN_ERROR,
    Painter,
    Sight,
    moved,
    registered,
)
from prior.painting.window import Window


@dataclass(frozen=True)
class Registration:
    """How a track is registered: of its valid frames each `every`th, as what it errs by changes
    slowly, in so many `rounds`; with its mouth, or the head alone. `steady_seconds`: the deviation
    of the bell that a head's correction is averaged by in time, 0 for none."""

    every: int = 2
    rounds: int = 2
    mouth: bool = True
    steady_seconds: float = 0.0


REENACTED = Registration()
"""A plate whose own mouth is painted anew."""

FOOTAGE = Registration(every=1, rounds=1, mouth=False)
"""What is learned from: mouths stay as tracked, as they are in what the speech model was taught."""

SPOKEN = Registration(rounds=1, mouth=False, steady_seconds=0.2)
"""A plate whose mouth is to say something else. Head and mouth make up for each other, so the
head is placed with the mouth as it was tracked, and too steadily to tell what that said."""

FAR_METRES = 1.0
"""A distance that rules a reference out, and that a path through time can still count with."""

RUN, ROOM = 500, 24
"""Frames settled at once, and how many around them are looked at."""


def registered_track(
    person: Person,
    frames: Iterator[Frame],
    track: Track,
    grades: tuple[Grade | None, ...],
    how: Registration = REENACTED,
    copying: bool = False,
    numbers: Int[Tensor, "T"] | None = None,
) -> Track:
    """The track with its motion where what the person paints lies best on the pictures.

    `frames` are those of the track, in order; `grades` and `copying` as in `paint`. Footage that
    the person was learned from is told by its `numbers` in the bank: no frame is painted by itself
    or its neighbours. Memory does not grow with the shot, but for one small matrix a frame.
    """
    device = person.model.mean.device
    tracked = on_device(track.motion, device)
    distance = distances(person.model, person.bank, tracked)
    if numbers is not None:
        near = (numbers.to(device)[:, None] - person.bank.frame.to(device)[None]).abs() < APART
        distance = distance + near * FAR_METRES
    chosen = choose_references(distance, SHOWN).to(device)
    sweep = sweep_covering(track.motion.mouth)
    windows = [shot_window(person, track, tracked, shot) for shot in range(len(track.crops))]
    wanted = torch.zeros_like(track.valid)
    wanted[torch.nonzero(track.valid).flatten()[:: how.every]] = True
    count, paint = tracked.mouth.shape[1] + POSE, quick(person, copying)
    change, sure = torch.zeros(len(track), count), torch.zeros(len(track), count, count)
    for batch in batches(frames):
        for shot, group in by_shot(batch, replace(track, valid=wanted)).items():
            at = torch.tensor([i for i, _ in group])
            motion, references = tracked[at.to(device)], chosen[at.to(device)]
            sight = sight_of(
                person, group, track, motion, references, windows[shot], sweep, grades[shot]
            )
            better, known = registered(sight, motion, paint, how.rounds, how.mouth)
            change[at], sure[at] = better.float().cpu(), known
    change, sure = (between(values, wanted, track.shot) for values in (change, sure))
    if how.steady_seconds:
        change = steadied(change, track.shot, how.steady_seconds * float(track.fps))
        return replace(track, motion=moved(track.motion, change))
    return replace(track, motion=settled(track, change, sure))


def quick(person: Person, copying: bool) -> Painter:
    """How the person paints, in bfloat16 where the device is faster at that."""
    kind = person.model.mean.device.type

    def paint(seen: Conditions) -> Float[Tensor, "B 3 H W"]:
        with torch.autocast(kind, torch.bfloat16, enabled=bfloat16_pays(kind)):
            return painted(person, seen, copying).float()

    return paint


def between(
    values: Float[Tensor, "T *rest"], known: Bool[Tensor, "T"], shot: Int[Tensor, "T"]
) -> Float[Tensor, "T *rest"]:
    """Values of all frames, from the known ones around each in its own shot."""
    result = values.clone()
    for one in shot.unique():
        inside = torch.nonzero(shot == one).flatten()
        at = inside[known[inside]]
        if not len(at):
            continue
        later = torch.searchsorted(at, inside).clamp(max=len(at) - 1)
        before = at[(later - (at[later] > inside).long()).clamp_min(0)]
        share = ((inside - before) / (at[later] - before).clamp_min(1)).clamp(0, 1)
        share = share.view(-1, *[1] * (values.dim() - 1)).to(values.dtype)
        result[inside] = torch.lerp(values[before], values[at[later]], share)
    return result


def steadied(
    change: Float[Tensor, "T U"], shot: Int[Tensor, "T"], frames: float
) -> Float[Tensor, "T U"]:
    """Changes averaged over time within each shot, by a bell of so many frames' deviation."""
    result = change.clone()
    for one in shot.unique():
        inside = shot == one
        steady = gaussian_filter1d(change[inside].numpy(), frames, axis=0, mode="nearest")
        result[inside] = torch.from_numpy(steady)
    return result


def settled(track: Track, change: Float[Tensor, "T U"], sure: Float[Tensor, "T U U"]) -> Motion:
    """The changed motion, giving way to how heads move between frames where a frame is not sure.

    `sure` are inverse covariances of the changes, at each frame's own optimum: only smoothness
    pulls there.
    """
    motion, mouth = moved(track.motion, change), track.motion.mouth.shape[1]
    still = Motion(motion.rotation, motion.translation, motion.mouth, motion.upper[:, :0])
    shift = SHIFT_ERROR * motion.translation[:, 2:].abs()
    parts = (torch.full_like(shift, TURN_ERROR), shift, torch.full_like(shift, MOUTH_ERROR))
    unit = torch.cat([p.expand(-1, n) for p, n in zip(parts, (3, 3, mouth), strict=True)], 1)
    order = [*range(mouth, mouth + POSE), *range(mouth)]  # the solver has the pose first
    known = sure.double()[:, order][:, :, order] / unit.double()[:, :, None] / unit[:, None]
    smooth = smoothness(Fit(track.camera, track.identity, motion), track.fps)
    linked = np.concatenate([[False], (track.shot[1:] == track.shot[:-1]).numpy()])
    runs = []
    for start in range(0, len(motion), RUN):
        low, high = max(0, start - ROOM), min(len(motion), start + RUN + ROOM)
        blocks, none = known[low:high], known.new_zeros(high - low, mouth + POSE)
        run = smooth_step(still[low:high], blocks, none, smooth, linked[low:high])
        runs.append(run[start - low : start - low + RUN])
    return replace(joined(runs), upper=motion.upper)


def sight_of(
    person: Person,
    group: list[tuple[int, Frame]],
    track: Track,
    motion: Motion,
    chosen: Int[Tensor, "B K"],
    window: Window,
    sweep: tuple[float, ...],
    grade: Grade | None,
) -> Sight:
    """Frames of one shot as they are registered, in the person's grade."""
    image, _, cameras = cut_out(person, group, track, motion, window)
    if grade is not None:
        image = grade.to_actor(image, look(person.model, person.identity, motion, cameras).uv)
    model, who, scale = person.model, person.identity, person.scale
    outer = hidden_mask(model, who, motion, cameras, sweep, scale)[:, None].float()
    return Sight(model, who, person.bank, image, outer, tuple(cameras), chosen, scale)
