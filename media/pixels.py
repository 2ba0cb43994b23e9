"""Pixel formats and colour tags of video files, and the conversions between planes and RGB.

A plane is one component of a picture, `[h w]` in uint8 or uint16, top row first, in the order the
file keeps them: Y Cb Cr, or G B R, or grey, then alpha. Tags are the code points of ITU-T H.273.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

import cv2
import numpy as np
from av.codec import Codec
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation
from jaxtyping import Float32, UInt8
from numpy import ndarray
from numpy.typing import DTypeLike

Planes = tuple[ndarray, ...]

LIMITED, FULL = 1, 2
RGB_MATRIX, BT709, UNSPECIFIED, BT601 = 0, 1, 2, 5
# H.273 matrix to the number libswscale knows it by; 5 and 6 are the same BT.601 matrix.
_SCALER_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
# Shares of red and blue in luma, by H.273 matrix.
_LUMA_SHARES = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
# Bilinear chroma at full resolution with exact rounding: no ringing at lips, same on every machine.
_QUALITY = (
    Interpolation.BILINEAR
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)


@dataclass(frozen=True)
class Colour:
    """A stream's colour tags (H.273); 2 is unspecified, for `range` 0 is."""

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    def resolved(self, pixels: "PixelFormat", width: int, height: int) -> "Colour":
        """The same tags with matrix and range decided, by the guess players make when untagged.

        Standard-definition pictures are BT.601, larger ones BT.709; Y Cb Cr is limited range, grey
        and RGB are full.
        """
        # A portrait picture is a landscape one turned, so the sides are compared in that order.
        larger = max(width, height) >= 1280 or min(width, height) > 576
        known = self.matrix in _SCALER_MATRIX
        matrix = self.matrix if known else (BT709 if larger else BT601)
        full = FULL if pixels.kind in ("rgb", "gray") else LIMITED
        return replace(self, matrix=matrix, range=self.range or full)


@dataclass(frozen=True)
class PixelFormat:
    """One planar format: its kind, bits a sample, chroma shifts (log2) and whether it has alpha."""

    name: str
    kind: Literal["yuv", "gray", "rgb"]
    bits: int
    shift_x: int
    shift_y: int
    alpha: bool

    @property
    def dtype(self) -> type:
        return np.uint8 if self.bits == 8 else np.uint16

    @property
    def suffix(self) -> str:
        """How names of formats of this depth end."""
        return "" if self.bits == 8 else f"{self.bits}le"

    @property
    def colours(self) -> int:
        """Planes that carry colour; alpha comes after them."""
        return 1 if self.kind == "gray" else 3

    @cached_property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        """Log2 subsampling (x, y) of each colour plane."""
        chroma = (self.shift_x, self.shift_y)
        return ((0, 0), chroma, chroma)[: self.colours]


