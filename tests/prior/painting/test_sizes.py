"""The full size is the light one in twice as many pixels: the same windows, masks, fades and steps.

Whatever is counted in pixels must be counted at the size in hand; each test holds the full size
against the light one on the same painted head.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from moving_head import CAMERA, somebody, speaking
from painted_head import CROP, painted_windows, picture, texture_at
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from core.size import SCALES
from face3d.mask import hidden_mask, swept_mask
from face3d.morphable import default_model
from face3d.track import Crop, Motion, Track, camera_vertices
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH
from media.frame import Frame
from media.pixels import Colour, pixel_format, planes_of_rgb
from prior.painting.bank import ReferenceBank
from prior.painting.close_up import FINEST, close_up
from prior.painting.composite import matte_of
from prior.painting.conditions import Conditions
from prior.painting.detail import difference
from prior.painting.person import Person, paint
from prior.painting.registration import Sight, moved, registered
from prior.painting.skin import TEXELS, Skin
from prior.painting.window import standard, window_of
from prior.training.corpus import MARGIN
from prior.training.losses import attention
from prior.training.train_renderer import draw, draw_sample, training_clip
from render.deferred import RENDERERS, STRIDE, DeferredRenderer, RendererConfig
from render.neural_texture import NeuralTexture

MODEL = default_model()
WHO = somebody()
MOTION = speaking(24)[torch.arange(0, 24, 6)]
FINE = CROP.finer(2)
SMALL = RendererConfig(widths=(8, 8, 8, 8))


def test_every_size_paints_windows_of_whole_strides() -> None:
    """Kills a depth that a window's sides do not divide by, and a config of another scale."""
    for size, scale in SCALES.items():
        config = replace(RENDERERS[size], widths=(4,) * len(RENDERERS[size].widths))
        assert config.scale == scale
        height, width = scale * STRIDE, 3 * scale * STRIDE
        shapes = (
            (16, height, width),
            (3, height, width),
            (2, height, width),
            (2, 4, height, width),
        )
        made = DeferredRenderer(config)(*(torch.rand(1, *shape) for shape in shapes))
        assert made.shape == (1, 3, height, width)
        assert scale * WINDOW_WIDTH % (scale * STRIDE) == scale * WINDOW_HEIGHT % scale == 0


def test_a_shots_window_lies_on_the_same_part_of_the_face() -> None:
    """Kills room, strides and least width of the light size around a face twice as large."""
    wide = MOTION.with_mouth(MOTION.mouth + 4 * torch.eye(len(MODEL.mouth))[0])
    light, full = (
        window_of(MODEL, WHO, MOTION, wide, crop.camera(CAMERA), scale)
        for crop, scale in ((CROP, 1), (FINE, 2))
    )
    for side in ("left", "top", "width", "height"):
        # Rounding up to a stride differs by one stride at most, half of it on each side.
        assert abs(getattr(full, side) - 2 * getattr(light, side)) <= 2 * STRIDE, side
    assert full.width == 2 * WINDOW_WIDTH
    assert full.width % (2 * STRIDE) == full.height % (2 * STRIDE) == 0
    assert standard(2).size == (2 * WINDOW_WIDTH, 2 * WINDOW_HEIGHT)
    assert standard(2).left == 2 * standard(1).left


def test_masks_are_the_same_in_more_pixels() -> None:
    """Kills a margin, or room for cheeks, of the light size around a mask twice as fine: it leaks
    half of either."""
    for mask in (swept_mask, hidden_mask):
        light = mask(MODEL, WHO, MOTION, CROP.camera(CAMERA)).float()
        full = mask(MODEL, WHO, MOTION, FINE.camera(CAMERA), scale=2).float()
        assert abs(float(full.sum() / 4 / light.sum()) - 1) < 0.005
        assert float((avg_pool2d(full[:, None], 2)[:, 0] - light).abs().sum() / light.sum()) < 0.02


