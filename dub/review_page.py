"""The page that `redub review` writes: one file, no network, the same in every browser.

Each view is one video with the plate above the dub: a canvas lays the halves over each other, so
that both sides of a wipe are always the same frame.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from importlib.resources import files
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from evaluate.curve import COLOURS, path
from evaluate.report import STYLE
from media.audio import Audio

WIDTH, WAVE, CURVE, STRIP = 1000, 70, 110, 14
"""Of the timeline, in its own units: waveform, openings and ranges lie below each other."""


@dataclass(frozen=True)
class Check:
    """One rule of quality control: what was found, what is asked."""

    name: str
    found: str
    rule: str
    passed: bool


@dataclass(frozen=True)
class Finding:
    """Frames of the output, half-open, and why they are worth a look."""

    start: int
    stop: int
    why: str


def page(
    title: str,
    views: Mapping[str, bytes],
    fps: Fraction,
    checks: Sequence[Check],
    findings: Sequence[Finding],
    openings: Mapping[str, Float[np.ndarray, " T"]],
    sound: Audio | None,
) -> str:
    """The whole document. `views` are MP4 files, `openings` one value a frame for each curve."""
    count = max(len(curve) for curve in openings.values())
    shell = files("dub").joinpath("review.html").read_text(encoding="utf-8")
    parts = {
        "TITLE": escape(title),
        "STYLE": STYLE,
        "VIEWS": "\n".join(video(name, content) for name, content in views.items()),
        "BUTTONS": "".join(
            f'<button data-view="{escape(name)}">{escape(name)}</button>' for name in views
        ),
        "CHECKS": "\n".join(check_row(check) for check in checks),
        "FINDINGS": "\n".join(finding_row(finding) for finding in findings)
        or "<li>Nothing stands out.</li>",
        "TIMELINE": timeline(openings, findings, sound, count),
        "SETTINGS": json.dumps({"fps": float(fps), "frames": count}),
    }
    for name, content in parts.items():
        shell = shell.replace(f"{{{{{name}}}}}", content)
    return shell


def video(name: str, content: bytes) -> str:
    data = base64.b64encode(content).decode("ascii")
    return (
        f'<video data-view="{escape(name)}" playsinline preload="auto" '
        f'src="data:video/mp4;base64,{data}"></video>'
    )


def check_row(check: Check) -> str:
    mark, kind = ("passed", "good") if check.passed else ("look here", "bad")
    cells = "".join(f"<td>{escape(text)}</td>" for text in (check.found, check.rule))
    return f'<tr class="{kind}"><th>{escape(check.name)}</th>{cells}<td>{mark}</td></tr>'


def finding_row(finding: Finding) -> str:
    last = finding.stop - 1
    span = f"{finding.start}" if last == finding.start else f"{finding.start} to {last}"
    return f'<li><button data-frame="{finding.start}">{span}</button> {escape(finding.why)}</li>'


def timeline(
    openings: Mapping[str, Float[np.ndarray, " T"]],
    findings: Sequence[Finding],
    sound: Audio | None,
    count: int,
) -> str:
    """Sound, openings (each scaled to its own range) and ranges above one time axis, as SVG."""
    height = WAVE + CURVE + STRIP
    parts = [
        f'<svg id="timeline" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'preserveAspectRatio="none" role="img" aria-label="sound and mouth openings">'
    ]
    if sound is not None:
        parts.append(f'<path d="{waveform(sound)}" fill="currentColor" opacity="0.45"/>')

    def x(frame: float) -> float:
        return (frame + 0.5) / count * WIDTH

    for index, curve in enumerate(openings.values()):
        known = curve[np.isfinite(curve)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
        span = max(float(high - low), 1e-9)

        def y(value: float, low: float = float(low), span: float = span) -> float:
            return WAVE + CURVE - 6 - (value - low) / span * (CURVE - 12)

        parts.append(
            f'<path d="{path(curve.tolist(), x, y)}" fill="none" stroke="{COLOURS[index]}" '
            'stroke-width="1.5" vector-effect="non-scaling-stroke"/>'
        )
    for finding in findings:
        left, right = finding.start / count * WIDTH, finding.stop / count * WIDTH
        parts.append(
            f'<rect x="{left:.1f}" y="{WAVE + CURVE}" width="{right - left:.1f}" '
            f'height="{STRIP}" fill="{COLOURS[1]}"><title>{escape(finding.why)}</title></rect>'
        )
    parts.append(f'<line id="cursor" y1="0" y2="{height}" stroke="currentColor"/></svg>')
    legend = " ".join(
        f'<span style="color:{COLOURS[index]}">{escape(name)}</span>'
        for index, name in enumerate(openings)
    )
    return "\n".join([*parts, f"<p>Mouth opening, each to its own scale: {legend}</p>"])


def waveform(sound: Audio) -> str:
    """SVG path data of the loudest sample of each of a thousand stretches, mirrored."""
    samples = np.abs(sound.mono().samples[0])
    edges = np.linspace(0, len(samples), WIDTH + 1).astype(int)
    peaks = np.array([samples[a:b].max(initial=0.0) for a, b in pairwise(edges.tolist())])
    half = WAVE / 2
    tall = half * 0.95 * peaks / max(float(peaks.max(initial=0.0)), 1e-6)
    above = [f"{i} {half - h:.1f}" for i, h in enumerate(tall)]
    below = [f"{i} {half + h:.1f}" for i, h in enumerate(tall)][::-1]
    return "M" + "L".join([*above, *below]) + "Z"