@lru_cache
def pixel_format(name: str) -> PixelFormat:
    """The planar format that pictures of format `name` are kept in: itself where possible.

    Packed and semi-planar formats become planar ones of the same subsampling without loss;
    floating point becomes 16-bit integers.
    """
    given = VideoFormat(name)
    if name.startswith("yuvj"):
        return pixel_format("yuv" + name[4:])
    coded = [component for component in given.components if not component.is_alpha]
    bits = max(component.bits for component in given.components)
    alpha = len(coded) < len(given.components)
    kind = "rgb" if given.is_rgb or given.has_palette else "gray" if len(coded) == 1 else "yuv"
    shift_x, shift_y = (
        (64 // side).bit_length() - 1 for side in (given.chroma_width(64), given.chroma_height(64))
    )
    if name in _storable():
        return PixelFormat(name, kind, bits, shift_x, shift_y, alpha)
    yuv = {(1, 1): "yuv420p", (1, 0): "yuv422p"}.get((shift_x, shift_y), "yuv444p")
    base = {"rgb": "gbrap" if alpha else "gbrp", "gray": "gray", "yuv": yuv}[kind]
    depth = next((depth for depth in (8, 10, 12, 16) if depth >= bits), 16)
    return pixel_format(base + ("" if depth == 8 else f"{depth}le"))


@lru_cache
def _storable() -> frozenset[str]:
    """Integer planar formats the lossless codec stores, and 8-bit planar RGB, stored packed."""
    formats = Codec("ffv1", "w").video_formats or []
    packed = ("rgb", "bgr", "ya")
    names = {f.name for f in formats if not f.name.startswith(packed) and f.components[0].bits < 32}
    return frozenset({name for name in names if "f16" not in name} | {"gbrp", "gbrap"})


def planes_of(picture: VideoFrame, pixels: PixelFormat, colour: Colour) -> Planes:
    """Copies of a picture's planes in the format `pixels`, converted where it has another."""
    if pixels.name != picture.format.name.replace("yuvj", "yuv"):
        given = colour.resolved(pixels, picture.width, picture.height)
        picture = converted(picture, pixels.name, given, given)
    return tuple(_rows(plane, pixels.dtype)[:, : plane.width].copy() for plane in picture.planes)


def picture_of(planes: Sequence[ndarray], pixels: PixelFormat, colour: Colour) -> VideoFrame:
    """A codec's picture holding copies of `planes`, tagged with `colour`."""
    height, width = planes[0].shape
    picture = VideoFrame(width, height, pixels.name)
    for target, plane in zip(picture.planes, planes, strict=True):
        _rows(target, plane.dtype)[:, : target.width] = plane
    picture.colorspace, picture.color_range = colour.matrix, colour.range
    picture.color_primaries, picture.color_trc = colour.primaries, colour.transfer
    return picture


def converted(
    picture: VideoFrame,
    name: str,
    source: Colour,
    target: Colour,
) -> VideoFrame:
    """The picture in another pixel format. Both colours must be resolved."""
    return picture.reformat(
        picture.width,
        picture.height,
        format=name,
        src_colorspace=_SCALER_MATRIX[source.matrix],
        dst_colorspace=_SCALER_MATRIX[target.matrix],
        src_color_range=source.range,
        dst_color_range=target.range,
        interpolation=_QUALITY,
        threads=1,
    )


def rgb_of(planes: Planes, pixels: PixelFormat, colour: Colour) -> UInt8[ndarray, "H W 3"]:
    """Display-referred RGB (0 to 255) of planes, by the tagged or guessed matrix and range."""
    height, width = planes[0].shape
    source = colour.resolved(pixels, width, height)
    planes = planes[: pixels.colours]
    if pixels.kind == "gray":
        # Grey is luma without chroma, and only in Y Cb Cr does the scaler heed its range.
        neutral = np.full_like(planes[0], 1 << (pixels.bits - 1))
        planes, pixels = (planes[0], neutral, neutral), pixel_format("yuv444p" + pixels.suffix)
    elif pixels.alpha:
        pixels = pixel_format(pixels.name.replace("yuva", "yuv").replace("gbrap", "gbrp"))
    target = replace(source, range=FULL)
    picture = converted(picture_of(planes, pixels, source), "rgb24", source, target)
    return _rows(picture.planes[0], np.uint8)[:, : 3 * picture.width].reshape(
        picture.height, picture.width, 3
    )


def glimpsed(
    planes: Planes, pixels: PixelFormat, colour: Colour, times: int
) -> UInt8[ndarray, "h w 3"]:
    """Display-referred RGB of planes halved so many times, for detectors: quick, a code or two off.

    A pixel is the mean of what it covers; an odd last row or column is left out. `colour` must be
    resolved.
    """
    small = [_halved(plane, times) for plane in planes[:1]]
    size = small[0].shape[1], small[0].shape[0]
    for plane, (x, y) in zip(planes[1 : pixels.colours], pixels.shifts[1:], strict=True):
        part = _halved(plane, max(0, times - max(x, y)))
        same = part.shape[::-1] == size
        small.append(part if same else cv2.resize(part, size, interpolation=cv2.INTER_LINEAR))
    bytes_ = [(plane >> (pixels.bits - 8)).astype(np.uint8, copy=False) for plane in small]
    if pixels.kind == "rgb":
        green, blue, red = bytes_
        return cv2.merge([red, green, blue])
    neutral = np.full_like(bytes_[0], 128)
    return cv2.transform(cv2.merge([*bytes_, neutral, neutral][:3]), _to_rgb(colour))


def _halved(plane: ndarray, times: int) -> ndarray:
    for _ in range(times):
        height, width = (side // 2 for side in plane.shape)
        plane = cv2.resize(
            plane[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
        )
    return plane


@lru_cache
def _to_rgb(colour: Colour) -> Float32[ndarray, "3 4"]:
    """Y Cb Cr in bytes to RGB in bytes (ITU-T H.273, section 8.3, solved for R, G and B)."""
    red, blue = _LUMA_SHARES[colour.matrix]
    green = 1 - red - blue
    by_blue, by_red = 2 - 2 * blue, 2 - 2 * red
    matrix = np.array(
        [
            [1, 0, by_red],
            [1, -by_blue * blue / green, -by_red * red / green],
            [1, by_blue, 0],
        ]
    )
    black = np.array([0, 128, 128])
    if colour.range == LIMITED:
        matrix *= np.array([255 / 219, 255 / 224, 255 / 224])
        black[0] = 16
    return np.concatenate([matrix, -matrix @ black[:, None]], 1).astype(np.float32)


def _rows(plane: VideoPlane, dtype: DTypeLike) -> ndarray:
    """A view of a codec's plane, whose rows are padded on the right."""
    return np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)


def planes_of_rgb(
    rgb: Float32[ndarray, "h w 3"] | UInt8[ndarray, "h w 3"], pixels: PixelFormat, colour: Colour
) -> tuple[Float32[ndarray, "h w"], ...]:
    """The colour planes of `rgb` (0 to 255) in the codes of `pixels`: unrounded; chroma in full.

    `colour` must be resolved. ITU-T H.273, section 8.3.
    """
    red, green, blue = np.moveaxis(rgb.astype(np.float32) / 255, -1, 0)
    peak = (1 << pixels.bits) - 1
    if pixels.kind == "rgb":
        return peak * green, peak * blue, peak * red
    red_share, blue_share = _LUMA_SHARES[colour.matrix]
    luma = red_share * red + (1 - red_share - blue_share) * green + blue_share * blue
    chroma = (blue - luma) / (2 - 2 * blue_share), (red - luma) / (2 - 2 * red_share)
    middle, unit = 1 << (pixels.bits - 1), 1 << (pixels.bits - 8)
    if colour.range == FULL:
        planes = (peak * luma, *(middle + peak * difference for difference in chroma))
    else:
        scaled = (16 + 219 * luma, *(128 + 224 * difference for difference in chroma))
        planes = tuple(unit * plane for plane in scaled)
    return tuple(np.clip(plane, 0, peak) for plane in planes[: pixels.colours])