def test_weights_and_fades_reach_as_far() -> None:
    """Kills seven pixels around the mouth, or of feather, whatever the size."""
    outer, mouth = torch.ones(1, 1, 48, 64), torch.zeros(1, 48, 64, dtype=torch.bool)
    mouth[:, 20:28, 24:40] = True
    twice = mouth.repeat_interleave(2, 1).repeat_interleave(2, 2)
    light, full = (
        attention(outer, mouth, 4.0),
        attention(interpolate(outer, scale_factor=2), twice, 4.0, 2),
    )
    assert torch.equal(avg_pool2d(full, 2), light)
    mask = np.zeros((48, 64), np.uint8)
    mask[8:40, 8:56] = 1
    fade = matte_of(np.kron(mask, np.ones((2, 2), np.uint8)), 2)
    assert np.abs(fade.reshape(48, 2, 64, 2).mean((1, 3)) - matte_of(mask)).max() < 0.12


def test_details_are_told_apart_over_the_same_neighbourhood() -> None:
    """Kills boxes of the light size: a shadow as wide as a cheek would be a difference."""
    x = np.linspace(0, 4 * np.pi, 64)
    shade = np.repeat(np.repeat(20 * np.sin(x)[None, :, None], 48, 0), 3, 2)
    flat = np.zeros_like(shade)
    light = difference(shade, flat)
    larger = np.repeat(np.repeat(shade, 2, 0), 2, 1)
    full = difference(larger, np.zeros_like(larger), 2)
    assert np.abs(full[::2, ::2] - light)[8:-8, 8:-8].max() < 0.15 * light.max()


def known(seen: Conditions) -> Tensor:
    """A renderer that knows the texture."""
    return torch.where(seen.inner > 0, texture_at(seen.uv), seen.plate)


def sight(scale: int) -> Sight:
    windows = painted_windows(MOTION, scale=scale)
    cameras = [windows.camera(i) for i in range(len(windows))]
    bank = ReferenceBank.of(MODEL, WHO, MOTION, windows.frame, windows.images, cameras)
    outer = swept_mask(MODEL, WHO, MOTION, cameras, scale=scale)[:, None].float()
    chosen = torch.zeros(len(MOTION), 2, dtype=torch.int64)
    image = windows.images.float() / 127.5 - 1
    return Sight(MODEL, WHO, bank, image, outer, tuple(cameras), chosen, scale)


def test_registration_takes_the_same_steps_as_surely() -> None:
    """Kills blurs and a lattice of the light size: a finer picture would be four times as sure, or
    a head too far off for a narrower blur would not come back."""
    noise = torch.randn(
        len(MOTION), len(MODEL.mouth) + 6, generator=torch.Generator().manual_seed(0)
    )
    wrong = moved(MOTION, noise)
    (light, sure), (full, surer) = (
        registered(sight(scale), wrong, known, rounds=1) for scale in (1, 2)
    )
    places = [
        CROP.camera(CAMERA).pixels_from_camera(camera_vertices(MODEL, WHO, moved(wrong, change)))
        for change in (light, full)
    ]
    assert float((places[0] - places[1]).norm(dim=-1)[:, :468].mean()) < 0.15
    told, told_full = (s.diagonal(dim1=1, dim2=2).sum(1) for s in (sure, surer))
    assert ((told_full / told - 1).abs() < 0.25).all()  # 0.16 measured


def test_training_shifts_windows_by_the_same_part_of_a_face() -> None:
    """Kills a margin of the light size: windows that are cut from the margin's corner, or that
    shift half as far."""
    windows = painted_windows(MOTION, 2 * MARGIN, 6 * torch.arange(len(MOTION)), scale=2)
    clip, random = training_clip(windows, MODEL, "p"), torch.Generator().manual_seed(0)
    assert clip.colours.shape == (3, 512, 512)
    shifts = [abs(drawn.dx) for drawn in (draw(clip, random) for _ in range(40))]
    assert MARGIN < max(shifts) <= 2 * MARGIN
    seen, true = draw_sample(clip, MODEL, random)
    assert true.shape[-2:] == (2 * WINDOW_HEIGHT, 2 * WINDOW_WIDTH)
    shown = seen.inner > 0
    assert float((texture_at(seen.uv) - true)[shown.expand_as(true)].abs().mean()) < 0.02


