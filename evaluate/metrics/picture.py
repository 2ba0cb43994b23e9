"""How close generated pictures are to the true ones, inside a mask.

Pictures are `rgb_coded`, `[T H W 3]`, uint8 or float in 0 to 255. A mask is bool, `[T H W]` or one
`[H W]` for all frames; none means the whole picture. A frame whose mask is empty, or that the
caller flags as not valid, has NaN scores and counts in no mean. Luma is the unrounded
Y = 0.299 R + 0.587 G + 0.114 B of ITU-R BT.601.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Num

from evaluate.metrics.known import known_mean, ratio
from evaluate.metrics.lips import LIPS

Pictures: TypeAlias = Num[np.ndarray, "T H W 3"]
Mask: TypeAlias = Bool[np.ndarray, "T H W"] | Bool[np.ndarray, "H W"]
Valid: TypeAlias = Bool[np.ndarray, " T"]
Plane: TypeAlias = Float[np.ndarray, "H W"]

LUMA = np.array([0.299, 0.587, 0.114])
PEAK = 255.0

# Wang, Bovik, Sheikh and Simoncelli (2004): an 11 × 11 Gaussian of σ 1.5, K₁ 0.01, K₂ 0.03.
SSIM_RADIUS = 5
SSIM_SIGMA = 1.5
SSIM_C1 = (0.01 * PEAK) ** 2
SSIM_C2 = (0.03 * PEAK) ** 2

# Xue, Zhang, Mou and Bovik (2014): c for 8-bit luma after halving, and the Prewitt operator.
GMSD_C = 170.0
PREWITT = np.array([[1.0, 0.0, -1.0]] * 3) / 3.0

# The band that sharpness looks at, in pixels: below σ 1 lie grain and coding noise, which a sharp
# generator need not repeat; above σ 3 lies shading, which blur does not touch.
SHARP_FINE_SIGMA = 1.0
SHARP_COARSE_SIGMA = 3.0

# Room around a mask's box, so that cropping changes no windowed value; even, so that the halved
# grid of GMSD stays where it was.
CROP_ROOM = 12


@dataclass(frozen=True)
class PictureScores:
    """Means over the scored frames; NaN where no frame could be scored.

    psnr: decibels, higher is better. ssim: 1 is equal. gmsd: 0 is equal. sharpness_ratio: energy of
    fine detail, generated over truth; 1 is the same sharpness, below 1 is blurred.
    """

    psnr: float
    ssim: float
    gmsd: float
    sharpness_ratio: float


@dataclass(frozen=True)
class PictureCurves:
    """The same scores frame by frame; sharpness as the two energies whose sums make the ratio."""

    psnr: Float[np.ndarray, " T"]
    ssim: Float[np.ndarray, " T"]
    gmsd: Float[np.ndarray, " T"]
    sharp_energy: Float[np.ndarray, " T"]
    sharp_energy_truth: Float[np.ndarray, " T"]

    def scores(self) -> PictureScores:
        return PictureScores(
            psnr=mean_decibels(self.psnr),
            ssim=known_mean(self.ssim),
            gmsd=known_mean(self.gmsd),
            sharpness_ratio=ratio(
                known_mean(self.sharp_energy), known_mean(self.sharp_energy_truth)
            ),
        )


def score_pictures(
    generated: Pictures, truth: Pictures, mask: Mask | None = None, valid: Valid | None = None
) -> PictureScores:
    """All four scores inside the mask."""
    return picture_curves(generated, truth, mask, valid).scores()


def picture_curves(
    generated: Pictures, truth: Pictures, mask: Mask | None = None, valid: Valid | None = None
) -> PictureCurves:
    """All four scores inside the mask, frame by frame."""
    measures = (frame_psnr, frame_ssim, frame_gmsd, frame_sharpness, frame_sharpness_truth)
    return PictureCurves(*frame_values(measures, generated, truth, mask, valid))


def psnr(
    generated: Pictures, truth: Pictures, mask: Mask | None = None, valid: Valid | None = None
) -> float:
    """10 log₁₀(255² / MSE) in decibels, MSE over the masked pixels' three channels.

    Taken per frame, then averaged over frames. A frame equal to the truth has no finite value: such
    frames stay out of the mean, so passed-through frames cannot lift it, unless all are equal: ∞.
    """
    return mean_decibels(frame_values((frame_psnr,), generated, truth, mask, valid)[0])


def ssim(
    generated: Pictures, truth: Pictures, mask: Mask | None = None, valid: Valid | None = None
) -> float:
    """Structural similarity of luma, the map's mean over masked pixels, then over frames.

    Windows that leave the picture are not counted. A window on the mask's edge does see outside it.
    """
    return known_mean(frame_values((frame_ssim,), generated, truth, mask, valid)[0])


def gmsd(
    generated: Pictures, truth: Pictures, mask: Mask | None = None, valid: Valid | None = None
) -> float:
    """Gradient magnitude similarity deviation of luma (Xue et al. 2014), averaged over frames."""
    return known_mean(frame_values((frame_gmsd,), generated, truth, mask, valid)[0])


def sharpness_ratio(
    generated: Pictures, truth: Pictures, mask: Mask | None = None, valid: Valid | None = None
) -> float:
    """Energy of luma between Gaussian σ 1 and σ 3 pixels inside the mask, generated over truth."""
    measures = (frame_sharpness, frame_sharpness_truth)
    ours, true = frame_values(measures, generated, truth, mask, valid)
    return ratio(known_mean(ours), known_mean(true))


def mouth_box(
    landmarks: Float[np.ndarray, "*T 478 2"], margin: float = 0.25
) -> Int[np.ndarray, "*T 4"]:
    """The box around the lips as half-open pixels (x0, y0, x1, y1), not clipped to the picture.

    Each side moves out by `margin` of the lips' own width or height. Unknown lips: an empty box.
    """
    lips = landmarks[..., LIPS, :]
    low, high = lips.min(-2), lips.max(-2)
    room = margin * (high - low)
    box = np.concatenate([np.floor(low - room), np.ceil(high + room)], axis=-1)
    known = np.isfinite(box).all(-1, keepdims=True)
    return np.where(known, box, 0).astype(np.int64)


def box_mask(
    boxes: Int[np.ndarray, "T 4"], height: int, width: int
) -> Bool[np.ndarray, "T {height} {width}"]:
    """True inside each frame's half-open box (x0, y0, x1, y1), which may leave the picture."""
    x0, y0, x1, y1 = (edge[:, None] for edge in boxes.T)
    columns, rows = np.arange(width), np.arange(height)
    in_columns = (columns >= x0) & (columns < x1)
    in_rows = (rows >= y0) & (rows < y1)
    return in_rows[:, :, None] & in_columns[:, None, :]


