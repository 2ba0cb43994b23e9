"""The difference of grade between two recordings of one person, told by the skin above the mouth.

A plate is seldom lit and graded as the footage its actor was learned from. The renderer works in
the actor's grade: the plate's window is brought there and the painted one back.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from face3d.morphable import MorphableModel
from face3d.track import Track
from face3d.unwrap import unwrap
from face3d.view import (
    WINDOW_HEIGHT,
    WINDOW_WIDTH,
    crop_image,
    cut,
    look,
    window_corner,
)
from media.clip import Clip
from prior.bank import ReferenceBank

TEXTURE = 64
"""Texels a side of the charts that are compared: skin's mean colours, not its pores."""

FRAMES_A_SHOT = 16
ALIKE_CODES = 6.0
"""Mean skin colours that differ by fewer code values are pose and shading, not another grade."""

GAIN = (0.5, 2.0)


@dataclass(frozen=True)
class Grade:
    """logit(plate) = gain · logit(actor) + offset, per channel of colours in [0, 1].

    Black and white stay what they are, so teeth do not burn out when dark skin turns bright.
    """

    gain: Float[Tensor, "3"]
    offset: Float[Tensor, "3"]

    def to_plate(self, colours: Float[Tensor, "*batch 3 H W"]) -> Float[Tensor, "*batch 3 H W"]:
        """Actor's colours in [−1, 1] as the plate would show them."""
        return _from_logit(_logit(colours) * _channels(self.gain) + _channels(self.offset))

    def to_actor(self, colours: Float[Tensor, "*batch 3 H W"]) -> Float[Tensor, "*batch 3 H W"]:
        """The inverse."""
        return _from_logit((_logit(colours) - _channels(self.offset)) / _channels(self.gain))


def _channels(values: Tensor) -> Tensor:
    return values[:, None, None]


def _logit(colours: Tensor) -> Tensor:
    return torch.logit((colours + 1) / 2, eps=0.5 / 255)


def _from_logit(values: Tensor) -> Tensor:
    return 2 * torch.sigmoid(values) - 1


def fitted_grade(actor: Float[Tensor, "3 N"], plate: Float[Tensor, "3 N"]) -> Grade | None:
    """The grade that turns the actor's texels into the plate's, colours in [−1, 1].

    Mean and spread are matched, which unlike a regression does not shrink the spread. None where
    the two look alike, or where there is too little to compare.
    """
    if actor.shape[1] < 20 or float((actor - plate).mean(1).abs().max()) * 127.5 < ALIKE_CODES:
        return None
    x, y = _logit(actor), _logit(plate)
    gain = (y.std(1) / x.std(1).clamp_min(1e-3)).clamp(*GAIN)
    return Grade(gain, y.mean(1) - gain * x.mean(1))


def upper_chart(model: MorphableModel, size: int) -> Bool[Tensor, "R R"]:
    """Texels above the repainted area: what both recordings show whatever is said."""
    below = model.uv[model.lower_face & ~model.inside, 1].min()
    rows = (torch.arange(size) + 0.5) / size
    return (rows < below)[:, None].expand(size, size)


def plate_grades(
    model: MorphableModel, bank: ReferenceBank, clip: Clip, track: Track
) -> tuple[Grade | None, ...]:
    """One grade a shot of the track, None where the plate is graded as the actor's footage.

    Reads the clip once more, keeping a few windows of each shot.
    """
    chart = upper_chart(model, TEXTURE)
    spread = torch.linspace(0, len(bank) - 1, min(FRAMES_A_SHOT, len(bank))).long()
    actor, actor_weight = unwrap(bank.uv[spread].float(), bank.images[spread], TEXTURE)
    grades = []
    for uv, images in _shots(model, clip, track):
        if not len(uv):
            grades.append(None)
            continue
        plate, plate_weight = unwrap(uv, images, TEXTURE)
        both = chart & (actor_weight > 1) & (plate_weight > 1)
        grades.append(fitted_grade(actor[:, both], plate[:, both]))
    return tuple(grades)


def _shots(model: MorphableModel, clip: Clip, track: Track) -> list[tuple[Tensor, Tensor]]:
    """Texture coordinates and windows of a few valid frames of each shot."""
    wanted: dict[int, int] = {}
    for shot in range(len(track.crops)):
        usable = torch.nonzero((track.shot == shot) & track.valid).flatten()
        pick = np.linspace(0, len(usable) - 1, min(FRAMES_A_SHOT, len(usable))).astype(int)
        wanted |= {int(usable[i]): shot for i in pick}
    found: list[list[tuple[Tensor, Tensor]]] = [[] for _ in track.crops]
    frames = range(track.start, track.start + max(wanted, default=-1) + 1)
    for i, frame in enumerate(clip.frames(frames) if wanted else ()):
        if i in wanted:
            crop, here = track.crop(i), track.motion[i : i + 1]
            camera = crop.camera(track.camera)
            left, top = window_corner(model, track.identity, here, camera)[0]
            size = WINDOW_WIDTH, WINDOW_HEIGHT
            view = look(model, track.identity, here, camera.cropped(left, top, 1.0, *size))
            window = cut(crop_image(frame.rgb, crop), left, top, *size)
            image = torch.from_numpy(window.transpose(2, 0, 1).copy())[None]
            found[wanted[i]].append((view.uv, image))
    nothing = (torch.empty(0, 2, 1, 1), torch.empty(0, 3, 1, 1, dtype=torch.uint8))
    return [
        (torch.cat([uv for uv, _ in shot]), torch.cat([image for _, image in shot]))
        if shot
        else nothing
        for shot in found
    ]
