"""Training state on disk without pickles: modules, optimiser and random state, exactly.

Processes that train together write a file each; `checkpoint.json` names the step that is whole.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from core.errors import UsageError
from core.serial import Schema, load_tensors, save_json, save_tensors
from prior.training.ranks import Ranks

SCHEMA = Schema("checkpoint", 1)


def save_checkpoint(
    path: Path, module: nn.Module, optimiser: Optimizer, generator: torch.Generator,
    header: dict[str, Any],
) -> None:  # fmt: skip
    """Write everything a run needs to go on as if it had not stopped."""
    tensors = {f"module.{k}": v for k, v in module.state_dict().items()}
    state = optimiser.state_dict()["state"]
    for index, values in state.items():
        for name, value in values.items():
            tensors[f"optimiser.{index}.{name}"] = torch.as_tensor(value)
    tensors["generator"] = generator.get_state()
    save_tensors(path, SCHEMA, tensors, header)


def load_checkpoint(
    path: Path, module: nn.Module, optimiser: Optimizer, generator: torch.Generator
) -> dict[str, Any]:
    """Restore what `save_checkpoint` wrote and return its header."""
    tensors, header = load_tensors(path, SCHEMA)
    module.load_state_dict(_under(tensors, "module."))
    document = optimiser.state_dict()
    document["state"] = {}
    for name, value in _under(tensors, "optimiser.").items():
        index, _, key = name.partition(".")
        document["state"].setdefault(int(index), {})[key] = value
    optimiser.load_state_dict(document)
    generator.set_state(tensors["generator"])
    return header


def save_together(
    folder: Path, ranks: Ranks, step: int, module: nn.Module, optimiser: Optimizer,
    generator: torch.Generator, header: dict[str, Any],
) -> None:  # fmt: skip
    """One checkpoint of all processes; the one before it stays until this one is whole."""
    path = folder / _file_name(step, ranks.index)
    save_checkpoint(path, module, optimiser, generator, header)
    ranks.wait()
    if ranks.leads:
        save_json(folder / "checkpoint.json", {"step": step, "processes": ranks.count})
    ranks.wait()
    for old in folder.glob(_file_name("*", ranks.index)):
        if old != path:
            old.unlink()


def latest_checkpoint(folder: Path, ranks: Ranks) -> Path | None:
    """This process' file of the last whole checkpoint; None where there is none.

    Raises UsageError where another number of processes wrote it.
    """
    note = folder / "checkpoint.json"
    if not note.exists():
        return None
    whole = json.loads(note.read_text())
    if whole["processes"] != ranks.count:
        raise UsageError(
            f"{folder} was trained by {whole['processes']} processes, not {ranks.count}; start as "
            "many, or train into another folder."
        )
    return folder / _file_name(whole["step"], ranks.index)


def _file_name(step: int | str, rank: int) -> str:
    return f"checkpoint-{step}-{rank}.safetensors"


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
