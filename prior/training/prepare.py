"""`redub prior prepare`: footage to a corpus, stretch by stretch; an interrupted run goes on.

Each clip is tracked once and cut into stretches of a minute. A stretch becomes a sample; samples
fill shards. What stands in a whole shard is never made again; a broken shard is dropped and its
samples are made anew. A track is kept beside the shards until its clip's samples are in.
"""

import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from jaxtyping import Int16

from core.errors import ToolkitError, UsageError
from core.progress import Step
from core.size import SCALES, Size
from face3d.morphable import default_model
from face3d.track import Track
from face3d.tracker import track_clip
from media.audio import Audio, load_audio
from media.clip import Clip
from prior.training.corpus import (
    LOSSLESS,
    MARGIN,
    SOUND_HERTZ,
    Sample,
    encode_sample,
    gather_windows,
)
from prior.training.shards import Index, ShardWriter, is_whole, sample_bytes

STRETCH_SECONDS = 60
WINDOWS_A_STRETCH = 300
"""Windows kept of a stretch, spread over it."""

FEWEST_WINDOWS = 25

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mxf", ".m4v")


@dataclass(frozen=True)
class Source:
    """A clip to learn from: who it shows, where it comes from, under which rights."""

    path: Path
    person: str
    rights: str
    key: str
    split: str = ""
    """The manifest's, if there is one."""

    @property
    def about(self) -> dict[str, str]:
        return {"source": self.path.name, "person": self.person, "rights": self.rights}


