"""How well speech drives mouths, and how surely the networks that judge it can tell.

    python -m benchmarks.speech --corpus CORPUS.json [--actors FOLDER --footage FOLDER]
        [--only mouths closures sync identity quiet live rendered]

The corpus lists tracked speech (`prior.training.speech_corpus`): what is "train" teaches the ridge,
what is "held-out" and "test" is measured. Sounds in a folder `voices` beside it, if any, are mixed
to babble. Findings stay in --work, outside the repository; sections not asked for stay as they
were.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro

from benchmarks.speaking import (
    closures_section,
    identity_section,
    live_section,
    motion_section,
    quiet_section,
    rendered_section,
    sync_section,
)
from benchmarks.speaking.place import Place
from core.errors import ToolkitError
from core.progress import Console
from core.serial import atomic_path

SECTIONS: Mapping[str, Callable[[Place], str]] = {
    "mouths": motion_section.section,
    "closures": closures_section.section,
    "sync": sync_section.section,
    "identity": identity_section.section,
    "quiet": quiet_section.section,
    "live": live_section.section,
    "rendered": rendered_section.section,
}


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Measure speech models and their judges, and write the tables."""

    corpus: Path
    """corpus.json of a speech corpus with examples that are not trained on."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("benchmarks/speech.md")
    """The Markdown page."""
    work: Path = field(default_factory=lambda: Path.home() / ".cache" / "redub" / "speech")
    """Where findings are kept."""
    only: tuple[str, ...] = tuple(SECTIONS)
    """Sections to measure."""
    actors: Path | None = None
    """Work folder of `benchmarks/six_clips.py`, whose actors are dubbed; none are unless told."""
    footage: Path | None = None
    """Folder with the clips, GRID and lines that those actors are dubbed on and with."""
    note: str = ""
    """What to know of the machine and the run, printed under the introduction."""

    def asked(self) -> list[str]:
        """Sections that can be measured with what was given."""
        dubs = self.actors is not None and self.footage is not None
        return [name for name in self.only if dubs or name != "rendered"]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is asked for, write the page and print it."""
    job = tyro.cli(
        Benchmark, description=__doc__, args=argv, config=(tyro.conf.FlagCreatePairsOff,)
    )
    torch.set_num_threads(1)  # on busy cores, threads wait for each other
    place = Place(job.corpus, job.work, Console(), job.actors, job.footage)
    try:
        for name in job.asked():
            with atomic_path(job.work / f"{name}.md") as temporary:
                temporary.write_text(SECTIONS[name](place))
    except ToolkitError as error:
        print(f"speech: {error}", file=sys.stderr)
        return error.exit_code
    kept = [job.work / f"{name}.md" for name in SECTIONS]
    page = "\n\n".join([introduction(job), *(p.read_text() for p in kept if p.exists())]) + "\n"
    with atomic_path(job.output) as temporary:
        temporary.write_text(page)
    print(page)
    return 0


def introduction(job: Benchmark) -> str:
    text = (
        "# Speech\n\n"
        "`python -m benchmarks.speech --corpus CORPUS.json`, see `benchmarks/speech.py`. *ridge*: "
        "linear regression of the coefficients on 1 s of log-mel frames around a moment. "
        "*regressor*: the model that ships as `prior/expression.safetensors`."
    )
    return f"{text}\n\n{job.note}" if job.note else text


if __name__ == "__main__":
    sys.exit(main())
