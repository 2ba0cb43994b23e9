"""Where the lips end and the mouth begins, read off the picture.

A detector's inner lips wander by a pixel from frame to frame; the border between lip and what lies
behind is plain to see. Nine columns cross the mouth from the middle of the upper lip to the middle
of the lower one. In each, the mouth is the run of points that look least like this person's lips:
a maximum subarray of log likelihood ratios (Kadane's algorithm), which pays for beginning and
ending far from where the detector saw the borders, and is empty where the lips touch.

Shut lips have a dark line of a pixel or two between them. Its thickness is a person's own, learned
where the landmarks say shut, and a gap widens it as blur widens an edge: the squares add. So a run
no thicker than that line tells nothing of a gap, and there the landmarks decide; a wide one is as
wide as it looks. Between them each counts by its expected error.

Vocabulary: `N` frames, `C` columns, `S` steps down a column, `E` edges before and after them;
`along` counts a column's length from 0 to 1. Crops show a face 192 pixels high: pixels are px256.
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

TEETH = 1.1
"""Brightness of teeth over the lip's, before this person's are seen; brighter is as good."""
TONGUE = 0.2
"""Share of the mouth that is expected to look like lips, as a tongue does."""

STRAY_PIXELS, STRAY_SHARE = 1.0, 0.1
"""How far from its landmark a border may lie at ease: pixels, and a share of the landmarks' gap."""
STRAY_PRICE = 2.0
"""Price of the logarithm of straying (Cauchy), in log likelihood: what one pixel may tell at most
buys 1.9 times that ease."""

OPEN_PIXELS, CLEAR_PIXELS = 3.0, 1.0
"""Gaps that surely show the mouth, and the distance from a border at which a point is certain."""

SHUT_PIXELS = 0.5
"""Mean gap of the landmarks below which a frame shows what shut lips look like."""
SHUT_SHARE = 0.8
"""Share of those frames whose line is to be no gap; in the others a detector overlooked one."""
SHUT_LINE, SHUT_GUESSES = 2.5, 3.0
"""Thickness of the line between shut lips before it was seen, and the frames that this counts."""

SEEN_ERROR, SEEN_SHARE = 0.5, 0.1
LANDMARK_ERROR, LANDMARK_SHARE = 0.4, 0.08
"""Expected errors of a thickness and of the landmarks' gap: pixels, and a share of the gap. From
computed performers, whose gaps change by 3 % of their error for 0.3 to 0.6 and 0.05 to 0.2."""
LANDMARK_TAIL = 4.5
"""Errors from the picture's gap at which landmarks count a quarter (Geman and McClure 1985)."""

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
    """A person's lips against mouth: log likelihood ratios, the thickness of the line between shut
    lips, and how far below the seen middle of the mouth the landmarks' one lies, pixels."""

    ratio: Float[np.ndarray, "B R"]
    shut: Float[np.ndarray, "C"]
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
        (luma / (between_ends(luma) + 4)).clip(BRIGHT[0], BRIGHT[-1]),
        (red - between_ends(red)).clip(RED[0], RED[-1]),
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
    middle = (columns.upper + columns.lower - upper - lower) / 2 * columns.pixels
    return LipLine(ratio, shut_line(columns, upper, lower), np.median(middle, 0))


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

    lip = share(lips, guessed_lips())
    inside = (1 - TONGUE) * share(mouth, guessed_mouth()) + TONGUE * lip
    return np.log(inside / lip).clip(-3, 3)


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
    seen += 0.6 * bell(bright.clip(max=TEETH), TEETH, 0.4) * bell(red, -0.22, 0.1)
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
    score = gaussian_filter(ratio[b, r], (0, 0, 0.8))
    step = columns.pixels[..., None] / (STEPS - 1)
    begun, ended = (stray_price(columns, side) for side in (columns.upper, columns.lower))
    start, stop = dearest_run(score * step, begun, ended)
    darkest = columns.bright.argmin(-1) / (STEPS - 1)
    closed = start == stop
    return (
        np.where(closed, darkest, crossing(score, start)),
        np.where(closed, darkest, crossing(score, stop)),
    )


def stray_price(columns: Columns, side: Float[np.ndarray, "N C"]) -> Float[np.ndarray, "N C E"]:
    """What a border before each point costs, and one after the last, if a landmark says `side`."""
    edges = (np.arange(STEPS + 1) - 0.5) / (STEPS - 1)
    gap = (columns.lower - columns.upper).clip(0) * columns.pixels
    ease = STRAY_PIXELS + STRAY_SHARE * gap
    away = (edges - side[..., None]) * columns.pixels[..., None] / ease[..., None]
    return STRAY_PRICE * np.log1p(away**2)


