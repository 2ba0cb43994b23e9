"""One picture of a clip, kept in the file's own planes so that untouched samples stay exact."""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from media.pixels import (
    FULL,
    Colour,
    PixelFormat,
    Planes,
    glimpsed,
    pixel_format,
    planes_of_rgb,
    rgb_of,
)


@dataclass(frozen=True, eq=False)
class Glimpse:
    """A box of a picture as detectors see it: a pixel is the mean of `scale` × `scale` of its own.

    The box begins at (left, top) of the picture.
    """

    rgb: UInt8[ndarray, "h w 3"]
    left: int
    top: int
    scale: int

    def placed(self, points: Float32[ndarray, "N C"]) -> Float32[ndarray, "N C"]:
        """Points (x, y, and lengths) of the glimpse in pixels of the picture."""
        placed = points * np.float32(self.scale)
        placed[:, :2] += (self.left, self.top)
        return placed


@dataclass(frozen=True, eq=False)
class Frame:
    """Picture `index` of its clip, shown at `pts` in the clip's time base.

    `planes` are read-only and as displayed: rotation is already applied.
    """

    index: int
    pts: int
    planes: Planes
    pixels: PixelFormat
    colour: Colour

    def __post_init__(self) -> None:
        for plane in self.planes:
            plane.flags.writeable = False

    @classmethod
    def of_rgb(cls, rgb: UInt8[ndarray, "H W 3"]) -> "Frame":
        """A picture that comes from no file."""
        planes = tuple(np.ascontiguousarray(rgb[..., channel]) for channel in (1, 2, 0))
        return cls(0, 0, planes, pixel_format("gbrp"), Colour(range=FULL))

    @property
    def height(self) -> int:
        return self.planes[0].shape[0]

    @property
    def width(self) -> int:
        return self.planes[0].shape[1]

    @cached_property
    def rgb(self) -> UInt8[ndarray, "H W 3"]:
        """The picture as coded RGB, 0 to 255."""
        return rgb_of(self.planes, self.pixels, self.colour)

    def glimpse(
        self,
        longest: int,
        left: int = 0,
        top: int = 0,
        right: int | None = None,
        bottom: int | None = None,
    ) -> Glimpse:
        """The box (all of the picture unless told), halved while no side falls below `longest`.

        It may begin a pixel earlier, where the chroma grid does.
        """
        cells = [(1 << x, 1 << y) for x, y in self.pixels.shifts]
        left, top = left // cells[-1][0] * cells[-1][0], top // cells[-1][1] * cells[-1][1]
        right, bottom = right or self.width, bottom or self.height
        times = max(0, (max(right - left, bottom - top) // longest).bit_length() - 1)
        parts = tuple(
            plane[top // y : -(-bottom // y), left // x : -(-right // x)]
            for plane, (x, y) in zip(self.planes[: len(cells)], cells, strict=True)
        )
        colour = self.colour.resolved(self.pixels, self.width, self.height)
        return Glimpse(glimpsed(parts, self.pixels, colour, times), left, top, 1 << times)

    def thumbnail(self, long_side: int) -> UInt8[ndarray, "h w 3"]:
        """The picture shrunk until no side exceeds `long_side` pixels, as coded RGB."""
        share = min(1.0, long_side / max(self.width, self.height))
        size = max(1, round(self.width * share)), max(1, round(self.height * share))
        return cv2.resize(self.glimpse(long_side).rgb, size, interpolation=cv2.INTER_AREA)

    def composited(
        self,
        rgb: Float32[ndarray, "h w 3"] | UInt8[ndarray, "h w 3"],
        matte: Float32[ndarray, "h w"],
        left: int,
        top: int,
    ) -> "Frame":
        """This frame with `rgb` (0 to 255, fractions count where samples have more than eight bits)
        laid over it where `matte` (0 to 1) says, in its own planes.

        The patch's first pixel lands on (left, top) and may overhang the picture. Luma is blended
        by the matte. A chroma sample is blended by the mean matte of the pixels it covers, towards
        their matte-weighted mean colour, so what lies outside the matte never bleeds in. Where all
        those pixels have matte 0 every sample stays bit-identical; alpha always does.
        """
        assert rgb.shape[:2] == matte.shape, (rgb.shape, matte.shape)
        box = _Box.cut(left, top, left + rgb.shape[1], top + rgb.shape[0], self)
        if box.empty:
            return self
        inside = np.s_[box.top - top : box.bottom - top, box.left - left : box.right - left]
        matte = matte[inside]
        colour = self.colour.resolved(self.pixels, self.width, self.height)
        patch = planes_of_rgb(rgb[inside], self.pixels, colour)
        shifts = self.pixels.shifts
        blended = [
            _blended(plane, target, matte, box, shift)
            for plane, target, shift in zip(self.planes[: len(patch)], patch, shifts, strict=True)
        ]
        return replace(self, planes=(*blended, *self.planes[len(patch) :]))


@dataclass(frozen=True)
class _Box:
    """Half-open pixel box, cut to a picture of `width` by `height`."""

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int

    @classmethod
    def cut(cls, left: int, top: int, right: int, bottom: int, frame: Frame) -> "_Box":
        right, bottom = min(right, frame.width), min(bottom, frame.height)
        return cls(max(left, 0), max(top, 0), right, bottom, frame.width, frame.height)

    @property
    def empty(self) -> bool:
        return self.right <= self.left or self.bottom <= self.top


def _blended(
    plane: ndarray, target: ndarray, matte: ndarray, box: _Box, shift: tuple[int, int]
) -> ndarray:
    """A copy of `plane` with `target` (full resolution, as large as `box`) blended in."""
    x, y = shift
    weight = _mean_over_cells(matte, box, shift)
    colour = _mean_over_cells(matte * target, box, shift)
    rows = slice(box.top >> y, (box.top >> y) + weight.shape[0])
    columns = slice(box.left >> x, (box.left >> x) + weight.shape[1])
    result = plane.copy()
    plate = plane[rows, columns].astype(np.float32)
    # Where the weight is 0 so is the colour, and float32 holds every 16-bit sample exactly.
    result[rows, columns] = np.rint(plate * (1 - weight) + colour).astype(plane.dtype)
    return result


def _mean_over_cells(values: ndarray, box: _Box, shift: tuple[int, int]) -> ndarray:
    """Mean of `values` over each cell of the subsampled grid, 0 where the box does not reach.

    The part of a cell beyond the picture's own odd border repeats the border, as encoders do.
    """
    if shift == (0, 0):
        return values
    cell_w, cell_h = 1 << shift[0], 1 << shift[1]
    right, bottom = -box.right % cell_w, -box.bottom % cell_h
    beyond = (bottom if box.bottom == box.height else 0, right if box.right == box.width else 0)
    values = np.pad(values, ((0, beyond[0]), (0, beyond[1])), "edge")
    values = np.pad(
        values, ((box.top % cell_h, bottom - beyond[0]), (box.left % cell_w, right - beyond[1]))
    )
    # Slices: the mean over two axes of four takes numpy six times as long.
    parts = [values[y::cell_h, x::cell_w] for y in range(cell_h) for x in range(cell_w)]
    return np.sum(parts, 0) / np.float32(len(parts))
