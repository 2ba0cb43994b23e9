"""A reference frame in its clip's own pixels, for what a face crop is too coarse to show."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from face3d.track import Crop
from face3d.view import Patch, cut

WORTH = 1.5
"""A face this much larger in its clip than in its crop is worth a close-up."""

FINEST = 4
"""Pixels of a close-up for one of a track's crop, at most: a face 768 pixels high. Larger ones
shrink."""

MOST_BYTES = 64_000
"""A picture's size on disk, for an actor of 140 references and 30 MB in all."""

QUALITIES = (95, 90, 85, 80, 70, 60)


@dataclass(frozen=True)
class CloseUp:
    """A window's picture as JPEG; where its corner lies in the window, in crop pixels, and how many
    of its pixels are one of the crop's."""

    jpeg: bytes
    left: float
    top: float
    density: float

    def rgb(self) -> UInt8[np.ndarray, "h w 3"]:
        return from_jpeg(self.jpeg)


def close_up(
    rgb: UInt8[np.ndarray, "H W 3"],
    crop: Crop,
    left: int,
    top: int,
    width: int,
    height: int,
    scale: int = 1,
) -> CloseUp | None:
    """The close-up of a window in a frame; None where the crop, which is so many times as fine as a
    track's, shows all there is."""
    if crop.scale * WORTH > 1:
        return None
    patch = Patch.around(crop, left, top, width, height)
    binned = int(np.ceil(scale / (FINEST * crop.scale)))
    sides = [side // binned for side in (patch.width, patch.height)]
    picture = cut(rgb, patch.left, patch.top, sides[0] * binned, sides[1] * binned)
    if binned > 1:
        picture = cv2.resize(picture, sides, interpolation=cv2.INTER_AREA)
    x, y = (patch.left - crop.left) * crop.scale, (patch.top - crop.top) * crop.scale
    return CloseUp(to_jpeg(picture, MOST_BYTES), x - left, y - top, 1 / (crop.scale * binned))


def to_jpeg(rgb: UInt8[np.ndarray, "h w 3"], most_bytes: int) -> bytes:
    """Colour at full resolution, in the best quality that keeps to so many bytes."""
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    for quality in QUALITIES:
        settings = [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling]
        content = cv2.imencode(".jpg", bgr, settings)[1].tobytes()
        if len(content) <= most_bytes:
            break
    return content


def from_jpeg(content: bytes) -> UInt8[np.ndarray, "h w 3"]:
    bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None, "a picture that does not decode"
    return bgr[..., ::-1]
