"""A painted window and its way back into the untouched plate."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from face3d.track import Crop
from face3d.view import Patch
from media.frame import Frame
from prior.painting.enlargement import enlarged, unaveraged

FEATHER_PIXELS = 7
"""Width in pixels of a track's crop over which a painted window fades into the plate, inside its
mask."""


@dataclass(frozen=True)
class Painted:
    """A painted window: colours 0 to 255, its matte, and its left and top in the crop.

    `fine` is the same picture in the plate's own pixels, on `Patch.around` the window, where it was
    painted finer than the crop.
    """

    rgb: Float[np.ndarray, "h w 3"]
    matte: Float[np.ndarray, "h w"]
    left: int
    top: int
    crop: Crop
    fine: Float[np.ndarray, "H W 3"] | None = None


def matte_of(mask: np.ndarray, scale: int = 1) -> Float[np.ndarray, "h w"]:
    """A matte that rises from 0 at a mask's border to 1 over the feather, all inside it.

    The window's own border counts as outside. Its crop is so many times as fine as a track's.
    """
    framed = np.pad((mask > 0).astype(np.uint8), 1)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    rise = np.clip(depth / (scale * FEATHER_PIXELS), 0, 1)
    return (rise * rise * (3 - 2 * rise)).astype(np.float32)


Grained = Callable[[int, int], Float[np.ndarray, "h w"]]
"""Code values of luma that lie on a patch of so many rows and columns of the plate."""


def pasted(frame: Frame, painted: Painted, grain: Grained | None = None) -> Frame:
    """The frame with a painted window blended into its own planes, and grain on it."""
    crop, left, top = painted.crop, painted.left, painted.top
    patch = Patch.around(crop, left, top, *painted.matte.shape[::-1])
    colours = painted.fine
    if colours is None:
        window = np.ascontiguousarray(painted.rgb, np.float32)
        if crop.scale > 1.5:
            window = cv2.GaussianBlur(window, (0, 0), 0.4 * crop.scale)
        colours = unaveraged(window, crop, left, top)
    if grain is not None:
        colours = colours + grain(patch.height, patch.width)[..., None]
    matte = enlarged(painted.matte, crop, left, top, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    coded = np.clip(colours, 0, 255).astype(np.float32)  # unrounded: plates may have ten bits
    return frame.composited(coded, matte.clip(0, 1), patch.left, patch.top)
