"""`adapt`: learn an actor from a clip, as a command."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

import tyro

from core.command import Verb, run_command
from core.duration import parse_seconds
from core.errors import InputError, UsageError
from core.size import Size

BUDGETS = {"draft": 45.0, "final": 180.0}
"""Seconds that adaptation may take, all stages, unless --budget says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Adapt(Verb):
    """Learn an actor from a few seconds of footage: an actor folder and its report."""

    actor: tyro.conf.UseAppendAction[tuple[str, ...]]
    """A clip that shows the actor speaking, CLIP or CLIP@A:B for some of its frames. Repeat it for
    more clips of the same person; the first one's light is the actor's, its last frames judge."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The actor folder; beside the first clip, named like it, unless told."""
    range: str | None = None
    """Frames of a single clip, A:B in seconds (0s:4s), frames (0:100) or timecode (tc:...)."""
    budget: str | None = None
    """Wall-clock time of the whole job, as 90s or 3m; decides over --quality."""
    quality: Literal["draft", "final"] = "final"
    """draft takes 45 seconds, final 3 minutes."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the actor is learned; tracking stays on the CPU."""
    size: Size | None = None
    """Of the renderer: light unless told (faces painted 192 pixels high), or full (384), for GPUs
    and with weights of one's own; an actor that is refined keeps its size."""
    seed: int = 0
    """Seed of everything random."""
    baseline: bool = False
    """Learn the actor a second time without the prior, for evaluate to put beside."""
    refine: Path | None = None
    """An actor folder to go on from: what it knows stays, the clips are learned on top. Written
    back there unless -o says otherwise."""
    json: bool = False
    """Print the actor's report on stdout."""

    def run(self) -> int:
        began = monotonic()
        seconds = parse_seconds(self.budget) if self.budget else BUDGETS[self.quality]

        from adapt.actor import size_of
        from adapt.pipeline import Adaptation, adapt
        from adapt.takes import parse_takes
        from core.device import resolve_device

        device = resolve_device(self.device).torch

        if not self.actor:
            raise UsageError("adapt needs a clip; name it with --actor CLIP.")
        takes = parse_takes(self.actor, self.range)
        if self.refine is not None and self.baseline:
            raise UsageError(
                f"--baseline learns without what {self.refine} knows; leave it out with --refine."
            )
        if self.refine is not None and self.size is not None:
            raise UsageError(
                f"--size {self.size} cannot change the size of {self.refine}; leave it out with "
                "--refine."
            )
        size = self.size or ("light" if self.refine is None else size_of(self.refine))
        folder = self.output or self.refine or takes[0].clip.path.with_suffix(".actor")
        jobs = [(True, folder), (False, without_prior(folder))][: 1 + self.baseline]
        for _, into in jobs:
            check_folder(into)
        for prior, into in jobs:
            job = Adaptation(takes, seconds, self.seed, prior, device, self.refine, size, began)
            try:
                adapt(job, into, self.reporter)
            except InputError:
                drop_work(into)  # nothing in it would help another try
                raise
            began = monotonic()
        report = folder / "report"
        print((report / "report.json").read_text() if self.json else described(folder))
        return 0


def check_folder(folder: Path) -> None:
    """Raises UsageError for a folder that holds something else than an actor or a job's work."""
    ours = any((folder / name).is_file() for name in ("actor.json", "work/ticket.json"))
    if not ours and any(path.is_file() for path in folder.rglob("*")):
        raise UsageError(f"{folder} holds other files; choose a new folder for the actor.")


def without_prior(folder: Path) -> Path:
    """Where the baseline that learned from nothing but the footage lies."""
    return folder.with_name(folder.name + ".no_prior")


def drop_work(folder: Path) -> None:
    """Remove what an unsuitable clip left of a job, and the folder if nothing else is in it."""
    shutil.rmtree(folder / "work", ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def described(folder: Path) -> str:
    """What a person wants to know of a finished actor."""
    figures = json.loads((folder / "report" / "report.json").read_text())
    lower = figures["lower_face"]
    return (
        f"actor   {folder}\n"
        f"report  {folder / 'report' / 'report.html'}\n"
        f"held-out frames: lower face {lower['psnr']:.1f} dB, SSIM {lower['ssim']:.3f}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The `adapt` command; means `redub adapt`."""
    return run_command(Adapt, "adapt", "Learn an actor from a few seconds of footage.", argv)
