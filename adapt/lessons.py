"""What an actor is learned from, ready to learn: pictures of the takes, masks, references, skin.

The first take's last frames are kept to judge by; everything else is learned from. An actor that
is refined brings its reference frames and its light along.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from adapt.actor import Actor
from adapt.split import Split, split_frames
from adapt.takes import APART_FRAMES, Take, gathered, joined
from face3d.morphable import MorphableModel
from face3d.track import Track
from prior.painting.bank import POSE_METRES, lip_positions
from prior.painting.skin import Skin, skin_of
from prior.training.corpus import Windows, with_teeth
from prior.training.train_renderer import TrainingClip, training_clip

FIT_FRAMES = 400
"""Frames learned from at most, spread over the footage: more would only cost memory."""

REFERENCES = 140
"""Reference frames kept in an actor: 76 kB each, the widest variety of mouths and poses. Of a finer
size fewer, as each is larger."""


@dataclass(frozen=True)
class Lessons:
    """Frames to learn from, frames to judge by (of the first take, see `split`), and its skin."""

    split: Split
    fit: TrainingClip
    judge: TrainingClip
    skin: Skin


def prepare_lessons(
    takes: Sequence[Take],
    tracks: Sequence[Track],
    model: MorphableModel,
    base: Actor | None = None,
    scale: int = 1,
) -> Lessons:
    """Lessons of takes tracked with one identity, in the light of `base` or else the first take's,
    from crops so many times as fine as the tracks'.

    Raises InputError where the first take shows less than a second of the face.
    """
    take, track = takes[0], tracks[0]
    usable = [np.flatnonzero(track.valid.numpy()) + track.start for track in tracks]
    split = split_frames(usable[0], take.seconds)
    learned = spread_frames([split.fit, *usable[1:]], FIT_FRAMES)
    name = take.clip.path.stem
    light = None if base is None else base.skin
    windows = gathered(takes, tracks, model, learned, light, scale)
    if base is None:
        windows = with_teeth(windows, model)
    else:
        windows = joined([widened(base.windows), after(windows, base.windows)])
    fit = training_clip(windows, model, name)
    judged = gathered(takes[:1], tracks[:1], model, [split.held_out], light, scale)
    judged = replace(judged, identity=windows.identity)
    judge = training_clip(judged, model, name)
    own = light or skin_of(model, take.clip, track, split.fit - track.start, hidden=False)
    return Lessons(split, fit, judge, own)


def widened(windows: Windows) -> Windows:
    """Windows with the margin that training shifts in. What was cut off repeats the border: no loss
    looks there."""
    margin = windows.margin
    rows, columns = (
        torch.arange(-margin, side + margin).clamp(0, side - 1)
        for side in windows.images.shape[-2:]
    )
    images = windows.images[..., rows[:, None], columns]
    return replace(windows, images=images, corner=windows.corner - margin)


def after(windows: Windows, earlier: Windows) -> Windows:
    """Windows numbered so that none is a neighbour in time of the earlier ones."""
    return replace(windows, frame=windows.frame + int(earlier.frame.max()) + APART_FRAMES)


def spread_frames(frames: Sequence[Int[np.ndarray, "_"]], limit: int) -> list[Int[np.ndarray, "_"]]:
    """At most about `limit` of all takes' frames, each take in proportion."""
    share = min(1.0, limit / sum(len(take) for take in frames))
    return [
        take[np.unique(np.linspace(0, len(take) - 1, max(1, round(share * len(take)))).astype(int))]
        for take in frames
    ]


def kept_references(windows: Windows, model: MorphableModel) -> Windows:
    """The windows worth keeping as references, without the margin that training shifts in."""
    feature = torch.cat(
        [lip_positions(model, windows.motion.mouth), POSE_METRES * windows.motion.rotation], 1
    )
    pick = farthest_points(feature, REFERENCES // windows.scale)
    kept, inner = windows[pick.tolist()], slice(windows.margin, -windows.margin)
    images = kept.images[..., inner, inner].contiguous()
    return replace(kept, images=images, corner=kept.corner + windows.margin)


def farthest_points(points: Float[Tensor, "N D"], count: int) -> Int[Tensor, " K"]:
    """Indices, rising, of at most `count` points chosen so that each adds the most variety."""
    if len(points) <= count:
        return torch.arange(len(points))
    chosen = [int((points - points.mean(0)).norm(dim=1).argmin())]
    nearest = (points - points[chosen[0]]).norm(dim=1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).norm(dim=1))
    return torch.tensor(sorted(chosen))
