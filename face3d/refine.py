"""The photometric stage: a track made of landmarks becomes one that the pictures agree with.

    key frames ─▶ appearance ⇄ pose, expression, identity, focal length (jointly)
    all frames ─▶ pose, mouth, upper face against that appearance (banded Gauss-Newton over time)

The person's own skin is the reference: a sample of the surface should look in every frame as it
looks on average. That average cannot tell where on the face it is; the landmarks do: what they say
on average over the key frames stays, in each single frame they weigh little.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.camera import Camera
from core.progress import Reporter, Silent, Step
from face3d.appearance import Appearance, fit_appearance, harmonics
from face3d.lip_line import (
    INNER_LOWER,
    INNER_UPPER,
    Columns,
    LipLine,
    columns_of,
    learn_lip_line,
    seen_inner_lips,
)
from face3d.morphable import MorphableModel
from face3d.motion import Runs, Told, fit_motion
from face3d.observed import Observed
from face3d.photometric import Surface, colours_at, compare, glance, information
from face3d.picture import LEVELS, Picture
from face3d.samples import surface_samples
from face3d.solve import (
    Fit,
    Information,
    Observation,
    Smoothness,
    joint_step,
    motion_step,
    offset_of,
)
from face3d.track import Identity, Motion, Photometric, Track
from face3d.view import crop_image
from media.clip import Clip


@dataclass(frozen=True)
class Doubt:
    """How many times larger a landmark's error counts once pictures speak too, in every frame and
    in the key frames."""

    frames: float
    keys: float


@dataclass(frozen=True)
class Refinement:
    """How pictures are used; the defaults suit speech."""

    key_frames: int = 48
    rounds: int = 3
    """Alternations of appearance and key frames; all but the last use half the resolution."""
    key_steps: int = 3
    runs: Runs = field(default_factory=lambda: Runs(size=120, overlap=12, steps=3))
    doubt: Doubt = Doubt(frames=4.0, keys=3.0)
    doubt_elsewhere: Doubt = Doubt(frames=2.0, keys=1.0)
    """For a known person in other light, whose skin cannot say where on the face the mesh lies."""
    border_trust: float = 0.35
    """How many times as much as landmarks that nobody doubts inner lips weigh whose gap is known to
    a px256. It falls with that error's fourth power: what makes a wide mouth's borders doubtful
    (tongue, dim teeth, a turned head) moves all its columns together, shut lips are sure."""
    anchor: float = 0.2
    """How many times smaller the error of their mean over the key frames counts."""
    anchor_metres: float = 0.002
    focal_sigma: float = 0.02
    least_frames: int = 8
    """Fewer usable frames than this say nothing about appearance: landmarks must do."""


class Footage:
    """A clip's face crops, decoded in order, window by window; frames that overlap are kept."""

    def __init__(self, clip: Clip, track: Track) -> None:
        self.clip, self.track = clip, track
        self.kept: dict[int, Picture | None] = {}

    def window(self, start: int, stop: int) -> list[Picture | None]:
        """Pictures of the track's frames [start, stop); None where no face is tracked."""
        self.kept = {i: self.kept[i] for i in range(start, stop) if i in self.kept}
        missing = range(start + len(self.kept), stop)
        first = self.track.start
        frames = self.clip.frames(range(first + missing.start, first + missing.stop))
        for index, frame in zip(missing, frames, strict=True):
            usable = bool(self.track.valid[index])
            self.kept[index] = (
                Picture.of(crop_image(frame.rgb, self.track.crop(index))) if usable else None
            )
        return [self.kept[i] for i in range(start, stop)]

    def chosen(self, wanted: Sequence[int]) -> list[Picture]:
        """Pictures of single frames, in one pass over the clip."""
        first, last = self.track.start + wanted[0], self.track.start + wanted[-1]
        pick = set(wanted)
        return [
            Picture.of(crop_image(frame.rgb, self.track.crop(index)))
            for index, frame in enumerate(self.clip.frames(range(first, last + 1)), start=wanted[0])
            if index in pick
        ]


