"""Where the lips end and the mouth begins, read off the picture.

A detector's inner lips wander by a pixel from frame to frame; the border between lip and what lies
behind is plain to see. Nine columns cross the mouth from the middle of the upper lip to the middle
of the lower one. In each, the mouth is the run of points that look least like this person's lips:
a maximum subarray of log likelihood ratios (Kadane's algorithm), empty where the lips touch.

What is seen is precise but not what a landmark means: closed lips have a dark line of a pixel or
two between them, and a landmark lies on the skin. So the seen borders are brought to the scale
that the landmarks have on average; frame by frame the picture decides.

Vocabulary: `N` frames, `C` columns, `S` steps down a column; `along` counts a column's length from
0 to 1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.ndimage import gaussian_filter

from face3d.picture import sampled
from face3d.topology import INNER_PAIRS, LIPS_OUTER_LOWER, LIPS_OUTER_UPPER

INNER_UPPER, INNER_LOWER = (list(side) for side in zip(*INNER_PAIRS, strict=True))
OUTER_UPPER, OUTER_LOWER = list(LIPS_OUTER_UPPER[1:-1]), list(LIPS_OUTER_LOWER[1:-1])

STEPS = 41
REACH = 0.6
"""How far into the lips a column reaches, as a share of the lip's height."""

BRIGHT = np.linspace(0.0, 2.2, 34)
RED = np.linspace(-0.5, 0.35, 30)
"""Bins of brightness over the lip's and redness less the lip's."""

GUESSES = 300
"""Weight, in points, of what mouths look like before this person's has been seen."""

LEAN = 0.25
"""Log likelihood by which a point between the detected lips is expected to be mouth."""

OPEN_PIXELS, CLEAR_PIXELS = 3.0, 1.0
"""Gaps that surely show the mouth, and the distance from a border at which a point is certain."""

LUMA = np.array([0.3, 0.59, 0.11], np.float32)


@dataclass(frozen=True)
class Columns:
    """Features of the points of every column, and where the detector saw the lips in it."""

    bright: Float[np.ndarray, "N C S"]
    red: Float[np.ndarray, "N C S"]
    upper: Float[np.ndarray, "N C"]
    lower: Float[np.ndarray, "N C"]
    pixels: Float[np.ndarray, "N C"]
    """Lengths of the columns."""


@dataclass(frozen=True)
class LipLine:
    """A person's lips against mouth: log likelihood ratios, and the landmarks' scale of it."""

    ratio: Float[np.ndarray, "B R"]
    slope: float
    gap: Float[np.ndarray, "C"]
    middle: Float[np.ndarray, "C"]


def ends_of(
    xy: Float[np.ndarray, "*N L 2"],
) -> tuple[Float[np.ndarray, "*N C 2"], Float[np.ndarray, "*N C 2"]]:
    """Upper and lower ends of the columns across a mouth."""
    upper, lower = xy[..., INNER_UPPER, :], xy[..., INNER_LOWER, :]
    top = upper + REACH * (xy[..., OUTER_UPPER, :] - upper)
    return top, lower + REACH * (xy[..., OUTER_LOWER, :] - lower)


def columns_of(images: list[UInt8[np.ndarray, "_ _ 3"]], xy: Float[np.ndarray, "N L 2"]) -> Columns:
    """The columns of frames whose landmarks are `xy`, in pixels of the images."""
    top, bottom = ends_of(xy)
    share = np.linspace(0, 1, STEPS)[:, None]
    points = top[..., None, :] * (1 - share) + bottom[..., None, :] * share
    colours = [
        sampled(i, p.reshape(-1, 2).astype(np.float32))[0]
        for i, p in zip(images, points, strict=True)
    ]
    colour = np.stack(colours).reshape(*points.shape[:-1], 3)
    luma = colour @ LUMA
    red = (colour[..., 0] - colour[..., 1]) / (luma + 8)
    down = bottom - top
    squared = (down**2).sum(-1)

    def along(at: np.ndarray) -> np.ndarray:
        return ((at - top) * down).sum(-1) / squared

    return Columns(
        luma / (between_ends(luma) + 4),
        red - between_ends(red),
        along(xy[:, INNER_UPPER]),
        along(xy[:, INNER_LOWER]),
        np.sqrt(squared),
    )