@dataclass(frozen=True)
class FramePair:
    """One frame to be scored, generated and true: RGB, luma, and where to look. float64."""

    rgb: Float[np.ndarray, "H W 3"]
    rgb_truth: Float[np.ndarray, "H W 3"]
    luma: Plane
    luma_truth: Plane
    inside: Bool[np.ndarray, "H W"]


def frame_values(
    measures: Sequence[Callable[[FramePair], float]],
    generated: Pictures,
    truth: Pictures,
    mask: Mask | None,
    valid: Valid | None,
) -> Float[np.ndarray, "M T"]:
    """Each measure of each frame; NaN for a frame that is not to be scored."""
    values = np.full((len(measures), len(truth)), np.nan)
    for index, pair in masked_pairs(generated, truth, mask, valid):
        values[:, index] = [measure(pair) for measure in measures]
    return values


def masked_pairs(
    generated: Pictures, truth: Pictures, mask: Mask | None, valid: Valid | None
) -> Iterator[tuple[int, FramePair]]:
    """The frames to be scored, with their index.

    Pictures are cut to the mask's box and some room: a mouth of a large frame costs what it covers.
    """
    assert generated.shape == truth.shape, (generated.shape, truth.shape)
    for index in range(len(truth)):
        inside = frame_mask(mask, truth, index)
        assert inside.shape == truth.shape[1:3], (inside.shape, truth.shape)
        if (valid is not None and not valid[index]) or not inside.any():
            continue
        rows, columns = (roomy_range(inside.any(axis)) for axis in (1, 0))
        a, b = (clip[index, rows, columns].astype(np.float64) for clip in (generated, truth))
        yield index, FramePair(a, b, a @ LUMA, b @ LUMA, inside[rows, columns])


