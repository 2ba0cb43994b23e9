"""What a clip's frames show, worked out once: an actor's few frames are drawn again and again."""

import torch
from jaxtyping import Float
from torch import Tensor

from face3d.morphable import MorphableModel
from face3d.view import View, look
from prior.painting.bank import warp_references
from prior.painting.conditions import Conditions
from prior.training.train_renderer import Draw, TrainingClip, draw

LIMIT_BYTES = 600 << 20
"""What is kept at most, about 100 frames with their six nearest references each, of light windows;
of finer ones as many frames."""


class Glances:
    """Views and warped references of a clip's windows, margin included, kept while they fit.

    A shifted window is a cut of them, because windows shift by whole pixels.
    """

    def __init__(self, clip: TrainingClip, model: MorphableModel, limit: int = LIMIT_BYTES) -> None:
        self.clip, self.model, self.left = clip, model, limit * clip.windows.scale**2
        self.views: dict[int, View] = {}
        self.warps: dict[tuple[int, int], Tensor] = {}

    def sample(self, generator: torch.Generator) -> tuple[Conditions, Float[Tensor, "1 3 H W"]]:
        """What `draw_sample` returns of the same clip and generator."""
        return self.seen(draw(self.clip, generator))

    def seen(self, drawn: Draw) -> tuple[Conditions, Float[Tensor, "1 3 H W"]]:
        windows, at = self.clip.windows, slice(drawn.index, drawn.index + 1)
        camera = windows.camera(drawn.index, drawn.dx, drawn.dy, windows.margin)
        view = self.view(drawn.index)
        warps = [self.warp(drawn.index, view, pick) for pick in drawn.chosen[0].tolist()]
        rows, columns = drawn.within(camera, windows.margin)
        image = windows.images[at, :, rows, columns].float() / 127.5 - 1
        outer = self.clip.outer[at, None, rows, columns].float()
        inner = view.inner[:, None, rows, columns].float() * outer
        references = torch.stack([warp[:, rows, columns] for warp in warps])[None].float()
        return Conditions(
            uv=view.uv[..., rows, columns],
            inner=inner,
            outer=outer,
            mouth=view.mouth[..., rows, columns],
            plate=image * (1 - outer),
            references=references * inner[:, None],
        ), image

    def view(self, index: int) -> View:
        if index in self.views:
            return self.views[index]
        windows = self.clip.windows
        motion = windows.motion[index : index + 1]
        view = look(self.model, windows.identity, motion, windows.camera(index))
        kept = (view.uv, view.fragments.face, view.fragments.barycentric, view.inner, view.mouth)
        if self._fits(kept):
            self.views[index] = view
        return view

    def warp(self, index: int, view: View, pick: int) -> Float[Tensor, "4 H W"]:
        """A reference in a frame's pose; in half precision a sixteenth of a code value is lost."""
        if (index, pick) in self.warps:
            return self.warps[index, pick]
        chosen = torch.tensor([[pick]], device=view.uv.device)
        warp = warp_references(self.model, view, self.clip.bank, chosen)[0, 0].half()
        if self._fits((warp,)):
            self.warps[index, pick] = warp
        return warp

    def _fits(self, tensors: tuple[Tensor, ...]) -> bool:
        size = sum(tensor.nbytes for tensor in tensors)
        fits = size <= self.left
        self.left -= size if fits else 0
        return fits