def between_ends(values: Float[np.ndarray, "N C S"]) -> Float[np.ndarray, "N C S"]:
    """What the lips would show all the way: from the upper end's median to the lower end's."""
    few = STEPS // 6
    share = np.linspace(0, 1, STEPS)
    first, last = np.median(values[..., :few], -1), np.median(values[..., -few:], -1)
    return first[..., None] * (1 - share) + last[..., None] * share


def learn_lip_line(columns: Columns) -> LipLine:
    """A person's lips and mouth from frames that show both; a guess where they show one only."""
    upper, lower = columns.upper, columns.lower
    ratio = np.zeros((len(BRIGHT) - 1, len(RED) - 1))
    for _ in range(2):
        ratio = log_ratio(columns, upper, lower)
        upper, lower = borders(columns, ratio)
    return on_scale(columns, ratio, upper, lower)


def log_ratio(
    columns: Columns, upper: Float[np.ndarray, "N C"], lower: Float[np.ndarray, "N C"]
) -> Float[np.ndarray, "B R"]:
    """Log likelihood of mouth over lips, from points that are surely one or the other."""
    at = np.linspace(0, 1, STEPS) * columns.pixels[..., None]
    upper, lower = (side[..., None] * columns.pixels[..., None] for side in (upper, lower))
    mouth = (at > upper + CLEAR_PIXELS) & (at < lower - CLEAR_PIXELS)
    mouth &= lower - upper > OPEN_PIXELS
    lips = (at < upper - CLEAR_PIXELS) | (at > lower + CLEAR_PIXELS)

    def share(chosen: Bool[np.ndarray, "N C S"], guess: np.ndarray) -> np.ndarray:
        counts = np.histogramdd((columns.bright[chosen], columns.red[chosen]), [BRIGHT, RED])[0]
        smooth = gaussian_filter(counts, 1.2) + GUESSES * guess
        return smooth / smooth.sum() + 1e-5

    return np.log(share(mouth, guessed_mouth()) / share(lips, guessed_lips())).clip(-3, 3)


def bell(values: np.ndarray, centre: float, spread: float) -> np.ndarray:
    return np.exp(-0.5 * ((values - centre) / spread) ** 2)


def bins() -> tuple[np.ndarray, np.ndarray]:
    """Centres of the bins of brightness [B 1] and redness [1 R]."""
    bright, red = ((edges[1:] + edges[:-1]) / 2 for edges in (BRIGHT, RED))
    return bright[:, None], red[None]


def guessed_mouth() -> Float[np.ndarray, "B R"]:
    """Darkness, and teeth: as bright as lips or brighter, and less red."""
    bright, red = bins()
    seen = bell(bright, 0.25, 0.22) * bell(red, 0.0, 0.25)
    seen += 0.6 * bell(bright, 1.1, 0.4) * bell(red, -0.22, 0.1)
    return seen / seen.sum()


def guessed_lips() -> Float[np.ndarray, "B R"]:
    bright, red = bins()
    seen = bell(bright, 0.95, 0.22) * bell(red, 0.0, 0.09) + 1e-3
    return seen / seen.sum()


def borders(
    columns: Columns, ratio: Float[np.ndarray, "B R"]
) -> tuple[Float[np.ndarray, "N C"], Float[np.ndarray, "N C"]]:
    """Upper and lower border of the mouth along each column; equal where the lips touch."""
    b = (np.digitize(columns.bright, BRIGHT) - 1).clip(0, len(BRIGHT) - 2)
    r = (np.digitize(columns.red, RED) - 1).clip(0, len(RED) - 2)
    at = np.linspace(0, 1, STEPS)
    within = (at > columns.upper[..., None]) & (at < columns.lower[..., None])
    score = gaussian_filter(ratio[b, r] + np.where(within, LEAN, -LEAN), (0, 0, 0.8))
    start, stop, best = greatest_run(score)
    closed = best <= 0
    darkest = columns.bright.argmin(-1) / (STEPS - 1)
    return (
        np.where(closed, darkest, crossing(score, start)),
        np.where(closed, darkest, crossing(score, stop)),
    )


