"""A painted window and its way back into the untouched plate."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from face3d.track import Crop
from media.frame import Frame

FEATHER_PIXELS = 7
"""Width in crop pixels over which a painted window fades into the plate, inside its mask."""


@dataclass(frozen=True)
class Painted:
    """A painted window: colours 0 to 255, its matte, and its left and top in the crop."""

    rgb: Float[np.ndarray, "h w 3"]
    matte: Float[np.ndarray, "h w"]
    left: int
    top: int
    crop: Crop


def matte_of(mask: np.ndarray) -> Float[np.ndarray, "h w"]:
    """A matte that rises from 0 at a mask's border to 1 over the feather, all inside it.

    The window's own border counts as outside.
    """
    framed = np.pad((mask > 0).astype(np.uint8), 1)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    rise = np.clip(depth / FEATHER_PIXELS, 0, 1)
    return (rise * rise * (3 - 2 * rise)).astype(np.float32)


Grained = Callable[[int, int], Float[np.ndarray, "h w"]]
"""Code values of luma that lie on a patch of so many rows and columns of the plate."""


def pasted(frame: Frame, painted: Painted, grain: Grained | None = None) -> Frame:
    """The frame with a painted window blended into its own planes, and grain on it."""
    crop, scale = painted.crop, painted.crop.scale
    height, width = painted.matte.shape
    left = int(np.floor(crop.left + painted.left / scale))
    top = int(np.floor(crop.top + painted.top / scale))
    wide, high = int(np.ceil(width / scale)) + 2, int(np.ceil(height / scale)) + 2
    # warpAffine counts from pixel centres: half a pixel is taken off on both sides.
    back = np.array(
        [
            [scale, 0, (left + 0.5 - crop.left) * scale - painted.left - 0.5],
            [0, scale, (top + 0.5 - crop.top) * scale - painted.top - 0.5],
        ]
    )
    colours = np.ascontiguousarray(painted.rgb, np.float32)
    if scale > 1.5:
        colours = cv2.GaussianBlur(colours, (0, 0), 0.4 * scale)
    inverse = cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(
        colours,
        back,
        (wide, high),
        flags=cv2.INTER_CUBIC | inverse,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if grain is not None:
        patch = patch + grain(high, wide)[..., None]
    matte = cv2.warpAffine(painted.matte, back, (wide, high), flags=cv2.INTER_LINEAR | inverse)
    coded = np.clip(np.round(patch), 0, 255).astype(np.uint8)
    return frame.composited(coded, matte.clip(0, 1), left, top)