@dataclass(frozen=True)
class Portrait:
    """A person's surface and what it looks like."""

    surface: Surface
    appearance: tuple[Appearance, ...]
    """At every level of a picture: what is blurred must be compared with what is."""


@dataclass(frozen=True)
class Gallery:
    """Pictures of some of a track's frames."""

    track: Track
    frames: Sequence[int]
    pictures: Sequence[Picture | None]

    def views(self, full: Camera) -> list[tuple[Camera, Picture | None]]:
        """Each frame's picture and its crop's part of the full camera."""
        cameras = [self.track.crop(i).camera(full) for i in self.frames]
        return list(zip(cameras, self.pictures, strict=True))

    def columns(self, seen: Observation) -> tuple[Columns, np.ndarray, np.ndarray]:
        """Columns across the mouth, their landmarks in crop pixels, and their frames' places."""
        shown = [i for i, picture in enumerate(self.pictures) if picture is not None]
        crops = [self.track.crop(self.frames[i]) for i in shown]
        corner = np.array([(crop.left, crop.top) for crop in crops])[:, None]
        scale = np.array([crop.scale for crop in crops])[:, None, None]
        xy = (seen.xy[shown].numpy() - corner) * scale
        images = [p.levels[0] for p in self.pictures if p is not None]
        return columns_of(images, xy), xy, np.array(shown)


def refined(
    clip: Clip,
    track: Track,
    seen: Observed,
    model: MorphableModel,
    focal_guess: float | None,
    config: Refinement,
    reporter: Reporter | None = None,
) -> Track:
    """The track after its pictures were heard too; `seen` are the landmarks it was made from.

    Without a `focal_guess` shape, offset and camera are known and stay. A track with hardly a
    valid frame comes back as it is.
    """
    usable = np.flatnonzero(track.valid.numpy())
    if len(usable) < config.least_frames:
        return track
    model = model.to(torch.float64)
    footage = Footage(clip, track)
    start = fit_of(track)
    keys = key_frames(footage, usable, config.key_frames)
    surface = Surface.of(model, surface_samples(model), start.identity)
    held = seen[list(keys.frames)]
    columns, _, _ = keys.columns(held)
    line = learn_lip_line(columns)
    part = replace(start, motion=start.motion[torch.tensor(keys.frames)])
    plain = portrait_of(surface, part, keys)
    anchored = focal_guess is not None or is_known(plain, track.identity)
    doubt = config.doubt if anchored else config.doubt_elsewhere
    held = with_borders(line, keys, held, config.border_trust * doubt.keys**2)
    doubted = replace(held, sigma=held.sigma * doubt.keys)
    part, portrait = fit_keys(model, part, doubted, held, keys, plain, focal_guess, config)

    trust = config.border_trust * doubt.frames**2
    hearing = Hearing(footage, plain, portrait, start, line, trust, config, reporter)
    fit = fit_motion(
        model,
        Fit(part.camera, part.identity, refocused(start, part.camera)),
        replace(seen, sigma=seen.sigma * doubt.frames),
        track.shot.numpy(),
        track.fps,
        config.runs,
        hearing,
    )
    return replace(
        track,
        camera=fit.camera,
        identity=Identity(
            fit.identity.shape.float(), fit.identity.offset.float(), portrait.appearance[0].albedo
        ),
        motion=Motion(*(value.float() for value in vars(fit.motion).values())),
        photometric=Photometric(
            portrait.appearance[0].albedo,
            portrait.appearance[0].light,
            hearing.before,
            hearing.after,
        ),
    )


