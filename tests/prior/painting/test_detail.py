"""Detail from close-ups: it lies where the plate's lies, and only what agrees lends any."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from moving_head import somebody, speaking
from painted_head import picture, texture_at
from torch import Tensor

from core.camera import Camera
from face3d.morphable import default_model
from face3d.track import Crop, Track
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH, Patch, crop_image, cut, window_corner
from media.frame import Frame
from media.pixels import Colour, pixel_format, planes_of_rgb
from prior.painting.bank import ReferenceBank
from prior.painting.close_up import FINEST, MOST_BYTES, close_up
from prior.painting.composite import Painted, pasted
from prior.painting.detail import Lender, borrowed_shares, detailed, difference, fine_band
from prior.painting.enlargement import averaged, enlarged, unaveraged
from prior.painting.person import Person, paint
from prior.painting.skin import TEXELS, Skin
from render.deferred import DeferredRenderer, RendererConfig
from render.neural_texture import NeuralTexture

MODEL, WHO = default_model(), somebody()
MOTION = speaking(24)[torch.arange(0, 24, 6)]
LARGE = Camera(3072.0, (768.0, 768.0), 1536, 1536)
CROP = Crop(318, 318, 900, 300)
SKIN = Skin(torch.zeros(3, TEXELS, TEXELS), torch.zeros(TEXELS, TEXELS, dtype=torch.bool))


def pored(uv: Tensor) -> Tensor:
    """The painted head with ripples 4 to 5 pixels apart, which its crop is too coarse for."""
    u, v = uv.unbind(1)
    return texture_at(uv) * 0.8 + 0.15 * ((800 * u).sin() * (800 * v).sin())[:, None]


@pytest.fixture(scope="module")
def plate() -> list[np.ndarray]:
    return [
        picture(WHO, MOTION[i : i + 1], LARGE, pored)[0].permute(1, 2, 0).numpy() for i in range(4)
    ]


@pytest.fixture(scope="module")
def person(plate: list[np.ndarray]) -> Person:
    return learned_from([0, 2], plate)


def learned_from(known: list[int], plate: list[np.ndarray]) -> Person:
    """Who knows these frames; the network is new and therefore copies."""
    camera = CROP.camera(LARGE)
    corners = window_corner(MODEL, WHO, MOTION[torch.tensor(known)], camera)
    size = (WINDOW_WIDTH, WINDOW_HEIGHT)
    windows = [
        cut(crop_image(plate[i], CROP), *c, *size) for i, c in zip(known, corners, strict=True)
    ]
    bank = ReferenceBank.of(
        MODEL, WHO, MOTION[torch.tensor(known)], torch.tensor(known),
        torch.from_numpy(np.stack(windows)).permute(0, 3, 1, 2).contiguous(),
        [camera.cropped(*c, 1.0, *size) for c in corners],
    )  # fmt: skip
    v, u = torch.meshgrid(*[(torch.arange(128) + 0.5) / 128] * 2, indexing="ij")
    texture = torch.cat([0.8 * texture_at(torch.stack([u, v])[None])[0], torch.zeros(13, 128, 128)])
    close_ups = tuple(
        close_up(plate[i], CROP, *c, *size) for i, c in zip(known, corners, strict=True)
    )
    network = DeferredRenderer(RendererConfig(widths=(8, 8, 8, 8)))
    return Person(MODEL, WHO, network, NeuralTexture(texture), bank, SKIN, close_ups)


def frame_of(rgb: np.ndarray, index: int) -> Frame:
    fmt = pixel_format("yuv444p")
    planes = planes_of_rgb(
        np.ascontiguousarray(rgb), fmt, Colour().resolved(fmt, *rgb.shape[1::-1])
    )
    return Frame(index, index, tuple(np.rint(p).astype(np.uint8) for p in planes), fmt, Colour())


def errors(person: Person, plate: list[np.ndarray]) -> list[float]:
    """Mean squared errors of frames 1 and 3 painted with their own mouths, where the matte is 1."""
    valid = torch.tensor([False, True, False, True])
    track = Track(
        Fraction(25), 0, LARGE, (CROP,), torch.zeros(4, dtype=torch.int64), WHO, MOTION, valid,
        torch.zeros(4), torch.ones(4),
    )  # fmt: skip
    frames = (frame_of(rgb, i) for i, rgb in enumerate(plate))
    found = []
    for frame, painted in paint(person, frames, track, MOTION.mouth, (None,)):
        if painted is None:
            continue
        made = pasted(frame, painted).rgb.astype(float)
        patch = Patch.around(CROP, painted.left, painted.top, *painted.matte.shape[::-1])
        whole = enlarged(painted.matte, CROP, painted.left, painted.top) > 0.99
        box = (patch.left, patch.top, patch.width, patch.height)
        apart = cut(made, *box) - cut(plate[frame.index].astype(float), *box)
        found.append(float(np.square(apart[whole]).mean()))
    return found


def test_pores_come_back_where_the_plate_has_them(person: Person, plate: list[np.ndarray]) -> None:
    """Kills detail half a crop pixel aside (ripples would meet ripples of the other sign and double
    the error), close-ups of another reference, and a fine picture that is never laid on the plate:
    of what the enlarged picture lacks, more than half is found."""
    with_detail = errors(person, plate)
    without = errors(replace(person, close_ups=()), plate)
    assert len(without) == 2
    for ours, plain in zip(with_detail, without, strict=True):
        assert ours < 0.5 * plain, (ours, plain)


def test_a_reference_without_a_close_up_lends_nothing(
    person: Person, plate: list[np.ndarray]
) -> None:
    """Kills a crash, and a close-up taken for its neighbour's, where only one clip of an actor is
    larger than its crop."""
    one = replace(person, close_ups=(None, person.close_ups[1]))
    some, all_, none = (
        np.mean(errors(who, plate)) for who in (one, person, replace(person, close_ups=()))
    )
    assert all_ < some < none


def test_a_reference_that_the_network_is_not_shown_lends_too(
    plate: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills lenders that end with what the network sees, and one that is compared as another looks:
    each lender's close-up, brought into place and averaged, is its own coarse picture."""
    person, lent = learned_from([0, 2, 3], plate), []

    def watched(painted: np.ndarray, *rest: Any) -> np.ndarray:
        lent.append((rest[2], rest[-2:]))
        return detailed(painted, *rest)

    monkeypatch.setattr("prior.painting.person.detailed", watched)
    errors(person, plate)
    lenders, (left, top) = lent[0]
    assert len({one.close_up.jpeg for one in lenders}) == 3
    for lender in lenders:
        near = np.nan_to_num(lender.place - (lender.close_up.left, lender.close_up.top))
        x, y = np.moveaxis((near * lender.close_up.density - 0.5).astype(np.float32), -1, 0)
        fine = cv2.remap(lender.close_up.rgb().astype(np.float32), x, y, cv2.INTER_LINEAR)
        height, width = lender.visible.shape
        coarse = averaged(fine, CROP, left, top, width, height)
        seen = cv2.erode(lender.visible, np.ones((5, 5))) > 0
        apart = [np.abs(coarse - other.coarse)[seen].mean() for other in lenders]
        assert min(apart) == np.abs(coarse - lender.coarse)[seen].mean() < 2.5, apart


