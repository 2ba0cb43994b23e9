"""A person as the renderer knows them, and the painting of their mouth into frames."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from core.camera import Camera
from core.device import on_device
from face3d.mask import (
    MARGIN_PIXELS,
    covered,
    covered_mask,
    grown,
    sweep_covering,
    swept_mask,
    with_cheeks,
)
from face3d.morphable import MorphableModel
from face3d.track import Crop, Identity, Motion, Track, camera_vertices
from face3d.view import Patch, crop_image, cut, look
from media.frame import Frame
from prior.painting.bank import (
    ReferenceBank,
    choose_references,
    distances,
    pixels_in_reference,
)
from prior.painting.close_up import WORTH, CloseUp
from prior.painting.composite import FEATHER_PIXELS, Painted, matte_of
from prior.painting.conditions import Conditions, assembled
from prior.painting.detail import Lender, detailed
from prior.painting.grade import Grade, Lit
from prior.painting.skin import Skin
from prior.painting.window import Window, window_of
from render.fragments import rasterize
from render.neural_texture import NeuralTexture

BATCH = 4

SHOWN = 2
"""References that the network is shown."""

LENDERS = 3
"""References that lend detail to a large face, those that are shown among them."""


@dataclass(frozen=True)
class Person:
    """Face model, identity, texture, network (a `DeferredRenderer`, or what runs one faster),
    reference frames and skin of one person; their close-ups where detail is to come from them.

    Painted in crops `scale` times as fine as a track's.
    """

    model: MorphableModel
    identity: Identity
    renderer: nn.Module
    texture: NeuralTexture
    bank: ReferenceBank
    skin: Skin
    close_ups: tuple[CloseUp | None, ...] = ()
    scale: int = 1

    def crop(self, track: Track, shot: int) -> Crop:
        """The crop of a track's shot as this person is painted in it."""
        return track.crops[shot].finer(self.scale)


def paint(
    person: Person,
    frames: Iterator[Frame],
    track: Track,
    mouth: Float[Tensor, "T M"],
    grades: tuple[Grade | None, ...],
    copying: bool = False,
) -> Iterator[tuple[Frame, Painted | None]]:
    """Each frame with the person's lower face painted as `mouth` says; None where the track is not
    valid. `frames` are those of the track, in order. Memory does not grow with the shot. What
    neither the plate's mouth nor the new one comes near, a collar say, stays the plate's.

    The motion is the plate's but for the mouth; references are chosen for the whole shot at once,
    so that they change rarely. `grades` are the shots', see `plate_grades`. `copying` shows the
    nearest reference instead of the network's picture: the baseline of every comparison.
    Computed where the person's tensors are; `grades` lie there too.
    """
    device = person.model.mean.device
    motion = on_device(track.motion.with_mouth(mouth), device)
    count = LENDERS if any(person.close_ups) else SHOWN
    chosen = choose_references(distances(person.model, person.bank, motion), count)
    sweep = sweep_covering(mouth)
    windows = [shot_window(person, track, motion, shot) for shot in range(len(track.crops))]
    for batch in batches(frames):
        done: dict[int, Painted] = {}
        for shot, group in by_shot(batch, track).items():
            done |= _paint_batch(
                person, group, track, motion, chosen, windows[shot], sweep, grades[shot], copying
            )
        for i, frame in batch:
            yield frame, done.get(i)


def batches(frames: Iterator[Frame]) -> Iterator[list[tuple[int, Frame]]]:
    """A track's frames, numbered from its first, a few at a time."""
    numbered = enumerate(frames)
    while batch := list(islice(numbered, BATCH)):
        yield batch


def by_shot(batch: list[tuple[int, Frame]], track: Track) -> dict[int, list[tuple[int, Frame]]]:
    """The valid ones of a batch, shot by shot: each shot has a crop and a grade of its own."""
    groups: dict[int, list[tuple[int, Frame]]] = {}
    for i, frame in batch:
        if track.valid[i]:
            groups.setdefault(int(track.shot[i]), []).append((i, frame))
    return groups