def test_close_ups_are_of_faces_larger_than_the_full_size() -> None:
    """Kills close-ups that show no more than the crop does, and those of a face 1536 pixels high,
    which no actor has room for."""
    rgb = np.random.default_rng(0).integers(0, 255, (1600, 1600, 3)).astype(np.uint8)
    place = (20, 40, 2 * WINDOW_WIDTH, 2 * WINDOW_HEIGHT, 2)
    assert close_up(rgb, Crop(0, 0, 600, 300), *place[:4]) is not None
    assert close_up(rgb, Crop(0, 0, 600, 300).finer(2), *place) is None
    found = close_up(rgb, Crop(0, 0, 1600, 260).finer(2), *place)
    assert found is not None
    assert max(found.rgb().shape) <= FINEST * WINDOW_WIDTH + 4
    assert found.density == pytest.approx(1600 / 520 / 2)


def frames() -> list[Frame]:
    """Frames 50 to 53 of a clip twice as large as the camera's: the face is 384 pixels high."""
    fmt = pixel_format("yuv444p")
    colour, camera = Colour().resolved(fmt, 1024, 1024), CAMERA.cropped(0, 0, 2.0, 1024, 1024)
    made = []
    for i in range(len(MOTION)):
        rgb = picture(WHO, MOTION[i : i + 1], camera)[0].permute(1, 2, 0).numpy()
        planes = planes_of_rgb(np.ascontiguousarray(rgb), fmt, colour)
        made.append(
            Frame(50 + i, i, tuple(np.rint(p).astype(np.uint8) for p in planes), fmt, Colour())
        )
    return made


def copying_person(scale: int) -> Person:
    """Somebody whose texture is known; the network is new and therefore copies."""
    windows = painted_windows(MOTION, scale=scale)
    cameras = [windows.camera(i) for i in range(len(windows))]
    bank = ReferenceBank.of(MODEL, WHO, MOTION, windows.frame, windows.images, cameras)
    v, u = torch.meshgrid(*[(torch.arange(256) + 0.5) / 256] * 2, indexing="ij")
    texture = torch.cat([texture_at(torch.stack([u, v])[None])[0], torch.zeros(13, 256, 256)])
    nobody = Skin(torch.zeros(3, TEXELS, TEXELS), torch.zeros(TEXELS, TEXELS, dtype=torch.bool))
    network = DeferredRenderer(SMALL)
    return Person(MODEL, WHO, network, NeuralTexture(texture), bank, nobody, scale=scale)


def track_of(motion: Motion) -> Track:
    """As a tracker leaves it, whoever will be painted: crops of 192-pixel faces."""
    count, camera = len(motion), CAMERA.cropped(0, 0, 2.0, 1024, 1024)
    crop = replace(CROP, left=2 * CROP.left, top=2 * CROP.top, side=2 * CROP.side)
    shot, valid = torch.zeros(count, dtype=torch.int64), torch.ones(count, dtype=torch.bool)
    zeros, ones = torch.zeros(count), torch.ones(count)
    return Track(Fraction(25), 50, camera, (crop,), shot, WHO, motion, valid, zeros, ones)


def test_a_full_person_is_painted_twice_as_fine_in_the_same_place() -> None:
    """Kills a dub that cuts light windows for a full network, fades over half the way, or lays its
    picture a window aside."""
    track, plate, mattes = track_of(MOTION), frames(), []
    for scale in (1, 2):
        made = paint(copying_person(scale), iter(plate), track, MOTION.mouth, (None,))
        _, painted = next(iter(made))
        assert painted is not None
        assert painted.crop == track.crop(0).finer(scale)
        assert painted.rgb.shape[1] == scale * WINDOW_WIDTH
        whole = np.zeros((painted.crop.pixels,) * 2, np.float32)
        height, width = painted.matte.shape
        whole[painted.top : painted.top + height, painted.left : painted.left + width] = (
            painted.matte
        )
        mattes.append(whole)
        true = plate[0].rgb[track.crop(0).top :, track.crop(0).left :][:: 3 - scale, :: 3 - scale]
        there = true[painted.top : painted.top + height, painted.left : painted.left + width]
        inside = painted.matte > 0.9
        assert np.abs(painted.rgb - there)[inside].mean() < 12 / scale
    light, full = mattes
    fine = full.reshape(len(light), 2, -1, 2).mean((1, 3))
    assert np.abs(fine - light).sum() < 0.03 * light.sum()
