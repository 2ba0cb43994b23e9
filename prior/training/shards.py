"""Corpora on disk: tar files of bounded size, and an index that says what stands where.

A *sample* is what is drawn together: windows of one stretch of one clip, their track, sound and
rights. Its files follow one another in a *shard*, named `<key>.<rest>` as WebDataset has them.
`corpus.json` lists each shard with its hash and each sample with its place, so that one sample is
one read. A shard exists once it is whole: it is written beside its place and renamed.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.serial import Schema, check_schema, save_json, unwritable
from core.size import Size

SCHEMA = Schema("corpus", 2)
END_BYTES = 2 * tarfile.BLOCKSIZE
"""A tar ends with two empty blocks."""


@dataclass(frozen=True)
class Entry:
    """Where a sample stands in its shard, and of which clip it is."""

    key: str
    clip: str
    offset: int
    bytes: int
    windows: int


@dataclass(frozen=True)
class Shard:
    file: str
    bytes: int
    sha256: str
    samples: tuple[Entry, ...]


@dataclass
class Index:
    """What a corpus holds. `clips` is the table of rights: source, person, rights and number of
    stretches of every clip by its key; `left_out` says why a clip or a stretch of one is not here.
    `size`: of the renderer that its windows are cut for.
    """

    quality: int
    clips: dict[str, dict[str, Any]] = field(default_factory=dict)
    shards: list[Shard] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    size: Size = "light"

    def samples(self) -> dict[str, tuple[Shard, Entry]]:
        return {entry.key: (shard, entry) for shard in self.shards for entry in shard.samples}

    def rights(self) -> list[dict[str, str]]:
        """Source, person and rights of every clip that some sample shows."""
        shown = {entry.clip for shard in self.shards for entry in shard.samples}
        names = ("source", "person", "rights")
        return [{n: str(self.clips[key][n]) for n in names} for key in sorted(shown)]

    def save(self, folder: Path) -> None:
        about = {"kind": SCHEMA.kind, "schema": SCHEMA.version}
        save_json(folder / "corpus.json", {**about, **asdict(self)})

    @staticmethod
    def load(folder: Path) -> "Index":
        """Raises InputError where there is none, or one of another schema."""
        path = folder / "corpus.json"
        try:
            document = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{folder} holds no corpus.json ({error}); make it with `redub prior prepare`."
            ) from error
        check_schema(path, document, SCHEMA)
        shards = [
            Shard(**{**shard, "samples": tuple(Entry(**entry) for entry in shard["samples"])})
            for shard in document["shards"]
        ]
        size = document.get("size", "light")  # corpora of older versions are all light
        return Index(document["quality"], document["clips"], shards, document["left_out"], size)


class ShardWriter:
    """Puts samples into one shard, which takes its place in the folder when it is closed."""

    def __init__(self, folder: Path, file: str) -> None:
        self.path = folder / file
        self.part = folder / f"{file}.part"
        self.entries: list[Entry] = []
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.tar = tarfile.open(self.part, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        except OSError as error:
            raise unwritable(self.part, error) from error

    @property
    def size(self) -> int:
        return self.tar.offset

    def add(self, key: str, clip: str, windows: int, files: Mapping[str, bytes]) -> None:
        """Append a sample. Raises ResourceError where the disk is full."""
        begin = self.tar.offset
        try:
            for rest, content in files.items():
                member = tarfile.TarInfo(f"{key}.{rest}")
                member.size = len(content)
                self.tar.addfile(member, io.BytesIO(content))
        except OSError as error:
            raise unwritable(self.part, error) from error
        self.entries.append(Entry(key, clip, begin, self.tar.offset - begin, windows))

    def close(self) -> Shard:
        """Finish the file and put it in its place."""
        try:
            self.tar.close()
            os.replace(self.part, self.path)
        except OSError as error:
            raise unwritable(self.path, error) from error
        size = self.path.stat().st_size
        return Shard(self.path.name, size, sha256_of(self.path), tuple(self.entries))


def sample_bytes(files: Mapping[str, bytes]) -> int:
    """What a sample takes up in a shard: each file its header and whole blocks."""
    block = tarfile.BLOCKSIZE
    return sum(block + -(-len(content) // block) * block for content in files.values())


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(folder: Path, shard: Shard) -> bool:
    """Whether a shard stands there as it was closed, to the last byte."""
    path = folder / shard.file
    return path.is_file() and path.stat().st_size == shard.bytes and sha256_of(path) == shard.sha256


def read_sample(folder: Path, shard: Shard, entry: Entry) -> dict[str, bytes]:
    """A sample's files by what follows the key in their names. One read; nothing else is touched.

    Raises InputError where the shard does not hold it.
    """
    path = folder / shard.file
    try:
        with path.open("rb") as file:
            file.seek(entry.offset)
            content = file.read(entry.bytes)
        files = dict(_members(content, entry.key))
    except (OSError, tarfile.TarError) as error:
        raise InputError(_broken(path, entry.key, str(error))) from error
    if len(content) < entry.bytes or "json" not in files:
        raise InputError(_broken(path, entry.key, "it ends too early"))
    return files


def _members(content: bytes, key: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content + bytes(END_BYTES)), mode="r:") as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None and member.name.startswith(f"{key}."):
                yield member.name[len(key) + 1 :], file.read()


def _broken(path: Path, key: str, why: str) -> str:
    return (
        f"{path} does not hold {key} as corpus.json says ({why}); run `redub prior prepare` again, "
        "which makes broken shards anew."
    )
