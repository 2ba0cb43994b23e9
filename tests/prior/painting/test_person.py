"""Painting a person into frames: the plate comes back where nothing is said anew."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from moving_head import CAMERA, somebody, speaking
from painted_head import CROP, painted_windows, picture, texture_at

from face3d.mask import sweep_covering, swept_mask
from face3d.morphable import default_model
from face3d.track import Track
from media.frame import Frame
from media.pixels import Colour, pixel_format, planes_of_rgb
from prior.painting.bank import ReferenceBank
from prior.painting.composite import Painted, pasted
from prior.painting.person import Person, paint, shot_window, shown
from prior.painting.skin import TEXELS, Skin
from render.deferred import DeferredRenderer, RendererConfig
from render.neural_texture import NeuralTexture

MODEL = default_model()
WHO = somebody()
MOTION = speaking(24)[torch.arange(0, 24, 4)]

SKIN = Skin(torch.zeros(3, TEXELS, TEXELS), torch.zeros(TEXELS, TEXELS, dtype=torch.bool))
"""Nobody asks for it where grades are given."""


def frames() -> Iterator[Frame]:
    """The painted head before grey, frames 50 to 55 of a clip."""
    fmt = pixel_format("yuv444p")
    colour = Colour().resolved(fmt, 512, 512)
    for i in range(len(MOTION)):
        rgb = picture(WHO, MOTION[i : i + 1], CAMERA)[0].permute(1, 2, 0).numpy()
        planes = planes_of_rgb(np.ascontiguousarray(rgb), fmt, colour)
        yield Frame(50 + i, i, tuple(np.rint(p).astype(np.uint8) for p in planes), fmt, Colour())


@pytest.fixture(scope="module")
def person() -> Person:
    """Somebody whose texture is known; the network is new and therefore copies."""
    windows = painted_windows(MOTION)
    bank = ReferenceBank.of(
        MODEL, WHO, MOTION, windows.frame, windows.images,
        [windows.camera(i) for i in range(len(windows))],
    )  # fmt: skip
    v, u = torch.meshgrid(*[(torch.arange(128) + 0.5) / 128] * 2, indexing="ij")
    colours = texture_at(torch.stack([u, v])[None])[0]
    texture = NeuralTexture(torch.cat([colours, torch.zeros(13, 128, 128)]))
    return Person(
        MODEL, WHO, DeferredRenderer(RendererConfig(widths=(8, 8, 8, 8))), texture, bank, SKIN
    )


@pytest.fixture(scope="module")
def track() -> Track:
    """Frame 53 is not valid; the last two are another shot."""
    shot = torch.tensor([0, 0, 0, 0, 1, 1])
    valid = torch.tensor([True, True, True, False, True, True])
    closer = replace(CROP, side=260, pixels=312)
    return Track(
        Fraction(25), 50, CAMERA, (CROP, closer), shot, WHO, MOTION, valid, torch.zeros(6),
        torch.ones(6),
    )  # fmt: skip


def test_a_new_line_is_painted_without_a_look_at_the_old_mouth(
    person: Person, track: Track
) -> None:
    """Kills conditions made of the plate's own pixels: where a jaw can sweep they may hold
    anything, and the network is shown the same."""
    rest = MOTION.with_mouth(0 * MOTION.mouth)
    sweep = sweep_covering(rest.mouth)
    chosen = torch.zeros(len(MOTION), 2, dtype=torch.int64)
    hidden = swept_mask(MODEL, WHO, MOTION[:1], CROP.camera(CAMERA), sweep)[0].numpy()
    inside = np.zeros((512, 512), bool)
    inside[CROP.top : CROP.top + CROP.side, CROP.left : CROP.left + CROP.side] = hidden
    frame, noise = next(frames()), np.random.default_rng(0)
    planes = tuple(
        np.where(inside, noise.integers(16, 236, plane.shape), plane).astype(np.uint8)
        for plane in frame.planes
    )
    window = shot_window(person, track, rest, 0)
    before, after = (
        shown(person, [(0, one)], track, rest, chosen, window, sweep, None).conditions
        for one in (frame, replace(frame, planes=planes))
    )
    assert not np.array_equal(frame.rgb, replace(frame, planes=planes).rgb)
    assert float((before.plate != 0).float().mean()) > 0.05
    for name, value in vars(before).items():
        assert torch.equal(value, getattr(after, name)), name


@pytest.mark.parametrize("copying", [False, True])
def test_saying_what_was_said_gives_the_plate_back(
    person: Person, track: Track, copying: bool
) -> None:
    """Kills windows in the wrong place, shots that share a size, another frame's mouth: a person
    whose texture and frames are known says the same again, and the lower face is the plate's."""
    result = list(paint(person, frames(), track, MOTION.mouth, (None, None), copying))
    assert [frame.index for frame, _ in result] == [50, 51, 52, 53, 54, 55]
    assert [painted is None for _, painted in result] == [not v for v in track.valid.tolist()]
    for i, (frame, painted) in enumerate(result):
        if painted is None:
            continue
        assert painted.crop == track.crop(i)
        dubbed = pasted(frame, painted)
        core = swept_mask(MODEL, WHO, MOTION[i : i + 1], CAMERA, (0.0,))[0].numpy()
        change = np.abs(dubbed.planes[0].astype(float) - frame.planes[0])
        assert core.sum() > 3000
        assert change[core].mean() < 4.0
        outer = swept_mask(MODEL, WHO, MOTION[i : i + 1], CAMERA)[0].numpy()
        rows, columns = outer.nonzero()
        beyond = np.ones_like(outer)
        beyond[rows.min() - 3 : rows.max() + 4, columns.min() - 3 : columns.max() + 4] = False
        for before, after in zip(frame.planes, dubbed.planes, strict=True):
            assert np.array_equal(before[beyond], after[beyond])


