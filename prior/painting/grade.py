"""The difference of light and grade between two recordings of one person, told by their skin.

A plate is seldom lit and graded as the footage its actor was learned from. The renderer works in
the actor's light: the plate's window is brought there and the painted one back. What the plate's
own mouth looks like is not known; the skin around it is, and the shape of the face says how light
goes on from there.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.linalg import spsolve
from torch import Tensor

from face3d.anatomy import FACE_V
from face3d.morphable import MorphableModel
from face3d.track import Identity, Track
from media.footage import Footage
from prior.painting.skin import Skin, normal_chart, skin_of
from render.sampling import sample_texture

ENOUGH_TEXELS = 40
ALIKE_CODES = 6.0
"""Mean skin colours that differ by fewer code values are pose and shading, not another grade."""

GAIN = (0.5, 2.0)
RIDGE = 1.0
"""Texels' worth of belief that the two recordings are lit alike."""

OUTLIER_LOGITS = 0.25
"""A texel this far from the fitted light counts half: hair, hands and highlights are not light."""

FARTHEST_LOGITS = 1.0
"""The most that skin may differ from the fitted light where both recordings show it."""


@dataclass(frozen=True)
class Grade:
    """logit(plate) = gain · logit(actor) + light(uv), per channel of colours in [0, 1].

    Black and white stay what they are, so teeth do not burn out when dark skin turns bright.
    """

    gain: Float[Tensor, "3"]
    light: Float[Tensor, "3 R R"]

    def on(self, uv: Float[Tensor, "B 2 H W"]) -> "Lit":
        """The grade of what views show."""
        return Lit(self.gain, self.light_at(uv))

    def to_plate(
        self, colours: Float[Tensor, "B 3 H W"], uv: Float[Tensor, "B 2 H W"]
    ) -> Float[Tensor, "B 3 H W"]:
        """Actor's colours in [−1, 1] as the plate would show them."""
        return self.on(uv).to_plate(colours)

    def to_actor(
        self, colours: Float[Tensor, "B 3 H W"], uv: Float[Tensor, "B 2 H W"]
    ) -> Float[Tensor, "B 3 H W"]:
        """The inverse."""
        return self.on(uv).to_actor(colours)

    def facts(self) -> dict[str, list[float]]:
        """Gain, and the light's mean over the chart, for a record."""
        light = self.light.mean((1, 2))
        return {
            "gain": [round(float(v), 3) for v in self.gain],
            "light": [round(float(v), 3) for v in light],
        }

    def light_at(self, uv: Float[Tensor, "B 2 H W"]) -> Float[Tensor, "B 3 H W"]:
        """The light on what a view shows; beside the face and in the mouth that of the skin near.

        Push and pull over coarser and coarser means.
        """
        skin = ((uv > 0).all(1, keepdim=True) & (uv[:, 1:] < FACE_V)).float()
        layers = [torch.cat([sample_texture(self.light[None], uv, skin), skin], 1)]
        while min(layers[-1].shape[-2:]) > 1:
            layers.append(torch.nn.functional.avg_pool2d(layers[-1], 2, ceil_mode=True))
        result = layers[-1][:, :3] / layers[-1][:, 3:].clamp_min(1e-6)
        for layer in reversed(layers):
            known, size = layer[:, 3:], layer.shape[-2:]
            result = torch.nn.functional.interpolate(result, size, mode="bilinear")
            result = torch.where(known > 0, layer[:, :3] / known.clamp_min(1e-6), result)
        return result


