"""A disturbed track is brought back to where the pictures say."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from moving_head import CAMERA, somebody, speaking
from painted_head import CROP, painted_windows, picture, texture_at
from torch import Tensor

from face3d.mask import swept_mask
from face3d.morphable import default_model
from face3d.topology import LIPS
from face3d.track import Motion, Track, camera_vertices
from media.frame import Frame
from media.pixels import Colour, pixel_format, planes_of_rgb
from prior.painting.bank import ReferenceBank
from prior.painting.conditions import Conditions
from prior.painting.person import Person
from prior.painting.registration import Sight, moved, registered
from prior.painting.skin import TEXELS, Skin
from prior.painting.track_registration import (
    REENACTED,
    SPOKEN,
    Registration,
    between,
    registered_track,
    settled,
    steadied,
)
from render.deferred import DeferredRenderer, RendererConfig
from render.neural_texture import NeuralTexture

MODEL = default_model()
WHO = somebody()
MOTION = speaking(24)[torch.arange(0, 24, 6)]
COUNT = len(MODEL.mouth) + 6


def known(seen: Conditions) -> Tensor:
    """A renderer that knows the texture: what it paints lies where the motion says."""
    return torch.where(seen.inner > 0, texture_at(seen.uv), seen.plate)


@pytest.fixture(scope="module")
def sight() -> Sight:
    windows = painted_windows(MOTION)
    cameras = [windows.camera(i) for i in range(len(windows))]
    bank = ReferenceBank.of(MODEL, WHO, MOTION, windows.frame, windows.images, cameras)
    outer = torch.stack(
        [swept_mask(MODEL, WHO, MOTION[i : i + 1], c)[0] for i, c in enumerate(cameras)]
    )
    image = windows.images.float() / 127.5 - 1
    chosen = torch.zeros(len(MOTION), 2, dtype=torch.int64)
    return Sight(MODEL, WHO, bank, image, outer[:, None].float(), tuple(cameras), chosen)


def astray(motion: Motion) -> float:
    """Mean distance of the lips from their place, pixels of the crop."""
    camera = CROP.camera(CAMERA)
    places = [
        camera.pixels_from_camera(camera_vertices(MODEL, WHO, m))[:, list(LIPS)]
        for m in (motion, MOTION)
    ]
    return float((places[0] - places[1]).norm(dim=-1).mean())


def disturbed(mouth: float, seed: int = 0) -> Motion:
    """The motion with head and, by `mouth` times what is expected, mouth beside their place."""
    change = torch.randn(len(MOTION), COUNT, generator=torch.Generator().manual_seed(seed))
    change[:, :-6] *= mouth
    return moved(MOTION, change)


def test_head_and_mouth_come_back(sight: Sight) -> None:
    """Kills steps of the wrong sign or unit, slopes of x for y, a painting moved the other way."""
    wrong = disturbed(mouth=1.0)
    change, sure = registered(sight, wrong, known, rounds=3)
    before, after = astray(wrong), astray(moved(wrong, change))
    assert before > 1.0
    assert after < 0.3 * before
    assert torch.linalg.eigvalsh(sure).min() > 0.99  # no surer of nothing than before


def test_a_held_mouth_stays_and_the_head_comes_back(sight: Sight) -> None:
    """Kills a head that is placed by moving the mouth as well."""
    wrong = disturbed(mouth=0.0)
    change, _ = registered(sight, wrong, known, rounds=3, mouth=False)
    assert change[:, :-6].abs().max() < 1e-3
    assert astray(moved(wrong, change)) < 0.3 * astray(wrong)


def test_what_lies_right_is_left_alone(sight: Sight) -> None:
    """Kills rounds that are taken though the painting fits worse after them."""
    change, _ = registered(sight, MOTION, known, rounds=2)
    assert astray(moved(MOTION, change)) < 0.05

    def liar(seen: Conditions) -> Tensor:
        """Paints the face far aside, wherever it is asked to: nothing can mend that."""
        return known(seen).roll(40, -1)

    wrong = disturbed(mouth=1.0)
    change, _ = registered(sight, wrong, liar, rounds=2)
    errors = []
    for motion in (wrong, moved(wrong, change)):
        _, seen = sight.observe(motion)
        errors.append(((liar(seen) - sight.image) * sight.outer).abs().mean((1, 2, 3)))
    assert (errors[1] < 1.05 * errors[0]).all()


def test_between_painted_frames_a_shot_changes_evenly() -> None:
    """Kills changes that cross a cut, that stop at the last painted frame, or that are nought."""
    values = torch.tensor([9.0, 2.0, 9.0, 4.0, 9.0, 9.0, 8.0])[:, None]
    painted = torch.tensor([False, True, False, True, False, False, True])
    shot = torch.tensor([0, 0, 0, 0, 0, 1, 1])
    assert between(values, painted, shot)[:, 0].tolist() == [2.0, 2.0, 3.0, 4.0, 4.0, 8.0, 8.0]
    nobody = between(torch.zeros(2, 1), torch.tensor([False, False]), torch.tensor([0, 0]))
    assert nobody.tolist() == [[0.0], [0.0]]


def test_steady_heads_do_not_average_across_a_cut() -> None:
    """Kills one bell over all shots: a shot's correction is its own."""
    change = torch.cat([torch.zeros(20, 1), torch.ones(20, 1)])
    shot = torch.arange(40) // 20
    assert torch.equal(steadied(change, shot, 5.0), change)
    assert 0.1 < float(steadied(change, 0 * shot, 5.0)[20, 0]) < 0.9