def dearest_run(
    score: Float[np.ndarray, "*N S"],
    begun: Float[np.ndarray, "*N E"],
    ended: Float[np.ndarray, "*N E"],
) -> tuple[Int[np.ndarray, "*N"], Int[np.ndarray, "*N"]]:
    """Start and stop of the run that is worth most: the sum of its scores less what beginning at
    its start and ending at its stop cost. It may be empty (Kadane's algorithm)."""
    total = np.concatenate([np.zeros((*score.shape[:-1], 1)), score.cumsum(-1)], -1)
    ahead = -total - begun
    stop = (np.maximum.accumulate(ahead, -1) + total - ended).argmax(-1)
    before = np.arange(total.shape[-1]) <= stop[..., None]
    return np.where(before, ahead, -np.inf).argmax(-1), stop


def crossing(
    score: Float[np.ndarray, "*N S"], edge: Int[np.ndarray, "*N"]
) -> Float[np.ndarray, "*N"]:
    """Where, along the column, the score crosses zero between the points about an edge."""
    ahead, behind = (edge - 1).clip(0, STEPS - 1), edge.clip(0, STEPS - 1)
    a, b = (np.take_along_axis(score, i[..., None], -1)[..., 0] for i in (ahead, behind))
    apart = np.where(np.abs(b - a) > 1e-9, b - a, 1.0)
    return (ahead + np.where(ahead == behind, 0.0, (-a / apart).clip(0, 1))) / (STEPS - 1)


def shut_line(
    columns: Columns, upper: Float[np.ndarray, "N C"], lower: Float[np.ndarray, "N C"]
) -> Float[np.ndarray, "C"]:
    """Thickness of the line between shut lips: what few frames whose landmarks say shut exceed,
    and a guess that counts as some frames."""
    meant = (columns.lower - columns.upper) * columns.pixels
    shut = meant.mean(1) < SHUT_PIXELS
    count = int(shut.sum())
    seen = ((lower - upper) * columns.pixels)[shut]
    most = np.quantile(seen, SHUT_SHARE, axis=0) if count else np.zeros(seen.shape[1])
    return (count * most + SHUT_GUESSES * SHUT_LINE) / (count + SHUT_GUESSES)


def parted(
    thickness: Float[np.ndarray, "N C"], shut: Float[np.ndarray, "C"]
) -> Float[np.ndarray, "N C"]:
    """The gap behind a run's thickness, if shut lips show a line as thick as `shut`."""
    return np.sqrt((thickness**2 - shut**2).clip(0))


def agreed_gap(
    thickness: Float[np.ndarray, "N C"],
    meant: Float[np.ndarray, "N C"],
    shut: Float[np.ndarray, "C"],
) -> tuple[Float[np.ndarray, "N C"], Float[np.ndarray, "N C"]]:
    """The gap that the picture and the landmarks agree on, each weighed by its expected error, and
    the expected error of that, pixels.

    An error e of a thickness s is one of e s / g of the gap g: endless where the lips are shut.
    """
    gap, meant = parted(thickness, shut), meant.clip(0)
    error = thickness.clip(1e-6) * (SEEN_ERROR + SEEN_SHARE * gap)
    usual = LANDMARK_ERROR + LANDMARK_SHARE * meant
    by_picture = (gap / error) ** 2
    by_landmarks = (usual * (1 + ((gap - meant) / (LANDMARK_TAIL * usual)) ** 2)) ** -2
    total = by_picture + by_landmarks
    return (by_picture * gap + by_landmarks * meant) / total, total**-0.5


def seen_inner_lips(
    line: LipLine, columns: Columns, xy: Float[np.ndarray, "N L 2"]
) -> tuple[Float[np.ndarray, "N L 2"], Float[np.ndarray, "N C"]]:
    """The landmarks `xy` with their inner lips moved along the columns to where they are seen, and
    the expected errors of the gaps between them, pixels."""
    upper, lower = borders(columns, line.ratio)
    meant = (columns.lower - columns.upper) * columns.pixels
    gap, error = agreed_gap((lower - upper) * columns.pixels, meant, line.shut)
    middle = (upper + lower) / 2 * columns.pixels + line.middle
    top, bottom = ends_of(xy)
    way = (bottom - top) / columns.pixels[..., None]
    moved = xy.copy()
    for side, at, was in (
        (INNER_UPPER, middle - gap / 2, columns.upper),
        (INNER_LOWER, middle + gap / 2, columns.lower),
    ):
        moved[:, side] += way * (at - was * columns.pixels)[..., None]
    return moved, error
