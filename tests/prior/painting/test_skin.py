"""Skin charts: whole faces from footage, and what a plate's hidden mouth must not tell."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from face3d.mask import swept_mask
from face3d.morphable import default_model
from face3d.track import Identity, Track
from media.clip import Clip
from media.frame import Frame
from media.pixels import pixel_format, planes_of_rgb
from prior.painting.skin import normal_chart, skin_of

MODEL = default_model()
FULL = pixel_format("yuv444p")


def green_mouth(clip: Clip, track: Track) -> Clip:
    """A clip whose hidden pixels are all painted green."""

    class GreenMouth(Clip):
        def frames(self, frames: range | None = None) -> Iterator[Frame]:
            for frame in clip.frames(frames):
                yield replace(frame, planes=planes(frame), pixels=FULL)

    def planes(frame: Frame) -> tuple[np.ndarray, ...]:
        i = frame.index - track.start
        crop, here = track.crop(i), track.motion[i : i + 1]
        mask = swept_mask(MODEL, track.identity, here, crop.camera(track.camera))[0].numpy()
        nearest = ((np.arange(crop.side) + 0.5) * crop.scale).astype(int)
        rows, columns = np.nonzero(mask[nearest][:, nearest])
        rgb = frame.rgb.copy()
        rgb[crop.top + rows, crop.left + columns] = (0, 255, 0)
        made = planes_of_rgb(rgb, FULL, frame.colour)
        return tuple(np.rint(plane).astype(np.uint8) for plane in made)

    return GreenMouth(**vars(clip))


def test_a_plates_own_mouth_is_not_looked_at(performer_clip: Clip, performer_track: Track) -> None:
    """Kills a leak: were the hidden mouth part of the comparison, its picture would steer the
    output. Everything under the mask turns green, and no texel does."""
    some = np.arange(0, 40, 10)
    painted = green_mouth(performer_clip, performer_track)
    hidden = skin_of(MODEL, painted, performer_track, some, hidden=True)
    whole = skin_of(MODEL, painted, performer_track, some, hidden=False)

    def green(chart: torch.Tensor) -> torch.Tensor:
        return (chart[1] - (chart[0] + chart[2]) / 2) > 0.8

    assert not bool((green(hidden.colours) & hidden.known).any())
    assert int((green(whole.colours) & whole.known).sum()) > 200
    assert 200 < int(hidden.known.sum()) < int(whole.known.sum())


def test_a_cut_to_another_size_of_face_is_looked_across(
    performer_clip: Clip, performer_track: Track
) -> None:
    """Kills pictures of all shots stacked as one: crops of two shots differ in size."""
    some, shot = np.arange(0, 40, 10), torch.zeros_like(performer_track.shot)
    shot[20:] = 1
    crop = performer_track.crops[0]
    smaller = replace(crop, pixels=crop.pixels - 16)
    two_shots = replace(performer_track, crops=(crop, smaller), shot=shot)
    cut = skin_of(MODEL, performer_clip, two_shots, some, hidden=False)
    uncut = skin_of(MODEL, performer_clip, performer_track, some, hidden=False)
    both = cut.known & uncut.known
    assert float(both.sum()) > 0.95 * float(uncut.known.sum())
    assert float((cut.colours - uncut.colours)[:, both].abs().mean()) < 0.03


def test_normals_point_out_of_the_face() -> None:
    """Kills a chart upside down, mirrored or inside out: the left cheek looks to +x, the chin and
    the brow away from each other, all of them forwards."""
    chart = normal_chart(MODEL, Identity(torch.zeros(len(MODEL.identity)), torch.zeros(468, 3)))

    def at(vertex: int) -> torch.Tensor:
        u, v = (MODEL.uv[vertex] * chart.shape[-1]).long().tolist()
        return chart[:, v, u]

    left, right, brow, chin = at(425), at(205), at(9), at(18)
    assert float(left[0]) > 0.2 > -0.2 > float(right[0])
    assert float(brow[1]) > float(chin[1])
    assert min(float(n[2]) for n in (left, right, brow, chin)) > 0.3