@dataclass(frozen=True)
class Lit:
    """A grade in views: each pixel's light, looked up once for all that is done with it."""

    gain: Float[Tensor, "3"]
    light: Float[Tensor, "B 3 H W"]

    def to_plate(self, colours: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """Actor's colours in [−1, 1] as the plate would show them."""
        return _from_logit(_logit(colours) * self.gain[:, None, None] + self.light)

    def to_actor(self, colours: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """The inverse."""
        return _from_logit((_logit(colours) - self.light) / self.gain[:, None, None])


def random_grade(normals: Float[Tensor, "3 R R"], generator: torch.Generator) -> Grade:
    """What a fitted grade may leave between two recordings: light from elsewhere, a touch of tint.

    Training shows it to the renderer, which is to take the light of the plate around the mouth.
    """

    def some(count: int, spread: float) -> Tensor:
        return spread * torch.randn(count, generator=generator)

    level = some(1, 0.12) + some(3, 0.04)
    along = (some(3, 0.25)[:, None, None] * normals).sum(0)
    return Grade(1 + some(1, 0.08).clamp(-0.2, 0.2).expand(3), level[:, None, None] + along)


def _logit(colours: Tensor) -> Tensor:
    return torch.logit((colours + 1) / 2, eps=0.5 / 255)


def _from_logit(values: Tensor) -> Tensor:
    return 2 * torch.sigmoid(values) - 1


def fitted_grade(actor: Skin, plate: Skin, normals: Float[Tensor, "3 R R"]) -> Grade | None:
    """The grade that turns the actor's skin into the plate's.

    First-order spherical harmonics of the face's normals (Ramamoorthi and Hanrahan 2001) where the
    plate shows no skin of its own; what they leave over at the skin that it does show goes on
    inwards as a membrane. None where the two look alike, or with too little to compare.
    """
    both = actor.known & plate.known & (normals.square().sum(0) > 0.5)
    difference = (actor.colours - plate.colours)[:, both].mean(1).abs().max() * 127.5
    if int(both.sum()) < ENOUGH_TEXELS or float(difference) < ALIKE_CODES:
        return None
    gains, lights = [], []
    for mine, theirs in zip(_logit(actor.colours), _logit(plate.colours), strict=True):
        gain, light = _fitted_light(mine, theirs, normals, both)
        gains.append(gain)
        lights.append(light + membrane(theirs - gain * mine - light, both))
    return Grade(torch.stack(gains), torch.stack(lights))


def _fitted_light(
    actor: Float[Tensor, "R R"],
    plate: Float[Tensor, "R R"],
    normals: Float[Tensor, "3 R R"],
    both: Tensor,
) -> tuple[Float[Tensor, ""], Float[Tensor, "R R"]]:
    """Gain and offset of logits, the offset linear in the normal; robust.

    What light does not explain is compared for the gain. Regression would shrink it, because two
    recordings never lie on each other exactly, and a mouth in shrunken contrast is a blurred one;
    matched spreads would take cast shadows for contrast. The geometric mean lies between.
    """
    pair = torch.stack([actor[both], plate[both]], 1)
    design = torch.stack([torch.ones(len(pair)), *normals[:, both]], 1)
    # No prior on the constant: a recording may be as dark as it likes.
    ridge = RIDGE * torch.diag(torch.tensor([0.0, 1.0, 1.0, 1.0]))
    weight = torch.ones(len(pair), 1)
    gain, shading = torch.tensor(1.0), torch.zeros(4)
    for _ in range(6):
        weighted = design * weight
        lit = torch.linalg.solve(weighted.T @ design + ridge, weighted.T @ pair)
        rest = pair - design @ lit
        spread = (weight * rest.square()).sum(0).sqrt().clamp_min(1e-3)
        agreement = (weight[:, 0] * rest.prod(1)).sum() / spread.prod()
        gain = (spread[1] / spread[0] * agreement.clamp_min(0).sqrt()).clamp(*GAIN)
        shading = lit[:, 1] - gain * lit[:, 0]
        error = rest[:, 1] - gain * rest[:, 0]
        weight = (1 / (1 + (error / OUTLIER_LOGITS).square()))[:, None]
    return gain, shading[0] + (shading[1:, None, None] * normals).sum(0)


def membrane(values: Float[Tensor, "R R"], known: Tensor) -> Float[Tensor, "R R"]:
    """Values where known, without pores; elsewhere the surface stretched between them.

    Laplace's equation with the known texels as its border.
    """
    weight = known.numpy().astype(np.float32)
    smooth = cv2.GaussianBlur(values.numpy() * weight, (0, 0), 1.0)
    smooth = smooth / np.maximum(cv2.GaussianBlur(weight, (0, 0), 1.0), 1e-6)
    border = np.clip(smooth, -FARTHEST_LOGITS, FARTHEST_LOGITS).ravel()
    fixed = weight.ravel() > 0
    cell = np.arange(fixed.size).reshape(known.shape)
    pairs = np.concatenate(
        [np.stack([cell[:, 1:], cell[:, :-1]], -1).reshape(-1, 2),
         np.stack([cell[1:], cell[:-1]], -1).reshape(-1, 2)]
    )  # fmt: skip
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    links = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(fixed.size,) * 2).tocsr()
    laplacian = diags(np.asarray(links.sum(1)).ravel()) - links
    held, free = diags(fixed.astype(float)), diags((~fixed).astype(float))
    system = csc_matrix(held + free @ laplacian)
    stretched = spsolve(system, np.where(fixed, border, 0.0))
    return torch.from_numpy(stretched.reshape(known.shape)).float()


def plate_grades(
    model: MorphableModel, face: Identity, skin: Skin, clip: Footage, track: Track
) -> tuple[Grade | None, ...]:
    """One grade a shot of the track, None where the plate is graded as the actor's footage.

    Reads the clip once more, keeping a few face crops of each shot.
    """
    normals = normal_chart(model, face)

    def graded(shot: int) -> Grade | None:
        valid = torch.nonzero((track.shot == shot) & track.valid).flatten().numpy()
        if not len(valid):
            return None
        return fitted_grade(skin, skin_of(model, clip, track, valid, hidden=True), normals)

    return tuple(graded(shot) for shot in range(len(track.crops)))
