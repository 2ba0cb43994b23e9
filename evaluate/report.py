"""One offline page and one JSON document that say how good a result is.

`report.json` holds the figures as they are, with null for what is not a finite number. The page
lays them out as tables, one a region, whose rows are this result, each baseline and the truth.
"""

import base64
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from core.serial import atomic_path, save_json
from evaluate.curve import curve_svg
from evaluate.sheet import save_png


@dataclass(frozen=True)
class Metric:
    """How a figure is printed: heading, digits after the point, and the truth's own value.

    `best` says where good values lie; `truth` is None where only a measurement can tell.
    """

    heading: str
    digits: int
    best: str
    truth: float | None = None


METRICS = {
    "psnr": Metric("PSNR, dB", 2, "higher", math.inf),
    "ssim": Metric("SSIM", 4, "higher", 1.0),
    "gmsd": Metric("GMSD", 4, "lower", 0.0),
    "lpips": Metric("LPIPS", 4, "lower", 0.0),
    "sharpness_ratio": Metric("Sharpness", 3, "near 1", 1.0),
    "lmd_px256": Metric("Landmark distance, px256", 2, "lower", 0.0),
    "opening_corr": Metric("Opening correlation", 3, "higher", 1.0),
    "opening_mae_px256": Metric("Opening error, px256", 2, "lower", 0.0),
    "offset_frames": Metric("Sound late by, frames", 1, "near 0"),
    "confidence": Metric("Confidence", 3, "higher"),
    "margin": Metric("Margin", 3, "higher"),
    "leak": Metric("Speaking in silence", 3, "lower"),
    "grain_fine": Metric("Fine grain", 3, "near 1", 1.0),
    "grain_medium": Metric("Medium grain", 3, "near 1", 1.0),
    "grain_coarse": Metric("Coarse grain", 3, "near 1", 1.0),
    "flicker_ratio": Metric("Flicker", 3, "near 1", 1.0),
    "seam_ratio": Metric("Seam", 3, "near 1", 1.0),
    "outside_max_diff": Metric("Change outside the matte", 0, "0", 0.0),
}

GROUP_TITLES = {
    "frames": "Whole frame",
    "lower_face": "Lower face",
    "mouth": "Mouth",
    "lower_face_own_pixels": "Lower face, in the plate's own pixels",
    "mouth_own_pixels": "Mouth, in the plate's own pixels",
    "open_mouth": "Inside of the open mouth, where teeth show",
    "landmarks": "Landmarks",
    "sync": "Sync",
    "grain": "Grain",
}
SHOT_TITLE = "Shot"
OWN_ROW = "this result"
TRUTH_ROW = "ground truth"
OTHER_SYSTEMS = ("baselines", "ground_truth")

STYLE = """
:root { color-scheme: light dark; --ink: #22262b; --faint: #6b7280; --line: #e2e4e8;
  --paper: #fcfcfa; --own: #eef4fb; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e7e9; --faint: #9aa1ab; --line: #34383e;
  --paper: #17191c; --own: #1d2a38; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; font-weight: 600; margin: 0 0 1.5rem; }
h2 { font-size: 1.05rem; font-weight: 600; margin: 2rem 0 .4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; padding-left: .4rem; }
thead th { font-weight: 500; vertical-align: bottom; }
thead small { display: block; color: var(--faint); font-weight: 400; }
tbody th { font-weight: 400; }
tr.own { background: var(--own); } tr.own th, tr.own td { font-weight: 600; }
tr.truth th, tr.truth td { color: var(--faint); }
figure { margin: 1rem 0 2rem; } figcaption { color: var(--faint); margin-top: .3rem; }
img { max-width: 100%; height: auto; } svg { max-width: 100%; height: auto; color: var(--ink); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; }
dt { color: var(--faint); } dd { margin: 0; }
"""


def write_report(
    folder: Path,
    title: str,
    figures: Mapping[str, Any],
    images: Mapping[str, UInt8[np.ndarray, "_ _ 3"]],
    curves: Mapping[str, Mapping[str, Sequence[float]]],
) -> Path:
    """Write `report.html`, `report.json` and `<name>.png` for each image; returns the page's path.

    figures: metrics by the names of `METRICS`, alone or in groups (`mouth: {psnr, …}`); `baselines`
    and `ground_truth` hold the same for other systems (a truth not given is each metric's ideal);
    `time` is seconds a stage; any other entry is printed as a fact. curves: heading → series →
    one value a frame, gaps are NaN. Raises ResourceError where the folder cannot be written.
    """
    folder = Path(folder)
    save_json(folder / "report.json", plain(figures))
    for name, picture in images.items():
        save_png(folder / f"{slug(name)}.png", picture)
    sections = [
        *(metric_table(heading, systems) for heading, systems in metric_groups(figures)),
        *(curve_section(heading, series) for heading, series in curves.items()),
        *(figure(name, folder / f"{slug(name)}.png") for name in images),
        time_table(figures.get("time", {})),
        facts(figures),
    ]
    page = folder / "report.html"
    with atomic_path(page) as temporary:
        temporary.write_text(document(title, sections), encoding="utf-8", errors="replace")
    return page