def noise(height: int, width: int, seed: int, grain: float = 1.2) -> np.ndarray:
    """Blobs of `grain` pixels with deviations of 60 code values around grey."""
    random = np.random.default_rng(seed).standard_normal((height, width, 3))
    blobs = cv2.GaussianBlur(random, (0, 0), grain)
    return (128 + 60 * blobs / blobs.std()).clip(0, 255)


def lender(rgb: np.ndarray, coarse: np.ndarray) -> Lender:
    """A reference in the very place of the window (10, 20) of the crop."""
    picture = close_up(rgb.astype(np.uint8), CROP, 10, 20, 64, 48)
    assert picture is not None
    patch = Patch.around(CROP, 10, 20, 64, 48)
    rows, columns = np.mgrid[: patch.height, : patch.width] + 0.5
    x = (patch.left - CROP.left + columns) * CROP.scale - 10
    y = (patch.top - CROP.top + rows) * CROP.scale - 20
    return Lender(picture, np.stack([x, y], -1), coarse.astype(np.float32), np.ones((48, 64)))


def test_only_a_reference_that_looks_alike_lends() -> None:
    """Kills detail of a shut mouth on an open one: from its own picture a window gets back what it
    lacks, from another nearly nothing."""
    rgb = noise(1536, 1536, 0, 2)
    coarse = cut(crop_image(rgb.astype(np.uint8), CROP), 10, 20, 64, 48).astype(np.float32)
    other = 255.0 * (noise(48, 64, 1, 2) > 128)
    plain = unaveraged(coarse, CROP, 10, 20)
    patch = Patch.around(CROP, 10, 20, 64, 48)
    true = cut(rgb, patch.left, patch.top, patch.width, patch.height)
    ones = np.ones_like(coarse)
    alike = detailed(coarse, coarse, ones, [lender(rgb, coarse)], CROP, 10, 20)
    unlike = detailed(coarse, coarse, ones, [lender(rgb, other)], CROP, 10, 20)
    inner = np.s_[12:-12, 12:-12]
    lacking = np.abs(true - plain)[inner].mean()
    assert np.abs(true - alike)[inner].mean() < 0.35 * lacking
    assert np.abs(unlike - plain)[inner].mean() < 0.15 * lacking


