"""How good the tracker is: on computed performers whose truth is known, and on real footage.

    python -m benchmarks.tracker --shared FOLDER [--only truth real closures speed confidence]

FOLDER holds `footage/` and `models/`. Performers, findings and figures stay in --work, outside the
repository; what is there is not computed again unless the tracker has changed.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro

from benchmarks.tracking import (
    closures_section,
    confidence_section,
    real_section,
    speed_section,
    truth_section,
)
from benchmarks.tracking.workplace import Workplace
from core.errors import ToolkitError
from core.progress import Console
from core.serial import atomic_path

SECTIONS: Mapping[str, Callable[[Workplace], str]] = {
    "truth": truth_section.section,
    "real": real_section.section,
    "closures": closures_section.section,
    "speed": speed_section.section,
    "confidence": confidence_section.section,
}


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Measure the tracker and write the tables."""

    shared: Path
    """Folder with footage/ and models/."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("benchmarks/tracker.md")
    """The Markdown page."""
    work: Path = field(default_factory=lambda: Path.home() / ".cache" / "redub" / "tracker")
    """Where performers and findings are kept."""
    only: tuple[str, ...] = tuple(SECTIONS)
    """Sections to measure; the page keeps the others as they were."""
    clips: tuple[str, ...] = ()
    """Clips of the section on real footage; the first of every person unless told."""
    note: str = ""
    """What to know of the machine and the run, printed under the introduction."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is missing, write the page and print it."""
    job = tyro.cli(
        Benchmark, description=__doc__, args=argv, config=(tyro.conf.FlagCreatePairsOff,)
    )
    torch.set_num_threads(1)  # on busy cores, threads wait for each other
    place = Workplace(job.shared, job.work, Console(), job.clips)
    try:
        for name in job.only:
            text = SECTIONS[name](place)
            with atomic_path(job.work / f"{name}.md") as temporary:
                temporary.write_text(text)
    except ToolkitError as error:
        print(f"tracker: {error}", file=sys.stderr)
        return error.exit_code
    kept = [job.work / f"{name}.md" for name in SECTIONS]
    page = "\n\n".join([introduction(job), *(p.read_text() for p in kept if p.exists())]) + "\n"
    with atomic_path(job.output) as temporary:
        temporary.write_text(page)
    print(page)
    return 0


def introduction(job: Benchmark) -> str:
    title = "# The tracker, measured\n\n    python -m benchmarks.tracker --shared FOLDER"
    return title + (f"\n\n{job.note}" if job.note else "")


if __name__ == "__main__":
    sys.exit(main())