def plain(value: Any) -> Any:
    """The value in JSON's own types: not-finite numbers are None, other objects their text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


Row = tuple[str, Mapping[str, Any]]


def metric_groups(figures: Mapping[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    """Each group of metrics with its rows: this result, the baselines, the truth."""
    baselines = figures.get("baselines", {})
    truth = figures.get("ground_truth", {})
    for name, own in groups(figures).items():
        ideal = {metric: METRICS[metric].truth for metric in own}
        others = [
            (spaced(label), groups(other).get(name, {}))
            for label, other in baselines.items()
            if other
        ]
        known_truth = {**ideal, **groups(truth).get(name, {})}
        yield name, [(OWN_ROW, own), *others, (TRUTH_ROW, known_truth)]


def groups(figures: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures that are metrics, by the heading they stand under."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in figures.items():
        if name in OTHER_SYSTEMS:
            continue
        if name in METRICS:
            found.setdefault(SHOT_TITLE, {})[name] = value
        elif metrics := metrics_of(value):
            found[GROUP_TITLES.get(name, spaced(name))] = metrics
    return found


def metrics_of(value: Any) -> dict[str, Any]:
    """The metrics that a mapping or a dataclass of scores holds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if not isinstance(value, Mapping):
        return {}
    return {name: item for name, item in value.items() if name in METRICS}


def metric_table(heading: str, rows: Sequence[Row]) -> str:
    names = [name for name in METRICS if any(name in figures for _, figures in rows)]
    kinds = {OWN_ROW: "own", TRUTH_ROW: "truth"}
    head = "".join(
        f"<th>{escape(METRICS[name].heading)}<small>{METRICS[name].best}</small></th>"
        for name in names
    )
    body = "".join(
        f'<tr class="{kinds.get(label, "other")}"><th>{escape(label)}</th>'
        + "".join(f"<td>{printed(figures.get(name), METRICS[name].digits)}</td>" for name in names)
        + "</tr>\n"
        for label, figures in rows
    )
    return table(heading, f"<th></th>{head}", body)


def time_table(seconds: Mapping[str, float]) -> str:
    if not seconds:
        return ""
    body = "".join(
        f"<tr><th>{escape(spaced(stage))}</th><td>{printed(value, 1)}</td></tr>\n"
        for stage, value in seconds.items()
    )
    return table("Time", "<th></th><th>seconds</th>", body)


def table(heading: str, head: str, body: str) -> str:
    return (
        f'<h2>{escape(heading)}</h2>\n<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table></div>"
    )


def facts(figures: Mapping[str, Any]) -> str:
    """Whatever else was given: counts, codec, crop, seed, memory."""
    shown = {"time", *OTHER_SYSTEMS, *METRICS}
    rest = {
        name: value
        for name, value in figures.items()
        if name not in shown and not metrics_of(value)
    }
    if not rest:
        return ""
    rows = "".join(
        f"<dt>{escape(spaced(name))}</dt><dd>{escape(fact(value))}</dd>\n"
        for name, value in rest.items()
    )
    return f"<h2>Conditions</h2>\n<dl>\n{rows}</dl>"


def fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{spaced(str(name))} {fact(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(fact(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def curve_section(heading: str, series: Mapping[str, Sequence[float]]) -> str:
    return f"<h2>{escape(heading)}</h2>\n<figure>{curve_svg(heading, series)}</figure>"


def figure(name: str, png: Path) -> str:
    data = base64.b64encode(png.read_bytes()).decode("ascii")
    caption = escape(spaced(name))
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def document(title: str, sections: Sequence[str]) -> str:
    body = "\n".join(section for section in sections if section)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n{body}\n"
        "</body>\n</html>\n"
    )


def printed(value: Any, digits: int) -> str:
    """A number as the tables show it; – where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}f}".replace("-", "−")


def spaced(name: str) -> str:
    return name.replace("_", " ")


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "image"