def test_shares_are_at_most_one_and_go_to_the_better() -> None:
    """Kills shares that add up to two pictures' detail, a mean of a good and a bad reference, and
    NaN where no reference is visible."""
    apart = np.array([[2.0, 2.0, 60.0, np.inf, np.inf], [2.0, 30.0, 90.0, 3.0, np.inf]])[:, None]
    shares = borrowed_shares(apart)[:, 0]
    assert np.isfinite(shares).all()
    assert shares[:, 0].tolist() == pytest.approx([0.5, 0.5], abs=0.01)
    assert shares[0, 1] > 0.98
    assert shares[1, 1] < 0.01
    assert shares[:, 2].sum() < 0.05
    assert shares[0, 3] == 0
    assert shares[1, 3] > 0.95
    assert shares[:, 4].tolist() == [0, 0]


def test_shading_is_no_difference() -> None:
    """Kills a comparison of colours: another light over the same lips is no reason not to lend."""
    picture = noise(48, 64, 2).astype(np.float32)
    darker = picture - 40
    assert difference(picture, darker)[8:-8, 8:-8].max() < 1
    assert difference(picture, noise(48, 64, 3).astype(np.float32))[8:-8, 8:-8].min() > 5


def test_close_ups_are_taken_of_large_faces_only_and_stay_small() -> None:
    """Kills close-ups of what the crop shows already, a 4K face in full size, and pictures that
    burst an actor's folder."""
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (2400, 2400, 3), np.uint8)
    assert close_up(rgb, Crop(0, 0, 300, 300), 10, 20, 176, 144) is None
    large = close_up(rgb, Crop(0, 0, 2400, 300), 10, 20, 176, 144)
    assert large is not None
    assert large.density == FINEST
    assert large.rgb().shape[:2] <= (FINEST * 145, FINEST * 177)
    calm = cv2.GaussianBlur(rgb, (0, 0), 3)
    picture = close_up(calm, Crop(0, 0, 1200, 300), 10, 20, 176, 144)
    assert picture is not None
    assert len(picture.jpeg) <= MOST_BYTES
    true = cut(calm, 40, 80, *picture.rgb().shape[1::-1])
    assert np.abs(picture.rgb().astype(int) - true).mean() < 3
    assert (picture.left, picture.top) == (0, 0)


def test_a_fine_picture_is_not_resampled() -> None:
    """Kills a detour through the crop: where the matte is 1 the plate shows the fine samples."""
    rgb = noise(400, 400, 4).astype(np.uint8)
    crop = Crop(40, 30, 300, 150)
    patch = Patch.around(crop, 20, 30, 64, 48)
    fine = cut(np.roll(rgb, 7, 1), patch.left, patch.top, patch.width, patch.height)
    matte = np.ones((48, 64), np.float32)
    painted = Painted(np.zeros((48, 64, 3)), matte, 20, 30, crop, fine.astype(np.float32))
    fmt = pixel_format("gbrp")
    planes = tuple(np.ascontiguousarray(rgb[..., c]) for c in (1, 2, 0))
    result = pasted(Frame(0, 0, planes, fmt, Colour()), painted)
    shown = cut(result.rgb, patch.left, patch.top, patch.width, patch.height)
    assert np.abs(shown.astype(int) - fine)[6:-6, 6:-6].max() <= 1


def test_a_close_ups_band_is_kept() -> None:
    """Kills decoding a reference for every frame that it serves."""
    picture = close_up(noise(1536, 1536, 5).astype(np.uint8), CROP, 10, 20, 64, 48)
    assert picture is not None
    assert fine_band(picture) is fine_band(picture)
