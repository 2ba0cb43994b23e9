"""Face models by name or path: our own, and those a user keeps.

`redub` is ours. Another name is looked for in the folder that the environment variable
`REDUB_FACE_MODELS` names: a file or folder called so, whatever its ending.
"""

import contextlib
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.cache import cache_folder
from core.errors import AssetError, InputError, ResourceError
from face3d.embedding import Embedding, embed
from face3d.models.flame import load_flame
from face3d.models.ict import NEUTRAL, load_ict
from face3d.models.own import own_model
from face3d.morphable import MorphableModel, default_model
from face3d.retopology import FaceModel, retopologised
from face3d.sculpt import Sculpt

OURS = "redub"
FOLDER = "REDUB_FACE_MODELS"
ENDINGS = (".npz", ".safetensors", ".pkl")
UNKNOWN_LICENCE = "unknown: no LICENSE lies beside it"


def open_face_model(name: str) -> FaceModel:
    """The model of a name or path.

    Raises AssetError where nothing is found, InputError for a file that is no face model.
    """
    if name == OURS:
        return own_model(default_model())
    path = find_face_model(name)
    if path.suffix == ".safetensors":
        return own_model(MorphableModel.load(path))
    sculpt, digest = load_sculpt(path), fingerprint(path)
    found = retopologised(sculpt, remembered_embedding(sculpt, digest))
    about = found.model.about | {"file": path.name, "sha256": digest}
    return replace(found, model=replace(found.model, about=about))


def remembered_embedding(sculpt: Sculpt, digest: str) -> Embedding:
    """The landmarks on a sculpt whose file has this hash; found once, then read from the cache."""
    path = cache_folder() / f"embedding-{digest[:24]}.safetensors"
    with contextlib.suppress(InputError):
        return Embedding.load(path)
    made = embed(sculpt)
    # A machine without a writable cache waits a few seconds each time.
    with contextlib.suppress(ResourceError):
        made.save(path)
    return made


def find_face_model(name: str) -> Path:
    """Where a model lies. Raises AssetError where it does not."""
    path = Path(name)
    if path.exists():
        return path
    kept = {p.stem: p for p in kept_models()}
    if name in kept:
        return kept[name]
    known = ", ".join((OURS, *kept))
    raise AssetError(
        f"face model {name!r} is neither a path nor one of {known}; give a path, or put it into "
        f"the folder that {FOLDER} names."
    )


def kept_models() -> list[Path]:
    """Files and folders of the user's own folder that may be face models."""
    folder = os.environ.get(FOLDER)
    if not folder or not Path(folder).is_dir():
        return []
    return sorted(
        p for p in Path(folder).iterdir() if p.suffix in ENDINGS or (p / NEUTRAL).is_file()
    )


def load_sculpt(path: Path) -> Sculpt:
    """Another makers' model, told by what it holds."""
    licence = licence_beside(path)
    if path.is_dir() and (path / NEUTRAL).is_file():
        return load_ict(path, licence)
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = set(file.files)
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is no readable .npz ({error}); copy it again.") from error
        if "neutral" in arrays:
            return load_ict(path, licence)
        if "v_template" in arrays:
            return load_flame(path, licence)
    if path.suffix == ".pkl":
        raise InputError(
            f"{path} is a pickle, which redub never reads, because a pickle can run code; "
            f"convert it once: python scripts/convert_flame.py {path} {path.with_suffix('.npz')}."
        )
    raise InputError(
        f"{path} is no face model that redub knows; give ICT-FaceKit's folder FaceXModel (with "
        f"{NEUTRAL}), its .npz, FLAME as .npz, or redub's .safetensors."
    )


def licence_beside(path: Path) -> str:
    """The title and the holder of the licence beside a model, or that there is none.

    A file's own (`NAME.LICENSE`) comes before one for all (`LICENSE`, `LICENSE.txt`), and a
    release's folder keeps it inside or one level up.
    """
    places = [path.with_suffix(".LICENSE"), path.with_suffix(".LICENSE.txt")]
    for folder in (path, path.parent) if path.is_dir() else (path.parent,):
        places += sorted(p for p in folder.iterdir() if p.name.lower().startswith("license"))
    for place in places:
        if place.is_file():
            lines = [line.strip() for line in place.read_text(errors="replace").splitlines()]
            title = next((line for line in lines if line), "")
            holder = next((line for line in lines if line.lower().startswith("copyright")), "")
            return ", ".join(dict.fromkeys(part for part in (title, holder) if part))
    return UNKNOWN_LICENCE


def fingerprint(path: Path) -> str:
    """SHA-256 of a model's file; of a folder, of its mean face."""
    file = path / NEUTRAL if path.is_dir() else path
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
