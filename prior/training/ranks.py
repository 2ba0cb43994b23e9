"""One process or several that train together: who am I, and what do we agree on.

`torchrun` starts the processes and tells each its place. Gradients are averaged by torch's
DistributedDataParallel, through gloo on CPUs and NCCL on GPUs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """This process is `index` of `count` and computes on `device`."""

    index: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        return self.index == 0

    def averaging(self, module: nn.Module) -> nn.Module:
        """The module; its gradients are the mean of everybody's after each backward pass, as long
        as what is returned lives."""
        if self.count == 1:
            return module
        devices = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=devices)

    def agreed(self, value: float) -> float:
        """The first process' value: clocks differ, decisions must not."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def summed(self, value: Tensor) -> Tensor:
        """The sum over everybody's tensors of this shape."""
        if self.count == 1:
            return value
        total = value.clone()
        dist.all_reduce(total)
        return total

    def wait(self) -> None:
        """Go on once everybody is here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """This process' place among those that `torchrun` started; alone where it started none."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Ranks(0, 1, device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), count, device)
    finally:
        dist.destroy_process_group()
