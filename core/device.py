"""Choose the device once, and say why."""

from dataclasses import dataclass

import torch

from core.errors import AssetError, UsageError


@dataclass(frozen=True)
class Device:
    torch: torch.device
    reason: str


def resolve_device(name: str = "auto") -> Device:
    """`auto`, `cpu` or `cuda` as a torch device with the reason for it."""
    if name == "auto":
        if torch.cuda.is_available():
            return Device(torch.device("cuda"), f"found {torch.cuda.get_device_name()}")
        return Device(torch.device("cpu"), "no CUDA device was found")
    if name == "cpu":
        return Device(torch.device("cpu"), "asked for")
    if name == "cuda":
        if not torch.cuda.is_available():
            raise AssetError(
                "--device cuda needs a CUDA device and a CUDA build of torch, and torch "
                f"{torch.__version__} finds none here; use --device cpu."
            )
        return Device(torch.device("cuda"), "asked for")
    raise UsageError(f"--device {name} is not one of auto, cpu, cuda; use --device auto.")