def with_borders(line: LipLine, gallery: Gallery, seen: Observation, trust: float) -> Observation:
    """The observation with inner lips where the pictures show their borders, and trusted there."""
    if all(picture is None for picture in gallery.pictures):
        return seen
    columns, xy, shown = gallery.columns(seen)
    inner = INNER_UPPER + INNER_LOWER
    lips, error = seen_inner_lips(line, columns, xy)
    moved = (lips - xy)[:, inner]
    scale = np.array([gallery.track.crop(gallery.frames[i]).scale for i in shown])
    corrected, weight = seen.xy.clone(), seen.weight.clone()
    at = torch.from_numpy(shown)[:, None], torch.tensor(inner)
    corrected[at] += torch.from_numpy(moved / scale[:, None, None])
    weight[at] *= torch.from_numpy(np.tile(trust / error**4, 2))
    return Observation(corrected, weight, seen.sigma)


def fit_of(track: Track) -> Fit:
    """A track's state, in the solver's precision."""
    identity = Identity(track.identity.shape.double(), track.identity.offset.double())
    return Fit(track.camera, identity, Motion(*(v.double() for v in vars(track.motion).values())))


def key_frames(footage: Footage, usable: np.ndarray, count: int) -> Gallery:
    """At most `count` usable frames, spread over the clip."""
    picked = np.unique(np.linspace(0, len(usable) - 1, count).astype(int))
    frames = usable[picked].tolist()
    return Gallery(footage.track, frames, footage.chosen(frames))


def refocused(fit: Fit, camera: Camera) -> Motion:
    """The fit's motion, as far off as the same size in another camera asks."""
    translation = fit.motion.translation.clone()
    translation[:, 2] *= camera.focal / fit.camera.focal
    return replace(fit.motion, translation=translation)


def fit_keys(
    model: MorphableModel,
    fit: Fit,
    doubted: Observation,
    seen: Observation,
    keys: Gallery,
    portrait: Portrait,
    focal_guess: float | None,
    config: Refinement,
) -> tuple[Fit, Portrait]:
    """Key frames and the appearance they share, in turns; frames are independent of each other.

    A constant shift of the mesh over the skin would go unnoticed, and drifts to where the skin is
    smooth. It is taken off after each round: the mean residual of the landmarks `seen` becomes the
    offset. In single frames they are `doubted`.
    """
    alone = np.zeros(len(fit.motion), bool)
    anchor = replace(seen, sigma=seen.sigma * config.anchor)
    for turn in range(config.rounds):
        level = int(turn < config.rounds - 1)
        for _ in range(config.key_steps):
            views = keys.views(fit.camera)
            told = information(
                portrait.surface,
                fit.motion,
                views,
                portrait.appearance[level],
                level,
                focal_guess is not None,
            )
            if focal_guess is None:
                fit = motion_step(model, fit, doubted, FREE, alone, 0, told)
            else:
                [fit] = joint_step(
                    model, [fit], [doubted], config.focal_sigma, [focal_guess], [told]
                )
                portrait = replace(portrait, surface=portrait.surface.of_identity(fit.identity))
        if focal_guess is not None:
            offset = offset_of(model, [fit], [anchor], config.anchor_metres)
            fit = replace(fit, identity=replace(fit.identity, offset=offset))
        surface = portrait.surface.of_identity(fit.identity)
        portrait = portrait_of(surface, fit, keys)
    return fit, portrait


FREE = Smoothness(1.0, 1.0, 1.0, 1.0, 1.0)
"""Stands where no two frames are linked."""


def portrait_of(surface: Surface, fit: Fit, keys: Gallery) -> Portrait:
    """The surface and its looks at each level."""
    return Portrait(
        surface, tuple(appearance_of(surface, fit, keys, level) for level in range(LEVELS))
    )


