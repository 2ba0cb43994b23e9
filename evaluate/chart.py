"""Means with their intervals against a quantity that doubles, as SVG: no script, no font."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from evaluate.curve import COLOURS, number, round_ticks

WIDTH, HEIGHT = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 46, 40


@dataclass(frozen=True)
class Point:
    """A mean at `x` > 0 and the half width of its interval (NaN: not known)."""

    x: float
    mean: float
    half: float


@dataclass(frozen=True)
class Panel:
    """One figure: its heading and the points of each series."""

    title: str
    series: Mapping[str, Sequence[Point]]


def chart_svg(panels: Sequence[Panel], x_title: str, columns: int = 3) -> str:
    """Panels in rows, each with the doublings of x along the bottom and a legend above."""
    rows = -(-len(panels) // columns)
    width, height = columns * WIDTH, rows * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="12" fill="#22262b">'
        f'<rect width="{width}" height="{height}" fill="#fcfcfa"/>'
    ]
    for index, panel in enumerate(panels):
        x, y = index % columns * WIDTH, index // columns * HEIGHT
        parts.append(f'<g transform="translate({x} {y})">{_panel(panel, x_title)}</g>')
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel, x_title: str) -> str:
    points = [p for series in panel.series.values() for p in series if math.isfinite(p.mean)]
    edges = [p.mean + sign * known(p.half) for p in points for sign in (-1, 1)]
    ticks = round_ticks(min(edges, default=0.0), max(edges, default=1.0))
    places = sorted({p.x for p in points}) or [1.0]
    low, high = math.log2(places[0]), math.log2(places[-1])

    def across(value: float) -> float:
        share = (math.log2(value) - low) / (high - low) if high > low else 0.5
        return LEFT + 10 + share * (WIDTH - LEFT - RIGHT - 20)

    def down(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text x="{LEFT}" y="16" font-weight="600">{escape(panel.title)}</text>']
    for tick in ticks:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(tick):.1f}" y2="{down(tick):.1f}" '
            f'stroke="#e2e4e8"/><text x="{LEFT - 6}" y="{down(tick) + 4:.1f}" '
            f'text-anchor="end">{number(tick)}</text>'
        )
    for place in places:
        parts.append(
            f'<text x="{across(place):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{number(place)}</text>"
        )
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end" fill="#6b7280">'
        f"{escape(x_title)}</text>"
    )
    legend = LEFT
    for index, (name, series) in enumerate(panel.series.items()):
        colour = COLOURS[index % len(COLOURS)]
        shown = [p for p in series if math.isfinite(p.mean)]
        parts.append(
            f'<text x="{legend}" y="34" fill="{colour}" font-weight="600">{escape(name)}</text>'
        )
        legend += 7 * len(name) + 18
        # Series stand a little beside each other, so that their intervals can be told apart.
        aside = 4 * (index - (len(panel.series) - 1) / 2)
        line = " ".join(f"{across(p.x) + aside:.1f},{down(p.mean):.1f}" for p in shown)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        )
        for p in shown:
            x = across(p.x) + aside
            parts.append(
                f'<circle cx="{x:.1f}" cy="{down(p.mean):.1f}" r="3" fill="{colour}"/>'
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{down(p.mean - known(p.half)):.1f}" '
                f'y2="{down(p.mean + known(p.half)):.1f}" stroke="{colour}"/>'
            )
    return "".join(parts)


def known(half: float) -> float:
    return half if math.isfinite(half) else 0.0
