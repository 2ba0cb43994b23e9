"""Weight files: which of them are in use, and those of small networks, in float16, with the sizes
they were made for and what they know."""

import os
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from core.errors import AssetError, InputError
from core.serial import Schema, load_tensors, save_tensors

FOLDER = "REDUB_WEIGHTS"
"""The environment variable that names a folder of weights of one's own."""

NAMES = (
    "renderer",
    "expression",
    "generator",
    "contact_ear",
    "denoiser",
    "sync_expert",
    "sync_judge",
    "movement",
)
"""Stems of the files that ship with redub."""

OWN_ONLY = ("renderer_full",)
"""Stems of those that somebody with a GPU can have beside them."""

Network = TypeVar("Network", bound=nn.Module)
Model = TypeVar("Model")


def save_network(
    path: Path, schema: Schema, network: nn.Module, shape: Any, about: dict[str, Any]
) -> None:
    """Write a network with its sizes, a dataclass of numbers, and what its card says."""
    tensors = {name: value.half() for name, value in network.state_dict().items()}
    save_tensors(path, schema, tensors, {"shape": vars(shape), "about": about})


def load_network(
    path: Path, schema: Schema, make: Callable[..., Network]
) -> tuple[Network, dict[str, Any]]:
    """The network that `make` builds of the saved sizes, frozen, and what its card says.

    Raises InputError for a file that is not of this schema.
    """
    tensors, header = load_tensors(path, schema)
    network = make(**header["shape"])
    network.load_state_dict({name: value.float() for name, value in tensors.items()})
    return network.eval().requires_grad_(False), header["about"]


def in_use(name: str, load: Callable[[Path], Model]) -> Model:
    """Weights by their file's name: the user's own where `FOLDER` names a folder that has it, else
    what ships in `prior`.

    Raises AssetError where the file is missing or damaged; one's own never gives way in silence.
    """
    if (own := own_file(name)) is not None:
        try:
            return load(own)
        except InputError as error:
            raise AssetError(
                f"{own}, which {FOLDER} puts in place of redub's own, cannot be used ({error}) "
                "train it again or take it out of that folder."
            ) from error
    with as_file(files("prior") / name) as path:
        try:
            return load(path)
        except (InputError, OSError) as error:
            raise AssetError(
                f"{name}, which ships with redub, cannot be used ({error}) install redub again."
            ) from error


def own_file(name: str) -> Path | None:
    """The user's own file of that name, if there is one.

    Raises AssetError for a `FOLDER` that holds none at all: weights that somebody may not use must
    not come back by a slip of the pen.
    """
    named = os.environ.get(FOLDER)
    if not named:
        return None
    held = [f"{stem}.safetensors" for stem in (*NAMES, *OWN_ONLY)]
    if not any((Path(named) / file).is_file() for file in held):
        raise AssetError(
            f"{FOLDER} names {named}, where none of {', '.join(held)} lies; give a folder that "
            "`redub prior train` wrote to, or unset it."
        )
    path = Path(named) / name
    return path if path.is_file() else None


def own_weights() -> dict[str, str]:
    """SHA-256 of the user's own files that are in use, by stem."""
    held = {stem: own_file(f"{stem}.safetensors") for stem in (*NAMES, *OWN_ONLY)}
    return {stem: sha256(path.read_bytes()).hexdigest() for stem, path in held.items() if path}
