"""Detail for plates whose faces are larger than the crops they are painted in.

The network paints faces 192 pixels high, of the full size 384; a larger one gets that picture
enlarged, and its pores, creases and teeth's edges from the close-ups of the references. The mesh
brings a close-up into place, optical flow (DIS, Kroeger et al. 2016) takes off what the mesh
leaves, and it lends its fine band wherever the reference, seen as coarsely as the network paints,
looks like the painting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float

from face3d.track import Crop
from prior.painting.close_up import CloseUp
from prior.painting.enlargement import enlarged, unaveraged
from prior.training.losses import LUMA

GREY = np.array(LUMA, np.float32)

BAND = 1.0
"""Deviation, in crop pixels, of the Gaussian below which detail begins: the network's own is soft
from there on."""

FARTHEST = 2.0
"""Pixels of a track's crop that flow may move a reference by."""

SMOOTH = 1.5
"""Deviation, in pixels of a track's crop, of the Gaussian that flow is averaged by."""

SHADING, AROUND = 7, 2
"""Pixels of a track's crop around one that tell its shading, and whether details are alike."""

DIFFERENT = 20.0
"""Code values by which a neighbourhood differs from a reference that lends it next to nothing."""

BETTER = 4.0
"""Code values by which a reference agrees better than another that lends next to nothing beside."""

FLOW = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
FLOW.setFinestScale(0)


@dataclass(frozen=True)
class Lender:
    """A reference for one frame: its close-up, where its window shows the points of the patch (NaN
    where it shows none), and the reference as the network was shown it: code values, and where it
    is visible."""

    close_up: CloseUp
    place: Float[np.ndarray, "H W 2"]
    coarse: Float[np.ndarray, "h w 3"]
    visible: Float[np.ndarray, "h w"]


def detailed(
    painted: Float[np.ndarray, "h w 3"],
    made: Float[np.ndarray, "h w 3"],
    contrast: Float[np.ndarray, "h w 3"],
    lenders: Sequence[Lender],
    crop: Crop,
    left: int,
    top: int,
    scale: int = 1,
) -> Float[np.ndarray, "H W 3"]:
    """A painted window (code values, the plate's grade) in the plate's own pixels, with detail.

    `made` is the same picture in the grade of the references, `contrast` what a small difference in
    that grade becomes in the plate's; the crop is `scale` times as fine as a track's. The result
    covers `Patch.around` the window.
    """

    def up(picture: np.ndarray) -> np.ndarray:
        return enlarged(picture.astype(np.float32), crop, left, top)

    base = unaveraged(painted.astype(np.float32), crop, left, top)
    own = base - blurred(base, BAND / crop.scale)
    flows = [flow_to(lender, made, scale) for lender in lenders]
    shares = borrowed_shares(
        np.stack([difference(made, seen_along(lender, flow), scale)
                  for lender, flow in zip(lenders, flows, strict=True)])
    )  # fmt: skip
    slope = up(contrast)
    for lender, flow, share in zip(lenders, flows, shares, strict=True):
        moved = place_along(lender.place, up(flow) / crop.scale)
        band = sampled_band(lender.close_up, moved)
        lent = np.where(np.isfinite(band), up(share)[..., None].clip(0, 1), 0)
        base += lent * (slope * np.nan_to_num(band) - own)
    return base


def flow_to(
    lender: Lender, made: Float[np.ndarray, "h w 3"], scale: int = 1
) -> Float[np.ndarray, "h w 2"]:
    """Crop pixels to go from a pixel of the painting to its like in the reference."""
    ours, theirs = made @ GREY, lender.coarse @ GREY
    theirs = np.where(lender.visible > 0, theirs, ours)
    codes = [np.clip(luma, 0, 255).astype(np.uint8) for luma in (ours, theirs)]
    flow = FLOW.calc(*codes, None)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return blurred(flow, scale * SMOOTH).clip(-scale * FARTHEST, scale * FARTHEST)


def seen_along(lender: Lender, flow: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w 3"]:
    """The reference moved along the flow; NaN where it is not visible all around."""
    rows, columns = np.mgrid[: len(flow), : flow.shape[1]].astype(np.float32)
    moved = cv2.remap(lender.coarse, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR)
    shown = cv2.erode(lender.visible, np.ones((3, 3))) > 0
    return np.where(shown[..., None], moved, np.nan)


def difference(
    made: Float[np.ndarray, "h w 3"], other: Float[np.ndarray, "h w 3"], scale: int = 1
) -> Float[np.ndarray, "h w"]:
    """By how many code values two pictures' details differ around each pixel, whatever their
    shading; infinite where the other shows nothing."""
    apart = (made - other) @ GREY
    known = np.isfinite(apart)
    apart = np.where(known, apart, 0).astype(np.float32)
    shading, around = (2 * scale * reach + 1 for reach in (SHADING, AROUND))
    apart -= cv2.blur(apart, (shading, shading))
    return np.where(known, np.sqrt(cv2.blur(apart * apart, (around, around)).clip(0)), np.inf)


def borrowed_shares(apart: Float[np.ndarray, "K h w"]) -> Float[np.ndarray, "K h w"]:
    """How much of its detail each reference lends: together at most 1, the one alike nearly all."""
    nearest = apart.min(0)
    known = np.isfinite(nearest)
    nearest = np.where(known, nearest, 0)
    weights = np.exp(-(np.minimum(apart, 1e4) ** 2 - nearest**2) / BETTER**2)
    trust = np.where(known, np.exp(-((nearest / DIFFERENT) ** 2)), 0)
    return trust * weights / weights.sum(0).clip(1e-9)


def place_along(
    place: Float[np.ndarray, "H W 2"], flow: Float[np.ndarray, "H W 2"]
) -> Float[np.ndarray, "H W 2"]:
    """Where the points lie that the flow (in the patch's pixels) leads to."""
    rows, columns = np.mgrid[: len(flow), : flow.shape[1]].astype(np.float32)
    return cv2.remap(
        place.astype(np.float32), columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


def sampled_band(
    close_up: CloseUp, place: Float[np.ndarray, "H W 2"]
) -> Float[np.ndarray, "H W 3"]:
    """The close-up's fine band at places of its window; NaN where it has none."""
    band = fine_band(close_up)
    x = (place[..., 0] - close_up.left) * close_up.density - 0.5
    y = (place[..., 1] - close_up.top) * close_up.density - 0.5
    height, width = band.shape[:2]
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)  # false for NaN as well
    x, y = (np.where(inside, at, 0).astype(np.float32) for at in (x, y))
    return np.where(inside[..., None], cv2.remap(band, x, y, cv2.INTER_CUBIC), np.nan)


@lru_cache(maxsize=24)
def fine_band(close_up: CloseUp) -> Float[np.ndarray, "h w 3"]:
    """What a close-up shows beyond `BAND`, in code values; kept, as references change rarely."""
    rgb = close_up.rgb().astype(np.float32)
    return rgb - blurred(rgb, BAND * close_up.density)


def blurred(picture: np.ndarray, deviation: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)
