"""The page of the curve: tables with intervals, claims, and the plot beside it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from benchmarks.learning.subjects import SECONDS, SUBJECTS, Library
from benchmarks.learning.trial import SEEDS, Trial, run
from benchmarks.learning.variants import (
    ABLATIONS,
    CURVE,
    SHUT,
    SHUT_SECONDS,
    SHUT_SHARE,
    VARIANTS,
)
from core.serial import atomic_path
from evaluate.chart import Panel, Point, chart_svg
from evaluate.report import METRICS, printed

Column = tuple[str, str]
COLUMNS: tuple[Column, ...] = (
    *((area, name) for area in ("lower_face", "mouth")
      for name in ("psnr", "ssim", "gmsd", "sharpness_ratio")),
    ("open_mouth", "ssim"),
    ("open_mouth", "sharpness_ratio"),
)  # fmt: skip
HEADINGS = (
    "PSNR | SSIM | GMSD | sharp | mouth PSNR | SSIM | GMSD | sharp | inside SSIM | inside sharp"
)
PANELS = {
    "Lower face, PSNR in dB": ("lower_face", "psnr"),
    "Mouth, PSNR in dB": ("mouth", "psnr"),
    "Mouth, SSIM": ("mouth", "ssim"),
    "Mouth, sharpness ratio": ("mouth", "sharpness_ratio"),
    "Inside of open mouths, SSIM": ("open_mouth", "ssim"),
    "Inside of open mouths, sharpness ratio": ("open_mouth", "sharpness_ratio"),
}

Figures = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """Figures of the trials that are done, by variant and seconds: person → seed → figures."""

    cells: dict[tuple[str, float], dict[str, dict[int, Figures]]]

    @staticmethod
    def of(trials: Sequence[Trial], library: Library) -> "Results":
        cells: dict[tuple[str, float], dict[str, dict[int, Figures]]] = defaultdict(dict)
        for trial in trials:
            if trial.path(library.work).exists():
                found = run(trial, library)
                cell = cells[trial.variant, trial.seconds]
                cell.setdefault(trial.subject.name, {})[trial.seed] = found or {}
        return Results(dict(cells))

    def of_people(self, variant: str, seconds: float, column: Column) -> dict[str, float]:
        """Each person's value, the mean of the seeds."""
        cell = self.cells.get((variant, seconds), {})
        return finite_means(
            {name: [value(f, column) for f in found.values()] for name, found in cell.items()}
        )

    def counts(self, variant: str, seconds: float) -> str:
        cell = self.cells.get((variant, seconds), {})
        return f"{len(cell)}, {sum(map(len, cell.values()))}"


def finite_means(values: dict[str, list[float]]) -> dict[str, float]:
    means = {name: float(np.mean(each)) for name, each in values.items() if each}
    return {name: mean for name, mean in means.items() if isfinite(mean)}


def value(figures: Figures, column: Column) -> float:
    found = figures[column[0]][column[1]]
    return float("nan") if found is None else found


@dataclass(frozen=True)
class Estimate:
    """A mean over people, and half of its 95 % interval (Student's t over people)."""

    mean: float
    half: float
    people: int

    def text(self, digits: int) -> str:
        if not self.people:
            return "–"
        half = f" ± {self.half:.{digits}f}" if isfinite(self.half) else ""
        return printed(self.mean, digits) + half


Row = tuple[str, str, list[Estimate]]


def estimate(values: Sequence[float]) -> Estimate:
    count = len(values)
    if count < 2:
        return Estimate(float(np.mean(values)) if count else float("nan"), float("nan"), count)
    spread = float(np.std(values, ddof=1)) / sqrt(count)
    return Estimate(float(np.mean(values)), float(student.ppf(0.975, count - 1)) * spread, count)