def on_crop(painted: Painted, window: np.ndarray) -> np.ndarray:
    """A painted window where it lies in its crop."""
    crop = np.zeros((painted.crop.pixels, painted.crop.pixels, *window.shape[2:]), np.float32)
    height, width = window.shape[:2]
    crop[painted.top : painted.top + height, painted.left : painted.left + width] = window
    return crop


def test_another_line_changes_the_mouth(person: Person, track: Track) -> None:
    """Kills a dub that paints the old motion: an opened jaw is painted open in every frame."""
    wide = torch.zeros_like(MOTION.mouth)
    wide[:, 0] = 4.0

    def painted(mouth: torch.Tensor) -> list[Painted]:
        return [p for _, p in paint(person, frames(), track, mouth, (None, None)) if p is not None]

    for said, opened in zip(painted(MOTION.mouth), painted(wide), strict=True):
        matte, larger = on_crop(said, said.matte), on_crop(opened, opened.matte)
        assert (larger >= matte).all()
        inside = (matte > 0.9) & (larger > 0.9)
        change = np.abs(on_crop(said, said.rgb) - on_crop(opened, opened.rgb))
        assert change[inside].mean() > 2


def test_what_no_mouth_comes_near_stays_the_plates(person: Person, track: Track) -> None:
    """Kills: the plate's open jaw beside a shut one, an open jaw cut off at the plate's shut one,
    and a collar painted anew below both."""
    shut = torch.zeros_like(MOTION.mouth)
    wide = shut.clone()
    wide[:, 0] = 4.0

    def mattes(plate: torch.Tensor, line: torch.Tensor) -> list[np.ndarray]:
        there = replace(track, motion=MOTION.with_mouth(plate))
        made = paint(person, frames(), there, line, (None, None))
        return [on_crop(p, p.matte) for _, p in made if p is not None]

    for silent, closing, opening in zip(
        mattes(shut, shut), mattes(wide, shut), mattes(shut, wide), strict=True
    ):
        assert np.array_equal(closing, opening)
        assert (opening >= silent).all()
        assert (opening > 0.5).sum() > 1.05 * (silent > 0.5).sum()