def appearance_of(surface: Surface, fit: Fit, keys: Gallery, level: int) -> Appearance:
    """What the samples look like over the key frames; known skin in the same light stays known
    at the finest level.

    Without that each clip would settle on a place of its own for the mesh on the skin, and what an
    actor learned would lie beside what a plate shows.
    """
    normals = surface.normals(fit.motion)
    colours, basis, seen = [], [], []
    for t, (camera, picture) in enumerate(keys.views(fit.camera)):
        assert picture is not None, "a key frame shows a face"
        look = glance(surface, normals[t], fit.motion[t : t + 1], camera)
        colour, _, inside = colours_at(picture, look.xy, level)
        colours.append(colour)
        basis.append(harmonics(look.normals))
        seen.append(look.openly * inside)
    shown = torch.stack(colours), torch.stack(basis), torch.stack(seen)
    own = fit_appearance(*shown)
    if keys.track.identity.albedo is None or level > 0:
        return own
    known = fit_appearance(*shown, keys.track.identity.albedo)
    return known if lit_alike(own, known) else own


SAME_LIGHT = 1.5
"""Error under known skin, over that under a clip's own: 1.0 to 1.2 within a recording, 1.9 to 2.2
between two of one person in other light."""


def is_known(portrait: Portrait, identity: Identity) -> bool:
    """Whether the portrait shows the skin that is known of a person, and no other."""
    if identity.albedo is None:
        return False
    told = (identity.albedo > 0).all(-1)
    return torch.equal(portrait.appearance[0].albedo[told], identity.albedo[told])


def lit_alike(own: Appearance, known: Appearance) -> bool:
    """Whether known skin explains a clip nearly as well as the clip's own.

    Cast shadows of another recording do not go into a light of nine harmonics; they would pull the
    mesh aside.
    """
    both = torch.isfinite(own.spread) & torch.isfinite(known.spread)
    return float(known.spread[both].median()) < SAME_LIGHT * float(own.spread[both].median())


def photometric_residual(
    portrait: Portrait, motion: Motion, views: Sequence[tuple[Camera, Picture | None]]
) -> Float[Tensor, "T"]:
    """Mean absolute difference of pictures and lit model on visible samples, code values of 255.

    NaN in frames without a picture.
    """
    normals = portrait.surface.normals(motion)
    result = torch.full((len(motion),), torch.nan)
    for t, (camera, picture) in enumerate(views):
        if picture is not None:
            look = glance(portrait.surface, normals[t], motion[t : t + 1], camera)
            off = compare(look, picture, portrait.appearance[0], 0).residual.abs().mean(-1)
            result[t] = (off * look.openly).sum() / look.openly.sum().clamp_min(1e-6)
    return result


class Hearing:
    """What a clip's pictures tell, window after window, and the residuals met on the way.

    `before` is the residual of the landmarks' fit with the appearance that belongs to it, `after`
    the refined one's where its last step begins.
    """

    def __init__(
        self,
        footage: Footage,
        plain: Portrait,
        portrait: Portrait,
        start: Fit,
        line: LipLine,
        trust: float,
        config: Refinement,
        reporter: Reporter | None,
    ) -> None:
        self.footage, self.plain, self.portrait = footage, plain, portrait
        self.start, self.line, self.trust, self.config = start, line, trust, config
        self.reporter = reporter or Silent()
        self.before = torch.full((len(start.motion),), torch.nan)
        self.after = self.before.clone()
        self.began = monotonic()

    def __call__(self, start: int, stop: int, seen: Observation) -> tuple[Observation, Told]:
        window = Gallery(self.footage.track, range(start, stop), self.footage.window(start, stop))
        here = slice(start, stop)
        self.before[here] = photometric_residual(
            self.plain, self.start.motion[here], window.views(self.start.camera)
        )

        def told(fit: Fit, step: int) -> Information:
            views = window.views(fit.camera)
            if step == self.config.runs.steps - 1:
                self.after[here] = photometric_residual(self.portrait, fit.motion, views)
                seconds = monotonic() - self.began
                self.reporter.step(Step("fit the pictures", stop, len(self.before), seconds))
            level = int(step == 0)
            surface, appearance = self.portrait.surface, self.portrait.appearance[level]
            return information(surface, fit.motion, views, appearance, level)

        return with_borders(self.line, window, seen, self.trust), told