def difference(
    results: Results, a: tuple[str, float], b: tuple[str, float], column: Column
) -> Estimate:
    """a − b over the people who have both, each the mean of the seeds that both have: seeds differ
    by as much as some variants do."""
    ours, theirs = (results.cells.get(cell, {}) for cell in (a, b))
    apart = {
        name: [
            value(ours[name][seed], column) - value(theirs[name][seed], column)
            for seed in sorted(ours[name].keys() & theirs[name].keys())
        ]
        for name in ours
        if name in theirs
    }
    return estimate(list(finite_means(apart).values()))


def write_page(
    output: Path, trials: Sequence[Trial], library: Library, cpu_seconds: float, note: str
) -> None:
    """Write what is known by now, and the plot beside it."""
    results = Results.of(trials, library)
    done = sum(trial.path(library.work).exists() for trial in trials)
    plot = output.with_suffix(".svg")
    sections = [
        introduction(cpu_seconds, done, len(trials), note),
        f"![{'; '.join(PANELS)}]({plot.name})",
        claims(results),
        curve_table(results),
        ablation_table(results),
        shut_table(results),
        people_table(results, 4.0),
    ]
    with atomic_path(output) as temporary:
        temporary.write_text("\n\n".join(section for section in sections if section) + "\n")
    with atomic_path(plot) as temporary:
        temporary.write_text(chart_svg(panels(results), "seconds of footage"))


def introduction(cpu_seconds: float, done: int, total: int, note: str) -> str:
    people = ", ".join(
        f"{s.name} ({s.learn}, judged on {s.judge[0]:g} to {s.judge[1]:g} s of {s.plate})"
        for s in SUBJECTS
    )
    return (
        "# The curve\n\n"
        "    python -m benchmarks.curve --footage FOLDER\n\n"
        "Actors learned from the first seconds of a clip and reenacted on seconds that nobody has "
        "seen: the plate's own tracked mouth drives, the plate's pictures are the truth. Each "
        "system, the nearest frame too, first has the plate's motion registered to what it paints "
        "itself. "
        f"Each learns for {cpu_seconds:g} seconds of processor time (one thread) after tracking, "
        "registering its footage included, with the prior and without it, so that other work on "
        "the machine counts for nothing; "
        "`adapt` learns for about 150 s on two cores. The tracks know no more than the seconds "
        "named. Figures are taken before encoding, in face crops with the face 192 px high; "
        "*inside* is the polygon of the true inner lips in frames in which teeth show. Intervals "
        "are 95 % (Student's t over people, each the mean of its seeds).\n\n"
        f"{people}. Seeds: {', '.join(map(str, SEEDS))}. "
        f"{done} of {total} trials are done." + (f"\n\n{note}" if note else "")
    )


def panels(results: Results) -> list[Panel]:
    """Points over the people that the variant was tried with; see the table for how many."""

    def points(variant: str, column: Column) -> list[Point]:
        found = [(s, estimate(list(results.of_people(variant, s, column).values())))
                 for s in SECONDS]  # fmt: skip
        return [Point(s, e.mean, e.half) for s, e in found if e.people]

    return [
        Panel(title, {variant: points(variant, column) for variant in CURVE})
        for title, column in PANELS.items()
    ]


def claims(results: Results) -> str:
    """What the issue asks for, and what is measured."""
    four = ("prior", 4.0)

    def own(column: Column) -> Estimate:
        return estimate(list(results.of_people(*four, column).values()))

    rows: list[tuple[str, str, Estimate, int]] = [
        ("lower-face PSNR with the prior, 4 s", "≥ 28", own(("lower_face", "psnr")), 2),
        ("mouth sharpness ratio", "≥ 0.85", own(("mouth", "sharpness_ratio")), 3),
        ("inside of open mouths, SSIM", "≥ 0.75", own(("open_mouth", "ssim")), 3),
        ("inside of open mouths, sharpness", "≥ 0.8", own(("open_mouth", "sharpness_ratio")), 3),
    ]
    psnr = ("lower_face", "psnr")
    for seconds in (2.0, 4.0):
        gain = difference(results, ("prior", seconds), ("no prior", seconds), psnr)
        rows.append((f"prior over no prior, {seconds:g} s, dB", "≥ 1.5", gain, 2))
    against = difference(results, four, ("no prior", 16.0), psnr)
    rows.append(("4 s with prior over 16 s without, dB", "≥ 0", against, 2))
    start = difference(results, four, ("no steps", 4.0), psnr)
    rows.append(("adapted over the feed-forward start, dB", "≤ 2", start, 2))
    lines = [f"| {name} | {goal} | {e.text(d)} | {e.people} |" for name, goal, e, d in rows]
    return "\n".join(
        ["## Claims\n", "| | asked | measured | people |", "|---|---|---:|---:|", *lines]
    )


