"""Pictures of the trials, for people to look at: a page a person, kept outside the repository."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from benchmarks.learning.subjects import SUBJECTS, Subject
from benchmarks.learning.trial import Trial
from benchmarks.learning.variants import CURVE, SHUT, SHUT_SECONDS
from evaluate.sheet import contact_sheet, difference_row, save_png

ROWS = {4.0: CURVE, SHUT_SECONDS: SHUT}
"""Variants shown of each length of footage, the first one with its difference from the truth."""


def write_sheets(trials: Sequence[Trial], work: Path) -> list[Path]:
    """One sheet for each person and length of footage that has pictures; returns their paths."""
    written = []
    for subject in SUBJECTS:
        for seconds, variants in ROWS.items():
            pictures = {
                trial.variant: path
                for trial in trials
                if (trial.subject, trial.seconds, trial.seed) == (subject, seconds, 0)
                and trial.variant in variants
                and (path := trial.path(work).with_suffix(".npz")).exists()
            }
            if pictures:
                written.append(work / "sheets" / f"{subject.name}.{seconds:g}s.png")
                save_png(written[-1], sheet(subject, seconds, variants, pictures))
    return written


def sheet(
    subject: Subject, seconds: float, variants: Sequence[str], pictures: dict[str, Path]
) -> UInt8[np.ndarray, "h w 3"]:
    """Truth above the variants, from the most shut to the widest mouth."""
    shown = {name: np.load(pictures[name]) for name in variants if name in pictures}
    first = next(iter(shown.values()))
    truth = list(first["truth"])
    rows = [("truth", truth)]
    for name, kept in shown.items():
        rows.append((name, list(kept["made"])))
        if name == variants[0]:
            rows.append(difference_row(rows[-1][1], truth))
    columns = [f"frame {frame}" for frame in first["frame"]]
    title = f"{subject.name}: {seconds:g} s of {subject.learn}, judged on {subject.plate}"
    return contact_sheet(rows, columns, cell_height=200, title=title)
