"""Curves over frames as inline SVG: no script, no font, no network."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

Scale = Callable[[float], float]

WIDTH, HEIGHT = 860, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 30, 34

# Okabe and Ito (2008): told apart by colour-blind eyes, readable on light and dark paper.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def curve_svg(title: str, series: Mapping[str, Sequence[float]]) -> str:
    """One line a series over the frame index; a value that is not finite leaves a gap."""
    values = [float(v) for curve in series.values() for v in curve if math.isfinite(v)]
    ticks = round_ticks(min(values, default=0.0), max(values, default=1.0))
    frames = max((len(curve) for curve in series.values()), default=0)
    # Ticks of a one-frame clip need a span as well.
    frame_ticks = [
        tick for tick in round_ticks(0.0, max(frames - 1.0, 1.0), whole=True) if tick < frames
    ]

    def x(frame: float) -> float:
        return LEFT + frame / max(frames - 1, 1) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(title)}" '
        'font-size="12" fill="currentColor">'
    ]
    for tick in ticks:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" '
            'stroke="currentColor" stroke-opacity="0.15"/>'
            f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{number(tick)}</text>'
        )
    for tick in frame_ticks:
        parts.append(
            f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{number(tick)}</text>"
        )
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 2}" text-anchor="end" opacity="0.6">frame</text>'
    )
    legend_x = float(LEFT)
    for index, (name, curve) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        parts.append(
            f'<path d="{path(curve, x, y)}" fill="none" stroke="{colour}" stroke-width="1.6" '
            'stroke-linejoin="round" stroke-linecap="round"/>'
            f'<text x="{legend_x:.0f}" y="16" fill="{colour}" font-weight="600">'
            f"{escape(name)}</text>"
        )
        legend_x += 8 * len(name) + 24
    return "\n".join([*parts, "</svg>"])


def path(curve: Sequence[float], x: Scale, y: Scale) -> str:
    """SVG path data: a new subpath after every gap; a lone value is a dot."""
    commands, drawing = [], False
    for frame, value in enumerate(curve):
        if not math.isfinite(value):
            drawing = False
            continue
        point = f"{x(float(frame)):.1f} {y(float(value)):.1f}"
        commands.append(f"L{point}" if drawing else f"M{point}L{point}")
        drawing = True
    return "".join(commands)


def round_ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """About five ticks at multiples of 1, 2 or 5 × 10ⁿ that enclose [low, high]; at least two."""
    if high <= low:
        low, high = low - 0.5, low + 0.5
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    if whole:
        step = max(1.0, step)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def number(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")
