"""`OUT.redub.json`: what went in, what was done to which frames, and how sure we are."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.serial import Schema
from media.clip import Clip

SCHEMA = Schema("redub-sidecar", 1)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def file_facts(path: Path) -> dict[str, str]:
    """What tells a file that went in from another of its name."""
    return {"file": path.name, "sha256": file_hash(path)}


def folder_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of an actor's own files; its report does not count."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        digest.update(path.name.encode())
        digest.update(file_hash(path).encode())
    return digest.hexdigest()


def runs(labels: Iterable[str], start: int) -> list[dict[str, Any]]:
    """Ranges of frames with the same non-empty label, half-open, counted from `start`."""
    found: list[dict[str, Any]] = []
    for index, label in enumerate(labels, start=start):
        if found and found[-1]["stop"] == index and found[-1]["reason"] == label:
            found[-1]["stop"] = index + 1
        elif label:
            found.append({"start": index, "stop": index + 1, "reason": label})
    return found


def clip_facts(clip: Clip) -> dict[str, Any]:
    return {
        **file_facts(clip.path),
        "fps": str(clip.fps),
        "frames": len(clip),
        "timecode": clip.timecode,
    }


def sidecar_path(output: Path) -> Path:
    return output.with_name(output.name + ".redub.json")
