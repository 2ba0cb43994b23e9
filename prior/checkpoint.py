"""Training state on disk without pickles: modules, optimiser and random state, exactly."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from core.serial import Schema, load_tensors, save_tensors

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


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
