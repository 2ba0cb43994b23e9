"""Choose the device once, say why, and bring values there. Whatever computes follows its inputs."""

from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from core.errors import AssetError, UsageError

Value = TypeVar("Value")

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Device:
    torch: torch.device
    reason: str


def resolve_device(name: str = "auto") -> Device:
    """`auto`, `cpu` or `cuda` as a torch device with the reason for it."""
    if name == "auto":
        if torch.cuda.is_available():
            return Device(torch.device("cuda"), f"found {torch.cuda.get_device_name()}")
        return Device(CPU, "no CUDA device was found")
    if name == "cpu":
        return Device(CPU, "asked for")
    if name == "cuda":
        if not torch.cuda.is_available():
            raise AssetError(
                "--device cuda needs a CUDA device and a CUDA build of torch, and torch "
                f"{torch.__version__} finds none here; use --device cpu."
            )
        return Device(torch.device("cuda"), "asked for")
    raise UsageError(f"--device {name} is not one of auto, cpu, cuda; use --device auto.")


@cache
def bfloat16_pays(kind: str) -> bool:
    """Whether a device of this type convolves faster in bfloat16 than in float32: GPUs do, CPUs
    that have instructions for it (1.7 times there); on other CPUs it is slow."""
    told = getattr(torch.cpu, "get_capabilities", dict)()  # torch of 2.6 does not tell
    return kind == "cuda" or (kind == "cpu" and bool(told.get("avx512_bf16", False)))


def on_device(value: Value, device: torch.device) -> Value:
    """The value with every tensor in it on the device: dataclasses, tuples and lists are rebuilt
    where a tensor of theirs moves, modules are moved in place, anything else is returned."""
    return _moved(value, device)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor | nn.Module):
        return value.to(device)
    if isinstance(value, tuple | list):
        return type(value)(_moved(item, device) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
        moved = {name: _moved(part, device) for name, part in parts.items()}
        changed = {name: part for name, part in moved.items() if part is not parts[name]}
        return replace(value, **changed) if changed else value
    return value