def table(
    title: str, about: str, first: str, rows: Sequence[tuple[str, str, list[Estimate]]]
) -> str:
    """Rows of (label, counts, estimates along COLUMNS)."""
    lines = [
        f"| {label} | {counts} | "
        + " | ".join(
            e.text(METRICS[name].digits) for e, (_, name) in zip(cells, COLUMNS, strict=True)
        )
        + " |"
        for label, counts, cells in rows
    ]
    head = f"| {first} | people, trials | {HEADINGS} |\n|---|---" + "|---:" * len(COLUMNS) + "|"
    return "\n".join([f"## {title}\n", *([f"{about}\n"] if about else []), head, *lines])


def curve_table(results: Results) -> str:
    rows = [
        (
            f"{seconds:g} s, {variant}",
            results.counts(variant, seconds),
            [estimate(list(results.of_people(variant, seconds, c).values())) for c in COLUMNS],
        )
        for seconds in SECONDS
        for variant in CURVE
        if (variant, seconds) in results.cells
    ]
    return table("Seconds of footage", "", "learned from", rows)


def compared(results: Results, others: Sequence[str], seconds: float, against: str) -> list[Row]:
    return [
        (
            f"{name}: {VARIANTS[name].about}",
            results.counts(name, seconds),
            [difference(results, (name, seconds), (against, seconds), c) for c in COLUMNS],
        )
        for name in others
        if (name, seconds) in results.cells
    ]


def ablation_table(results: Results) -> str:
    rows = compared(results, ("no prior", "nearest frame", *ABLATIONS), 4.0, "prior")
    about = "What each change costs (negative PSNR: worse), as differences to *prior* at 4 s."
    return table("Ablations", about, "changed", rows) if rows else ""


def shut_table(results: Results) -> str:
    """What the prior supplies where the footage shows no open mouth."""

    def measured(name: str) -> list[Estimate]:
        return [estimate(list(results.of_people(name, SHUT_SECONDS, c).values())) for c in COLUMNS]

    rows = [
        (f"{name}: {VARIANTS[name].about}", results.counts(name, SHUT_SECONDS), measured(name))
        for name in SHUT
        if (name, SHUT_SECONDS) in results.cells
    ]
    about = (
        f"The {SHUT_SHARE:.0%} of {SHUT_SECONDS:g} s with the least open mouths, against as many "
        "frames of any mouth; judged on the same frames as above."
    )
    return (
        table("Mouths that the footage never showed open", about, "learned from", rows)
        if rows
        else ""
    )


def people_table(results: Results, seconds: float) -> str:
    """Nobody hides behind a mean."""
    rows = [
        (
            f"{subject.name}, {variant}",
            f"1, {len(results.cells[variant, seconds][subject.name])}",
            [
                estimate([v for n, v in results.of_people(variant, seconds, c).items()
                          if n == subject.name])
                for c in COLUMNS
            ],
        )
        for subject in SUBJECTS
        for variant in CURVE
        if subject.name in results.cells.get((variant, seconds), {})
    ]  # fmt: skip
    return table(f"Person by person, {seconds:g} s", "", "person", rows) if rows else ""
