"""A crop's window in the plate's own pixels.

A crop coarser than its plate averages: each of its pixels is the mean of the plate's under it.
"""

import cv2
import numpy as np
from jaxtyping import Float

from face3d.track import Crop
from face3d.view import Patch


def enlarged(
    window: Float[np.ndarray, "h w *C"],
    crop: Crop,
    left: int,
    top: int,
    method: int = cv2.INTER_CUBIC,
    border: int = cv2.BORDER_REPLICATE,
) -> Float[np.ndarray, "H W *C"]:
    """A crop's window, whose corner is (left, top), interpolated on the whole patch around it."""
    patch, scale = Patch.around(crop, left, top, *window.shape[1::-1]), crop.scale
    # warpAffine counts from pixel centres: half a pixel is taken off on both sides.
    back = np.array(
        [
            [scale, 0, (patch.left + 0.5 - crop.left) * scale - left - 0.5],
            [0, scale, (patch.top + 0.5 - crop.top) * scale - top - 0.5],
        ]
    )
    size, flags = (patch.width, patch.height), method | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(window, back, size, flags=flags, borderMode=border)


def unaveraged(
    window: Float[np.ndarray, "h w 3"], crop: Crop, left: int, top: int
) -> Float[np.ndarray, "H W 3"]:
    """The patch around a window whose averages are the window again, or nearly so.

    An interpolation between averages is softer than what they are averages of. Averaged once more
    it tells by how much, and that is added: a step of back projection (Irani and Peleg 1991).
    """
    picture = enlarged(window, crop, left, top)
    if crop.scale >= 1:
        return picture
    missing = window - averaged(picture, crop, left, top, *window.shape[1::-1])
    return picture + enlarged(missing, crop, left, top)


def averaged(
    picture: Float[np.ndarray, "H W 3"], crop: Crop, left: int, top: int, width: int, height: int
) -> Float[np.ndarray, "h w 3"]:
    """The window that a crop coarser than its plate shows of the patch around it."""
    patch, scale = Patch.around(crop, left, top, width, height), crop.scale
    across = shares(crop.left + left / scale - patch.left, scale, width, patch.width)
    down = shares(crop.top + top / scale - patch.top, scale, height, patch.height)
    rows = (down @ picture.reshape(patch.height, -1)).reshape(height, patch.width, 3)
    columns = across @ rows.transpose(1, 0, 2).reshape(patch.width, -1)
    return columns.reshape(width, height, 3).transpose(1, 0, 2)


def shares(start: float, scale: float, count: int, size: int) -> Float[np.ndarray, "{count} size"]:
    """How much of each of `count` pixels, 1 / `scale` wide from `start` on, each fine one fills."""
    edges = start + np.arange(count + 1)[:, None] / scale
    fine = np.arange(size)
    overlap = np.minimum(edges[1:], fine + 1) - np.maximum(edges[:-1], fine)
    return (overlap.clip(0) * scale).astype(np.float32)
