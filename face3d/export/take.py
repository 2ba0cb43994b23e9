"""A tracked performance on its way to another program, and which file holds what.

Everything is in metres, right-handed, y up; the camera stands at the origin and looks along −z.
A file's frames are the clip's: its first one is numbered as in the clip, its rate is the clip's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from core.errors import AssetError, UsageError
from face3d.retopology import FaceModel
from face3d.track import Track

WRITERS = {
    ".obj": "obj_sequence",
    ".glb": "gltf",
    ".usd": "usd",
    ".usda": "usd",
    ".usdc": "usd",
}


@dataclass(frozen=True)
class Take:
    """A track, and the model whose mesh performs it."""

    face: FaceModel
    track: Track


def writer_for(path: Path) -> Callable[[Take, Path], None]:
    """What writes a take as an OBJ sequence, a GLB or a USD stage, by the path's ending.

    Ask before the work, so that a mistake costs nothing. Raises UsageError for another ending,
    AssetError where the format's library is missing.
    """
    name = WRITERS.get(path.suffix.lower())
    if name is None:
        raise UsageError(f"{path} does not end in one of {', '.join(WRITERS)}; choose one of them.")
    try:
        return import_module(f"face3d.export.{name}").write
    except ImportError as error:
        raise AssetError(
            f"{path.suffix} files need a library that is missing ({error}); "
            "install redub's extra: pip install 'redub[film]'."
        ) from error