def frames() -> Iterator[Frame]:
    fmt = pixel_format("yuv444p")
    colour = Colour().resolved(fmt, 512, 512)
    for i in range(len(MOTION)):
        rgb = picture(WHO, MOTION[i : i + 1], CAMERA)[0].permute(1, 2, 0).numpy()
        planes = planes_of_rgb(np.ascontiguousarray(rgb), fmt, colour)
        yield Frame(i, i, tuple(np.rint(p).astype(np.uint8) for p in planes), fmt, Colour())


def track_of(motion: Motion) -> Track:
    count = len(motion)
    shot = torch.zeros(count, dtype=torch.int64)
    valid = torch.ones(count, dtype=torch.bool)
    zeros, ones = torch.zeros(count), torch.ones(count)
    return Track(Fraction(25), 0, CAMERA, (CROP,), shot, WHO, motion, valid, zeros, ones)


def test_a_frame_is_unsure_where_it_cannot_be_told() -> None:
    """Kills smoothing of what is certain, units of pose and mouth in each other's place."""
    still = MOTION[torch.zeros(60, dtype=torch.int64)]
    change = torch.zeros(60, COUNT)
    change[30, -6] = change[30, 0] = 1.0
    sure = 1e6 * torch.eye(COUNT).repeat(60, 1, 1)
    certain = settled(track_of(still), change, sure)
    assert torch.allclose(certain.mouth, moved(still, change).mouth, atol=1e-3)
    assert torch.allclose(certain.rotation, moved(still, change).rotation, atol=1e-4)
    sure[30] = 1e-6 * torch.eye(COUNT)
    doubted = settled(track_of(still), change, sure)
    assert torch.allclose(doubted.mouth, still.mouth, atol=1e-2)
    assert torch.allclose(doubted.rotation, still.rotation, atol=1e-4)
    assert torch.equal(doubted.upper, still.upper)


def person_of(motion: Motion) -> Person:
    """Somebody whose references are filed under a motion; the network is new and copies them."""
    windows = painted_windows(MOTION)
    cameras = [windows.camera(i) for i in range(len(windows))]
    bank = ReferenceBank.of(MODEL, WHO, motion, windows.frame, windows.images, cameras)
    skin = Skin(torch.zeros(3, TEXELS, TEXELS), torch.zeros(TEXELS, TEXELS, dtype=torch.bool))
    network = DeferredRenderer(RendererConfig(widths=(8, 8, 8, 8)))
    v, u = torch.meshgrid(*[(torch.arange(128) + 0.5) / 128] * 2, indexing="ij")
    texture = torch.cat([texture_at(torch.stack([u, v])[None])[0], torch.zeros(13, 128, 128)])
    return Person(MODEL, WHO, network, NeuralTexture(texture), bank, skin)


def test_a_plate_is_brought_to_the_references() -> None:
    """Kills windows or cameras of another frame, a mouth that a new line's plate gives up."""
    wrong = track_of(disturbed(mouth=0.0))
    person = person_of(MOTION)
    every = replace(REENACTED, every=1)
    placed = registered_track(person, frames(), wrong, (None,), every, copying=True)
    assert astray(placed.motion) < 0.6 * astray(wrong.motion)
    spoken = registered_track(person, frames(), wrong, (None,), SPOKEN, copying=True)
    assert torch.allclose(spoken.motion.mouth, wrong.motion.mouth, atol=1e-3)
    assert not torch.equal(spoken.motion.rotation, wrong.motion.rotation)


def test_footage_is_not_painted_by_itself() -> None:
    """Kills a frame that is its own reference: filed under its own wrong motion it looks right."""
    wrong = disturbed(mouth=0.0)
    person, how = person_of(wrong), Registration(every=1, rounds=1)
    apart = torch.arange(len(MOTION)) * 100
    person = replace(person, bank=replace(person.bank, frame=apart))
    alone = registered_track(person, frames(), track_of(wrong), (None,), how, copying=True)
    told = registered_track(
        person, frames(), track_of(wrong), (None,), how, copying=True, numbers=apart
    )
    before = astray(wrong)
    assert astray(alone.motion) > 0.95 * before
    assert astray(told.motion) < 0.92 * before
