"""`redub prior prepare`: footage to a corpus, clip by clip, resumable."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from core.errors import InputError, UsageError
from core.progress import Step
from face3d.morphable import default_model
from face3d.track import Track
from face3d.tracker import track_clip
from media.clip import Clip
from prior.corpus import MARGIN, gather_windows, save_windows, write_index

FRAMES_A_CLIP = 300
"""Windows kept of a clip, spread over it."""

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".mpg")


@dataclass(frozen=True)
class Source:
    """A clip to learn from: who it shows, where it comes from, under which rights."""

    path: Path
    person: str
    rights: str

    @property
    def name(self) -> str:
        return self.path.stem


def list_sources(footage: Path, split: str | None, without: tuple[str, ...] = ()) -> list[Source]:
    """The clips of a folder, or of a `manifest.csv` in it (columns file, person, rights, split).

    Without a manifest each clip counts as a person of its own. Clips named in `without` are left
    out. Raises UsageError where nothing remains.
    """
    manifest = footage / "manifest.csv"
    if manifest.exists():
        with manifest.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if split in (None, row.get("split"))]
        found = [
            Source(_inside(footage, r["file"]), r["person"], r.get("rights", "")) for r in rows
        ]
    else:
        paths = sorted(p for p in footage.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
        found = [Source(path, path.stem, "") for path in paths]
    kept = [source for source in found if source.name not in without]
    if not kept:
        raise UsageError(f"{footage} holds no clip to prepare; give a folder with video files.")
    return kept


def _inside(footage: Path, name: str) -> Path:
    direct = footage / name
    return direct if direct.exists() else footage / "clips" / name


def prepare(sources: list[Source], folder: Path) -> Iterator[Step]:
    """Track every source and keep its windows; a file that stands in the folder is not redone.

    Clips that cannot be used (no face, unreadable) are left out and named in the step's job.
    """
    start = monotonic()
    clips: list[dict[str, Any]] = []
    for index, source in enumerate(sources, start=1):
        file, track_file = folder / f"{source.name}.safetensors", folder / f"{source.name}.track"
        job = f"prepare {source.name}"
        try:
            if not file.exists():
                _prepare_one(source, file, track_file)
            clips.append(
                {
                    "file": file.name,
                    "track": track_file.name,
                    "source": source.path.name,
                    "person": source.person,
                    "rights": source.rights,
                }
            )
        except InputError as error:
            job = f"left out {source.name}: {error}"
        write_index(folder, clips)
        yield Step(job, index, len(sources), monotonic() - start)


def _prepare_one(source: Source, file: Path, track_file: Path) -> None:
    model = default_model()
    clip = Clip.open(source.path)
    if track_file.exists():
        track = Track.load(track_file)
    else:
        track = track_clip(clip, range(len(clip)), model)
        track.save(track_file, {"source": source.path.name})
    usable = np.flatnonzero(track.valid.numpy()) + track.start
    if len(usable) < 25:
        raise InputError(f"{source.path} shows a face in {len(usable)} frames; 25 are needed.")
    step = np.linspace(0, len(usable) - 1, min(FRAMES_A_CLIP, len(usable))).astype(int)
    windows = gather_windows(clip, track, model, usable[np.unique(step)], MARGIN)
    about = {"source": source.path.name, "person": source.person, "rights": source.rights}
    save_windows(file, track, windows, about)