def list_sources(footage: Path, split: str | None, without: tuple[str, ...] = ()) -> list[Source]:
    """The clips of a folder, or of a `manifest.csv` in it (columns file, person, rights, split).

    Without a manifest each clip counts as a person of its own. Clips whose file stems are named in
    `without` are left out. Raises UsageError where nothing remains, or for a manifest that names no
    files.
    """
    manifest = footage / "manifest.csv"
    if manifest.exists():
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.DictReader(file) if split in (None, row.get("split"))]
        if rows and "file" not in rows[0]:
            raise UsageError(f"{manifest} has no column `file`; name each clip in one.")
        found = [
            (
                row["file"],
                _inside(footage, row["file"]),
                row.get("person"),
                row.get("rights") or "",
                row.get("split") or "",
            )
            for row in rows
        ]
    else:
        paths = sorted(p for p in footage.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
        found = [(path.relative_to(footage).as_posix(), path, None, "", "") for path in paths]
    kept = [one for one in found if one[1].stem not in without]
    if not kept:
        raise UsageError(f"{footage} holds no clip to prepare; give a folder with video files.")
    keys = clip_keys([name for name, *_ in kept])
    return [
        Source(path, person or key, rights, key, split)
        for key, (_, path, person, rights, split) in zip(keys, kept, strict=True)
    ]


def clip_keys(names: Sequence[str]) -> list[str]:
    """A key for each file name: letters, digits, `_` and `-`, no two alike, whatever the order."""
    plain = [re.sub(r"[^A-Za-z0-9_-]+", "_", str(Path(name).with_suffix(""))) for name in names]
    return [
        key if plain.count(key) == 1 else f"{key}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        for key, name in zip(plain, names, strict=True)
    ]


def _inside(footage: Path, name: str) -> Path:
    direct = footage / name
    return direct if direct.exists() else footage / "clips" / name


def prepare(
    sources: list[Source],
    folder: Path,
    shard_bytes: int = 256 << 20,
    quality: int = LOSSLESS,
    size: Size = "light",
) -> Iterator[Step]:
    """Put every source's samples into shards of `folder`, none larger than `shard_bytes` unless a
    single sample is. `quality`: of the pictures, see `corpus`; `size`: of the renderer.

    What cannot be used (no face, unreadable, no fit) is left out, named in the step's job and in
    the index: one bad clip must not end a night's work.
    Raises UsageError where the folder's pictures are of another quality or size.
    """
    start = monotonic()
    index = sound_index(folder, quality, size)
    packer = Packer(folder, index, shard_bytes)
    for number, source in enumerate(sources, start=1):
        job = f"prepare {source.key}"
        if not is_done(index, source.key):
            try:
                for note in _prepare_one(source, folder / "tracks", packer):
                    job = f"left out {note}"
            except (ToolkitError, torch.linalg.LinAlgError) as error:  # pyright: ignore
                index.clips[source.key] = {**source.about, "stretches": 0}
                index.left_out[source.key] = str(error)
                job = f"left out {source.key}: {error}"
        if number == len(sources):
            packer.close()
        yield Step(job, number, len(sources), monotonic() - start)


def sound_index(folder: Path, quality: int, size: Size = "light") -> Index:
    """The folder's index without its broken shards; leftovers of an interruption are removed."""
    for leftover in folder.glob("*.part"):
        leftover.unlink()
    if not (folder / "corpus.json").exists():
        return Index(quality, size=size)
    index = Index.load(folder)
    if index.size != size:
        raise UsageError(
            f"{folder} holds windows of the {index.size} size, not {size}; "
            "give another folder or the same size."
        )
    if index.quality != quality:
        raise UsageError(
            f"{folder} holds pictures of quality {index.quality}, not {quality}; "
            "give another folder or the same quality."
        )
    index.shards = [shard for shard in index.shards if is_whole(folder, shard)]
    index.save(folder)
    listed = {shard.file for shard in index.shards}
    for stray in folder.glob("shard-*.tar"):
        if stray.name not in listed:
            stray.unlink()
    return index


def is_done(index: Index, key: str) -> bool:
    """Whether nothing of a clip remains to be made."""
    if key not in index.clips:
        return False
    known = index.samples().keys() | index.left_out.keys()
    return all(sample_key(key, i) in known for i in range(index.clips[key]["stretches"]))


def sample_key(clip: str, stretch: int) -> str:
    return f"{clip}-{stretch:03d}"


class Packer:
    """Fills shards one after another; the index knows a shard once it is closed."""

    def __init__(self, folder: Path, index: Index, shard_bytes: int) -> None:
        self.folder, self.index, self.limit = folder, index, shard_bytes
        self.writer: ShardWriter | None = None
        self.tracks: list[Path] = []

    def add(self, clip: str, key: str, sample: Sample) -> None:
        files = encode_sample(sample, self.index.quality)
        if self.writer and self.writer.size + sample_bytes(files) > self.limit:
            self.close()
        if self.writer is None:
            self.writer = ShardWriter(self.folder, self._free_name())
        self.writer.add(key, clip, len(sample.windows), files)

    def close(self) -> None:
        """Close the open shard, if any, and write the index; tracks of whole clips may go."""
        if self.writer:
            self.index.shards.append(self.writer.close())
            self.writer = None
        self.index.save(self.folder)
        for track in [path for path in self.tracks if is_done(self.index, path.stem)]:
            track.unlink(missing_ok=True)
            self.tracks.remove(track)

    def _free_name(self) -> str:
        taken = {shard.file for shard in self.index.shards}
        names = (f"shard-{number:05d}.tar" for number in range(len(taken) + 1))
        return next(name for name in names if name not in taken)


def _prepare_one(source: Source, tracks: Path, packer: Packer) -> Iterator[str]:
    """Add what is missing of a clip to the shards; yields why a stretch of it is left out."""
    model, index, scale = default_model(), packer.index, SCALES[packer.index.size]
    clip = Clip.open(source.path)
    stretches = stretches_of(len(clip), float(clip.fps))
    index.clips[source.key] = {**source.about, "stretches": len(stretches)}
    kept = tracks / f"{source.key}.track"
    if kept.exists():
        track = Track.load(kept)
    else:
        track = track_clip(clip, range(len(clip)), model)
        track.save(kept, {"source": source.path.name})
    packer.tracks.append(kept)
    sound = load_audio(clip.path, SOUND_HERTZ, mono=True) if clip.has_audio else None
    usable = np.flatnonzero(track.valid.numpy()) + track.start
    for number, stretch in enumerate(stretches):
        key = sample_key(source.key, number)
        if key in index.samples() or key in index.left_out:
            continue
        here = usable[(usable >= stretch.start) & (usable < stretch.stop)]
        if len(here) < FEWEST_WINDOWS:
            index.left_out[key] = f"a face in {len(here)} frames; {FEWEST_WINDOWS} are needed"
            yield f"{key}: {index.left_out[key]}"
            continue
        spread = np.linspace(0, len(here) - 1, min(WINDOWS_A_STRETCH, len(here))).astype(int)
        windows = gather_windows(
            clip, track, model, here[np.unique(spread)], scale * MARGIN, scale=scale
        )
        about = {**source.about, "clip": source.key, "frames": [stretch.start, stretch.stop]}
        about["fps"] = str(clip.fps)
        heard = None if sound is None else _heard(sound, clip, stretch)
        packer.add(source.key, key, Sample(windows, heard, about))


def stretches_of(frames: int, fps: float) -> list[range]:
    """A clip's frames in runs of a minute; a rest of less than half a minute joins the last."""
    size = max(1, round(STRETCH_SECONDS * fps))
    count = max(1, round(frames / size))
    edges = [i * size for i in range(count)] + [frames]
    return [range(a, b) for a, b in pairwise(edges)]


def _heard(sound: Audio, clip: Clip, frames: range) -> Int16[np.ndarray, "N"]:
    edges = clip.sample_edges(SOUND_HERTZ)
    begin, end = int(edges[frames.start]), int(edges[frames.stop])
    part = sound.section(begin / SOUND_HERTZ, end / SOUND_HERTZ).samples[0]
    return (np.clip(part, -1, 1) * 32767).round().astype(np.int16)