def greatest_run(
    score: Float[np.ndarray, "*N S"],
) -> tuple[Int[np.ndarray, "*N"], Int[np.ndarray, "*N"], Float[np.ndarray, "*N"]]:
    """Start and stop of the run with the greatest sum, and that sum (Kadane's algorithm)."""
    total = np.concatenate([np.zeros((*score.shape[:-1], 1)), score.cumsum(-1)], -1)
    lowest = np.minimum.accumulate(total, -1)
    gain = total[..., 1:] - lowest[..., :-1]
    stop = gain.argmax(-1)
    before = np.arange(score.shape[-1]) <= stop[..., None]
    start = np.where(before, total[..., :-1], np.inf).argmin(-1)
    return start, stop + 1, np.take_along_axis(gain, stop[..., None], -1)[..., 0]


def crossing(
    score: Float[np.ndarray, "*N S"], edge: Int[np.ndarray, "*N"]
) -> Float[np.ndarray, "*N"]:
    """Where, along the column, the score crosses zero between the points about an edge."""
    ahead, behind = (edge - 1).clip(0, STEPS - 1), edge.clip(0, STEPS - 1)
    a, b = (np.take_along_axis(score, i[..., None], -1)[..., 0] for i in (ahead, behind))
    apart = np.where(np.abs(b - a) > 1e-9, b - a, 1.0)
    return (ahead + np.where(ahead == behind, 0.0, (-a / apart).clip(0, 1))) / (STEPS - 1)


def on_scale(
    columns: Columns,
    ratio: Float[np.ndarray, "B R"],
    upper: Float[np.ndarray, "N C"],
    lower: Float[np.ndarray, "N C"],
) -> LipLine:
    """The landmarks' scale of seen borders: one slope, each column's own gap and middle.

    The seen gap is the exact one of the two, so the landmarks' is regressed on it, robustly.
    """
    seen = (lower - upper) * columns.pixels
    meant = (columns.lower - columns.upper) * columns.pixels
    weight, slope, gap = np.ones_like(seen), 1.0, np.zeros(seen.shape[1])
    for _ in range(5):
        x, y = ((weight * v).sum(0) / weight.sum(0) for v in (seen, meant))
        spread = (weight * (seen - x) ** 2).sum()
        slope = float((weight * (seen - x) * (meant - y)).sum() / max(spread, 1e-9))
        gap = y - slope * x
        off = meant - gap - slope * seen
        usual = 1.48 * np.median(np.abs(off)) + 1e-6
        weight = 1 / (1 + (off / (2 * usual)) ** 2)
    middle = (columns.upper + columns.lower - upper - lower) / 2 * columns.pixels
    return LipLine(ratio, slope, gap, np.median(middle, 0))


def seen_inner_lips(
    line: LipLine, columns: Columns, xy: Float[np.ndarray, "N L 2"]
) -> Float[np.ndarray, "N L 2"]:
    """The landmarks `xy` with their inner lips moved along the columns to where they are seen."""
    upper, lower = borders(columns, line.ratio)
    gap = (line.gap + line.slope * (lower - upper) * columns.pixels).clip(0)
    middle = (upper + lower) / 2 * columns.pixels + line.middle
    top, bottom = ends_of(xy)
    way = (bottom - top) / columns.pixels[..., None]
    moved = xy.copy()
    for side, at, was in (
        (INNER_UPPER, middle - gap / 2, columns.upper),
        (INNER_LOWER, middle + gap / 2, columns.lower),
    ):
        moved[:, side] += way * (at - was * columns.pixels)[..., None]
    return moved