def shot_window(person: Person, track: Track, motion: Motion, shot: int) -> Window:
    """The window of a shot of a track in which the mouth moves as in `motion`."""
    known = torch.nonzero((track.shot == shot) & track.valid).flatten()
    line = motion[known.to(motion.mouth.device)]
    plate = on_device(track.motion[known], motion.mouth.device)
    camera = person.crop(track, shot).camera(track.camera)
    return window_of(person.model, person.identity, plate, line, camera, person.scale)


@dataclass(frozen=True)
class Seen:
    """Frames of one shot: what the network is shown of them, `K` references brought into their
    poses, left and top of their windows, their cameras, what of them may be repainted, where the
    line's mouth covers them, and the plate's light on them."""

    conditions: Conditions
    references: Float[Tensor, "B K 4 H W"]
    corners: list[tuple[int, int]]
    cameras: list[Camera]
    swept: Bool[Tensor, "B H W"]
    covered: Bool[Tensor, "B H W"]
    lit: Lit | None


def shown(
    person: Person,
    group: list[tuple[int, Frame]],
    track: Track,
    motion: Motion,
    chosen: Int[Tensor, "T K"],
    window: Window,
    sweep: tuple[float, ...],
    grade: Grade | None,
) -> Seen:
    """A look at frames of one shot; the network is shown the first references of those chosen."""
    model, picked = person.model, torch.tensor([i for i, _ in group], device=motion.mouth.device)
    here = motion[picked]
    image, corners, cameras = cut_out(person, group, track, here, window)
    view = look(model, person.identity, here, cameras)
    swept = swept_mask(model, person.identity, here, cameras, sweep, person.scale)
    outer = with_cheeks(swept, person.scale)[:, None].float()
    lit = None if grade is None else grade.on(view.uv)
    image = image if lit is None else lit.to_actor(image)
    every = assembled(model, view, outer, image, person.bank, chosen.to(picked.device)[picked])
    conditions = replace(every, references=every.references[:, :SHOWN])
    line = covered(model, view.fragments)
    return Seen(conditions, every.references, corners, cameras, swept, line, lit)


def cut_out(
    person: Person,
    group: list[tuple[int, Frame]],
    track: Track,
    motion: Motion,
    window: Window,
) -> tuple[Float[Tensor, "B 3 H W"], list[tuple[int, int]], list[Camera]]:
    """Windows of frames of one shot, colours in [−1, 1]: their left and top, and cameras, too."""
    crop = person.crop(track, int(track.shot[group[0][0]]))
    camera = crop.camera(track.camera)
    corners = window.corners(person.model, person.identity, motion, camera)
    pictures = [
        cut(crop_image(frame.rgb, crop), *corner, *window.size)
        for (_, frame), corner in zip(group, corners, strict=True)
    ]
    image = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(motion.mouth.device)
    cameras = [camera.cropped(*corner, 1.0, *window.size) for corner in corners]
    return image.float() / 127.5 - 1, corners, cameras


def _paint_batch(
    person: Person,
    group: list[tuple[int, Frame]],
    track: Track,
    motion: Motion,
    chosen: Int[Tensor, "T K"],
    window: Window,
    sweep: tuple[float, ...],
    grade: Grade | None,
    copying: bool,
) -> dict[int, Painted]:
    seen = shown(person, group, track, motion, chosen, window, sweep, grade)
    lit, corners, crop = seen.lit, seen.corners, person.crop(track, int(track.shot[group[0][0]]))
    made = painted(person, seen.conditions, copying)
    final = made if lit is None else lit.to_plate(made)
    rgb = _coded(final)
    laid = repainted(person, track.motion[torch.tensor([i for i, _ in group])], seen)
    fine: list[np.ndarray | None] = [None] * len(group)
    if any(person.close_ups) and crop.scale * WORTH < 1:
        contrast, plain = contrast_of(lit, made), _coded(made)
        for k, (i, _) in enumerate(group):
            own = chosen[i : i + 1].to(made.device)
            patch = Patch.around(crop, *corners[k], *window.size)
            lenders = lenders_of(person, seen.references[k], track, motion, own, i, patch)
            place = (crop, *corners[k], person.scale)
            fine[k] = detailed(rgb[k], plain[k], contrast[k], lenders, *place)
    mattes = [matte_of(mask.cpu().numpy(), person.scale) for mask in laid]
    return {
        i: Painted(rgb[k], mattes[k], *corners[k], crop, fine[k]) for k, (i, _) in enumerate(group)
    }


