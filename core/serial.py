"""Files of ours: safetensors with a JSON header that carries a kind and a schema version.

Nothing is ever unpickled, a file appears whole or not at all, and a file of a newer schema is
refused with a sentence.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.errors import InputError, ResourceError, UsageError


@dataclass(frozen=True)
class Schema:
    """What a file holds (`track`, `actor`, …) and which version of its layout."""

    kind: str
    version: int


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary sibling that becomes `path` when the block ends well and vanishes otherwise.

    Raises ResourceError when the folder cannot be written or the disk is full.
    """
    path = Path(path)
    handle = -1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix
        )
    except OSError as error:
        raise unwritable(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp keeps its file to its maker
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_apart(output: Path, *inputs: Path | None) -> None:
    """Raises UsageError for an output that is one of the inputs, by whatever name or link."""
    for given in inputs:
        if given and output.exists() and given.exists() and output.samefile(given):
            raise UsageError(
                f"{output} is also an input; choose another name, or the input would be lost."
            )


def unwritable(path: Path, error: OSError) -> ResourceError:
    """The one sentence for an output that cannot be written."""
    return ResourceError(
        f"{path} cannot be written ({error.strerror or error}); "
        "free some space or choose a folder you may write to."
    )


def save_tensors(
    path: Path, schema: Schema, tensors: Mapping[str, Tensor], header: Mapping[str, Any]
) -> None:
    """Write named tensors and a JSON-able header."""
    document = {"kind": schema.kind, "schema": schema.version, **header}
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(contiguous, temporary, metadata={"redub": json.dumps(document)})
        except SafetensorError as error:
            raise unwritable(path, OSError(str(error))) from error


def load_tensors(path: Path, schema: Schema) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote. Raises InputError for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("redub", "{}"))
            check_schema(path, header, schema)
            # Copies: a file that tensors still map cannot be replaced on Windows.
            return {name: file.get_tensor(name).clone() for name in file.keys()}, header  # noqa: SIM118
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; give the path of a {schema.kind}.") from error
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} is not a {schema.kind} file ({error}); make it again with redub."
        ) from error


def load_header(path: Path, schema: Schema) -> dict[str, Any]:
    """Only the header of what `save_tensors` wrote. Raises InputError for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("redub", "{}"))
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} is not a {schema.kind} file ({error}); make it again with redub."
        ) from error
    check_schema(path, header, schema)
    return header


def check_schema(path: Path, header: Mapping[str, Any], schema: Schema) -> None:
    """Refuse another kind of file, or one whose schema version differs from ours."""
    kind, version = header.get("kind"), header.get("schema")
    if kind != schema.kind:
        raise InputError(f"{path} holds {kind or 'something else'}, not a redub {schema.kind}.")
    if version != schema.version:
        remedy = "update redub" if isinstance(version, int) and version > schema.version else None
        raise InputError(
            f"{path} has {schema.kind} schema {version} and this redub reads schema "
            f"{schema.version}; {remedy or 'make it again with this version'}."
        )


def save_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
