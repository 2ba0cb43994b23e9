"""Where the benchmark finds its material and keeps what it has computed."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import face3d
from core.errors import InputError
from core.progress import Reporter


@dataclass(frozen=True)
class Workplace:
    """`shared` holds `footage/` and `models/`; `work` keeps clips and findings between runs.

    `clips` are those of the section on real footage; the first of every person unless told.
    """

    shared: Path
    work: Path
    reporter: Reporter
    clips: tuple[str, ...] = ()

    def material(self, *parts: str) -> Path:
        """A file or folder of the shared material. Raises InputError where it is missing."""
        path = self.shared.joinpath(*parts)
        if not path.exists():
            raise InputError(f"{path} does not exist and the benchmark needs it; give --shared.")
        return path

    def clip(self, name: str) -> Path:
        return self.material("footage", "clips", f"{name}.mp4")

    @property
    def ict(self) -> Path:
        return self.material("models", "ict_facekit.npz")

    @cached_property
    def version(self) -> str:
        """What our own findings depend on: a digest of the tracker's code and weights."""
        folder = Path(next(iter(face3d.__path__)))
        files = sorted(
            [file for end in ("py", "json", "safetensors") for file in folder.glob(f"*.{end}")]
        )
        return hashlib.sha1(b"".join(file.read_bytes() for file in files)).hexdigest()[:10]
