"""What the renderer is shown of a frame: texture lookups, the masked plate, warped references."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from face3d.morphable import MorphableModel
from face3d.view import View
from prior.painting.bank import ReferenceBank, warp_references
from prior.painting.grade import Grade
from render.neural_texture import NeuralTexture


@dataclass(frozen=True)
class Conditions:
    """Inputs of `B` windows, colours in [−1, 1]; `mouth` marks lips and teeth for the losses."""

    uv: Float[Tensor, "B 2 H W"]
    inner: Float[Tensor, "B 1 H W"]
    outer: Float[Tensor, "B 1 H W"]
    mouth: Bool[Tensor, "B H W"]
    plate: Float[Tensor, "B 3 H W"]
    references: Float[Tensor, "B K 4 H W"]

    def __getitem__(self, pick: slice | Tensor) -> "Conditions":
        return Conditions(*(value[pick] for value in vars(self).values()))

    def render(self, renderer: nn.Module, texture: NeuralTexture) -> Tensor:
        """The renderer's picture [B 3 H W] in [−1, 1] for one person's texture."""
        return self.render_features(renderer, texture(self.uv, self.inner))

    def render_features(self, renderer: nn.Module, features: Tensor) -> Tensor:
        masks = torch.cat([self.inner, self.outer], 1)
        return renderer(features, self.plate, masks, self.references)


def assembled(
    model: MorphableModel,
    view: View,
    outer: Float[Tensor, "B 1 H W"],
    image: Float[Tensor, "B 3 H W"],
    bank: ReferenceBank,
    chosen: Int[Tensor, "B K"],
) -> Conditions:
    """The conditions of frames whose windows `image` a view is of, colours in the actor's grade.

    Of the image only what lies outside the outer mask survives.
    """
    inner = view.inner[:, None].float() * outer
    return Conditions(
        uv=view.uv,
        inner=inner,
        outer=outer,
        mouth=view.mouth,
        plate=image * (1 - outer),
        references=warp_references(model, view, bank, chosen) * inner[:, None],
    )


def stacked(parts: list[Conditions]) -> Conditions:
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Conditions(*(torch.cat(column) for column in columns))


def tinted(
    conditions: Conditions, features: Tensor, gain: Float[Tensor, "B 3 1 1"]
) -> tuple[Conditions, Tensor]:
    """The same frames under light of another colour: everything that holds colours is scaled.

    Black stays black: colours are scaled in [0, 1].
    """

    def scaled(colours: Tensor, shown: Tensor, by: Tensor) -> Tensor:
        return (colours + shown) * by - shown

    plate = scaled(conditions.plate, 1 - conditions.outer, gain)
    references = conditions.references.clone()
    shown = references[:, :, 3:]
    references[:, :, :3] = scaled(references[:, :, :3], shown, gain[:, None])
    colours = scaled(features[:, :3], conditions.inner, gain)
    features = torch.cat([colours, features[:, 3:]], 1)
    return replace(conditions, plate=plate, references=references), features


def relit(
    conditions: Conditions, image: Float[Tensor, "B 3 H W"], light: Grade
) -> tuple[Conditions, Float[Tensor, "B 3 H W"]]:
    """The same frames in another light than texture and references know, and their pictures."""
    lit = light.to_plate(image, conditions.uv)
    return replace(conditions, plate=lit * (1 - conditions.outer)), lit
