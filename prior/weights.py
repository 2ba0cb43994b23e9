"""Files of small networks: float16 weights, the sizes they were made for, and what they know."""

from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from core.errors import AssetError, InputError
from core.serial import Schema, load_tensors, save_tensors

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


def shipped(name: str, load: Callable[[Path], Model]) -> Model:
    """A file that ships in `prior`. Raises AssetError where it is missing or damaged."""
    with as_file(files("prior") / name) as path:
        try:
            return load(path)
        except InputError as error:
            raise AssetError(
                f"{name}, which ships with redub, cannot be used ({error}) install redub again."
            ) from error
