"""How good an actor gets with the seconds of footage it is learned from, with prior and without.

    python -m benchmarks.curve --footage FOLDER [--cpu-seconds 40] [--limit N] [-o PAGE]

Runs what is missing, the most telling trials first, and writes the page and its plot after each
trial; interrupt it any time and start it again. With --limit 0 it only writes what is there.
Contact sheets of all people lie in the work folder's `sheets`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Annotated

import torch
import tyro

from benchmarks.learning.page import write_page
from benchmarks.learning.sheets import write_sheets
from benchmarks.learning.subjects import Library
from benchmarks.learning.trial import in_order, run
from core.errors import ToolkitError
from core.progress import Console, Step


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Learn actors from more and less footage, judge them, and draw the curve."""

    footage: Path
    """Folder that holds the clips, or has them under clips/."""
    cpu_seconds: float = 40.0
    """Processor time of each actor's learning; tracking and judging are not counted."""
    limit: int | None = None
    """Trials to run at most; all that are missing unless told."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("benchmarks/curve.md")
    """The Markdown page; its plot lies beside it."""
    work: Path = field(default_factory=lambda: Path.home() / ".cache" / "redub" / "curve")
    """Where tracks, results and pictures are kept, outside the repository."""
    note: str = ""
    """What to know of the machine and the run, printed under the introduction."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing, write the page as it grows."""
    job = tyro.cli(
        Benchmark, description=__doc__, args=argv, config=(tyro.conf.FlagCreatePairsOff,)
    )
    torch.set_num_threads(1)  # a thread's own seconds are what is compared
    library, reporter = Library(job.footage, job.work), Console()
    trials = list(in_order(job.cpu_seconds))
    missing = [trial for trial in trials if not trial.path(job.work).exists()]
    began = monotonic()
    try:
        for index, trial in enumerate(missing[: job.limit], 1):
            run(trial, library)
            reporter.say(
                f"{trial.subject.name} {trial.seconds:g} s {trial.variant} seed {trial.seed}"
            )
            reporter.step(Step("curve", index, len(missing), monotonic() - began))
            write_page(job.output, trials, library, job.cpu_seconds, job.note)
        write_page(job.output, trials, library, job.cpu_seconds, job.note)
        sheets = write_sheets(trials, job.work)
    except ToolkitError as error:
        print(f"curve: {error}", file=sys.stderr)
        return error.exit_code
    print(job.output, *sheets, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
