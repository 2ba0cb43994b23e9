"""Ways to learn an actor, each with one thing changed."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from face3d.lips import mouth_opening
from face3d.morphable import MorphableModel, default_model
from face3d.track import Track
from prior.painting.person import Person
from prior.painting.renderer import RendererPrior
from prior.painting.texture_start import TextureStart
from prior.training.corpus import Windows
from prior.training.train_renderer import TrainingClip

SHUT_SHARE = 0.4
"""The least open frames of a person's footage, which stand for a mouth that never opened."""


@dataclass(frozen=True)
class Variant:
    """What is changed, and what that shows."""

    about: str
    prior: bool = True
    steps: bool = True
    """False stops at the feed-forward start."""
    own_colours: bool = True
    """False starts from everybody's texture instead of the unprojected footage."""
    texture_network: bool = True
    """False leaves a texture's further features as everybody's."""
    lips: float = 4.0
    references: int | None = None
    """Reference frames kept; as many as an actor keeps unless told."""
    misfiled: bool = False
    """Each reference stands under another's mouth and pose: chosen as if by chance."""
    arcs: bool = True
    """False takes the teeth out of the face model: the mouth is a bag hung from the lips."""
    copying: bool = False
    """Paste the nearest reference: no network at all."""
    frames: Literal["all", "shut", "few"] = "all"
    """`shut`: only the frames with the least open mouths. `few`: as many frames of any mouth."""


VARIANTS = {
    "prior": Variant("as shipped"),
    "no prior": Variant("network and texture learned from the footage alone", prior=False),
    "nearest frame": Variant("the nearest reference pasted, no network", steps=False, copying=True),
    "no steps": Variant("the feed-forward start: nothing is learned", steps=False),
    "common texture": Variant("texture starts as everybody's mean, not unprojected",
                              own_colours=False),
    "no texture network": Variant("texture starts without the network that saw many people",
                                  texture_network=False),
    "lips as skin": Variant("lips and mouth weigh as much as skin in the loss", lips=1.0),
    "any reference": Variant("references chosen as by chance, not by mouth and pose",
                             misfiled=True),
    "no dental arcs": Variant("no teeth in the face model; the prior learned with them",
                              arcs=False),
    "one reference": Variant("a single reference frame, the most usual one", references=1),
    "shut mouths": Variant("learned from the least open mouths only", frames="shut"),
    "as few frames": Variant("learned from as many frames of any mouth", frames="few"),
}  # fmt: skip

CURVE = ("prior", "no prior", "nearest frame")
ABLATIONS = (
    "no steps", "any reference", "no dental arcs", "common texture", "no texture network",
    "lips as skin", "one reference",
)  # fmt: skip
SHUT = ("shut mouths", "as few frames")
SHUT_SECONDS = 16.0
"""Footage in which shut mouths are looked for."""


def face_model(variant: Variant) -> MorphableModel:
    """The face that the variant is learned and judged with."""
    model = default_model()
    if variant.arcs:
        return model
    tooth = model.inside & (model.uv[:, 0] < 0.5)
    return replace(model, triangles=model.triangles[~tooth[model.triangles.long()].any(1)])


def filed(person: Person, variant: Variant) -> Person:
    """The person whose references are chosen as the variant says."""
    if not variant.misfiled:
        return person
    order = torch.randperm(len(person.bank), generator=torch.Generator().manual_seed(0))
    return replace(person, bank=replace(person.bank, motion=person.bank.motion[order]))


def chosen_frames(track: Track, model: MorphableModel, which: str) -> Track:
    """The track with only the frames valid that the variant learns from."""
    if which == "all":
        return track
    opening = mouth_opening(model, track.motion.mouth)
    usable = torch.nonzero(track.valid).flatten()
    count = round(SHUT_SHARE * len(usable))
    if which == "shut":
        pick = usable[opening[usable].argsort()[:count]]
    else:
        pick = usable[np.linspace(0, len(usable) - 1, count).astype(int)]
    valid = torch.zeros_like(track.valid)
    valid[pick] = True
    return replace(track, valid=valid)


def starting(fit: TrainingClip, variant: Variant) -> TrainingClip:
    """What learning starts from: unseen texels are filled from everybody's mean."""
    if variant.own_colours:
        return fit
    return replace(fit, seen=torch.zeros_like(fit.seen))


def starting_prior(prior: RendererPrior, variant: Variant) -> RendererPrior:
    """The prior that learning starts from; an untrained texture network adds nothing."""
    if variant.texture_network:
        return prior
    return replace(prior, start=TextureStart().state_dict())


def fewer(windows: Windows, count: int | None) -> Windows:
    """The `count` windows whose mouth is nearest to the mean one."""
    if count is None:
        return windows
    mouth = windows.motion.mouth
    pick = (mouth - mouth.mean(0)).norm(dim=1).topk(count, largest=False).indices
    return windows[pick.tolist()]