def frame_mask(mask: Mask | None, pictures: Pictures, index: int) -> Bool[np.ndarray, "H W"]:
    """One frame's mask: its own, the one of all frames, or the whole picture."""
    if mask is None:
        return np.ones(pictures.shape[1:3], bool)
    return mask if mask.ndim == 2 else mask[index]


def roomy_range(occupied: Bool[np.ndarray, " N"]) -> slice:
    """The range of true entries with `CROP_ROOM` on both sides, starting on an even index."""
    (places,) = np.nonzero(occupied)
    start = max(int(places[0]) - CROP_ROOM, 0) // 2 * 2
    return slice(start, int(places[-1]) + 1 + CROP_ROOM)


def frame_psnr(pair: FramePair) -> float:
    error = np.square(pair.rgb - pair.rgb_truth)[pair.inside].mean()
    return float(10 * np.log10(PEAK**2 / error)) if error else np.inf


def frame_ssim(pair: FramePair) -> float:
    return known_mean(ssim_map(pair.luma, pair.luma_truth)[pair.inside])


def frame_gmsd(pair: FramePair) -> float:
    """The deviation over the halved grid's pixels of which the mask covers half or more."""
    ours, true = (gradient_magnitude(halved(luma)) for luma in (pair.luma, pair.luma_truth))
    similarity = (2 * ours * true + GMSD_C) / (ours**2 + true**2 + GMSD_C)
    inside = halved(pair.inside.astype(np.float64)) >= 0.5
    return float(similarity[inside].std()) if inside.any() else np.nan


def frame_sharpness(pair: FramePair) -> float:
    return float(np.square(fine_detail(pair.luma))[pair.inside].mean())


def frame_sharpness_truth(pair: FramePair) -> float:
    return float(np.square(fine_detail(pair.luma_truth))[pair.inside].mean())


def ssim_map(a: Plane, b: Plane) -> Plane:
    """The SSIM index of the window centred on each pixel; NaN where it leaves the picture."""
    mean_a, mean_b = window_mean(a), window_mean(b)
    variance_a = window_mean(a * a) - mean_a**2
    variance_b = window_mean(b * b) - mean_b**2
    covariance = window_mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a**2 + mean_b**2 + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variance_a + variance_b + SSIM_C2)
    values = np.full(a.shape, np.nan)
    within = (slice(SSIM_RADIUS, -SSIM_RADIUS),) * 2
    values[within] = (luminance * structure)[within]
    return values


def window_mean(plane: Plane) -> Plane:
    side = 2 * SSIM_RADIUS + 1
    return cv2.GaussianBlur(plane, (side, side), SSIM_SIGMA)


def halved(plane: Plane) -> Float[np.ndarray, "_ _"]:
    """Means of 2 × 2 blocks; an odd last row or column is dropped."""
    height, width = (side // 2 * 2 for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // 2, 2, width // 2, 2)
    return blocks.mean((1, 3))


def gradient_magnitude(plane: Plane) -> Plane:
    across = cv2.filter2D(plane, -1, PREWITT, borderType=cv2.BORDER_REPLICATE)
    down = cv2.filter2D(plane, -1, PREWITT.T, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(across, down)


def fine_detail(plane: Plane) -> Plane:
    fine = cv2.GaussianBlur(plane, (0, 0), SHARP_FINE_SIGMA)
    return fine - cv2.GaussianBlur(plane, (0, 0), SHARP_COARSE_SIGMA)


def mean_decibels(values: Float[np.ndarray, " T"]) -> float:
    """The mean of the finite values; ∞ where all known ones are, NaN where none is known."""
    finite = values[np.isfinite(values)]
    return known_mean(finite if finite.size else values)