def painted(person: Person, seen: Conditions, copying: bool) -> Float[Tensor, "B 3 H W"]:
    """The network's picture in [−1, 1], or the nearest reference where only copying is asked."""
    with torch.inference_mode():
        if copying:
            made = nearest_reference(seen, person.texture(seen.uv, seen.inner)[:, :3])
        else:
            made = seen.render(person.renderer, person.texture)
        return made.clamp(-1, 1)


def contrast_of(lit: Lit | None, made: Float[Tensor, "B 3 H W"]) -> Float[np.ndarray, "B H W 3"]:
    """What a small difference in the actor's grade becomes in the plate's."""
    if lit is None:
        return np.ones((len(made), *made.shape[-2:], 3), np.float32)
    step = 0.02
    above, below = (lit.to_plate(made + way * step) for way in (1, -1))
    return ((above - below) / (2 * step)).permute(0, 2, 3, 1).cpu().numpy()


def lenders_of(
    person: Person,
    references: Float[Tensor, "K 4 h w"],
    track: Track,
    motion: Motion,
    chosen: Int[Tensor, "1 K"],
    index: int,
    patch: Patch,
) -> list[Lender]:
    """The references of a frame that have close-ups, brought into the plate's own pixels."""
    here, model = motion[index : index + 1], person.model
    camera = patch.camera(track.camera)
    vertices = camera_vertices(model, person.identity, here)
    clip = camera.clip_from_camera(vertices)
    fragments = rasterize(clip, model.triangles, patch.height, patch.width)
    hidden = fragments.face[0] < 0
    lenders = []
    for pick, reference in zip(chosen[0], references, strict=True):
        if (close_up := person.close_ups[int(pick)]) is None:
            continue
        xy = pixels_in_reference(fragments, person.bank, pick[None], model.triangles)[0]
        place = xy.permute(1, 2, 0).masked_fill(hidden[..., None], torch.nan)
        coarse, visible = _coded(reference[None, :3])[0], reference[3].cpu().numpy()
        lenders.append(Lender(close_up, place.cpu().numpy(), coarse, visible))
    return lenders


def repainted(person: Person, plate: Motion, seen: Seen) -> Bool[Tensor, "B H W"]:
    """Where one of two mouths comes near: the plate's own, which must go, or the new one.

    Beyond that the plate's collar is sharper than any painted one. The network is not shown this
    mask, whose outline follows the plate's mouth.
    """
    plate = on_device(plate, person.model.mean.device)
    old = covered_mask(person.model, person.identity, plate, seen.cameras)
    near = grown(old | seen.covered, person.scale * (MARGIN_PIXELS + FEATHER_PIXELS))
    return near & seen.swept


def nearest_reference(
    seen: Conditions, colours: Float[Tensor, "B 3 H W"]
) -> Float[Tensor, "B 3 H W"]:
    """The first reference warped into place; its texture where it is hidden, the ring in-painted.

    No network: what can be had by copying alone.
    """
    best, visible = seen.references[:, 0, :3], seen.references[:, 0, 3:]
    picture = best * visible + colours * (seen.inner - visible) + seen.plate
    ring = (seen.outer - seen.inner)[:, 0] > 0
    result = picture.clone()
    for k in range(len(picture)):
        image = _coded(picture[k : k + 1])[0].astype(np.uint8)
        filled = cv2.inpaint(image, ring[k].cpu().numpy().astype(np.uint8), 3, cv2.INPAINT_TELEA)
        result[k] = torch.from_numpy(filled).permute(2, 0, 1).float() / 127.5 - 1
    return result


def _coded(picture: Float[Tensor, "B 3 H W"]) -> np.ndarray:
    return ((picture.clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).cpu().numpy()
