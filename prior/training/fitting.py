"""One straight training loop for small networks: it can be stopped and goes on where it was.

Everything random follows from the seed and the step, so a resumed run ends in the weights of an
uninterrupted one.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import DivergedError, InputError
from core.progress import Step
from prior.training.checkpoint import load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class Fitting:
    """How long and how fast; AdamW, linear warm-up, half a cosine down to 0."""

    steps: int
    rate: float = 2e-3
    warm_up: int = 50
    decay: float = 0.05
    gradient_limit: float = 1.0
    save_every: int = 200
    seed: int = 0

    def seed_of(self, step: int) -> int:
        return self.seed * 1_000_003 + step

    def rate_at(self, step: int) -> float:
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        share = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.rate * 0.5 * (1 + math.cos(math.pi * share))


Loss = Callable[[int], Mapping[str, Tensor]]
"""A batch's seed to the terms that are summed; the batch and all dropout follow from the seed."""


def fit(
    job: str,
    module: nn.Module,
    loss: Loss,
    fitting: Fitting,
    checkpoint: Path,
    training: Mapping[str, Any],
) -> Iterator[Step]:
    """Train `module`, yielding a `Step` after each step, and keep `checkpoint` up to date.

    Goes on from `checkpoint` if it exists; `training` says in JSON's types what it must agree on.
    Raises InputError where it holds another training, DivergedError where a loss is no number.
    """
    optimiser = torch.optim.AdamW(module.parameters(), fitting.rate, weight_decay=fitting.decay)
    generator = torch.Generator().manual_seed(fitting.seed)
    done = 0
    if checkpoint.exists():
        header = load_checkpoint(checkpoint, module, optimiser, generator)
        if header["training"] != training:
            raise InputError(
                f"{checkpoint} belongs to a training with another configuration or other people; "
                "choose another folder or remove it."
            )
        done = header["step"]
    begin = time.monotonic()
    module.train()
    for step in range(done, fitting.steps):
        for group in optimiser.param_groups:
            group["lr"] = fitting.rate_at(step)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(fitting.seed_of(step))
            terms = loss(fitting.seed_of(step))
        total = torch.stack(list(terms.values())).sum()
        if not bool(torch.isfinite(total)):
            worst = next((k for k, v in terms.items() if not bool(torch.isfinite(v))), "sum")
            raise DivergedError(f"training diverged at step {step} in its {worst} term.")
        optimiser.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(module.parameters(), fitting.gradient_limit)
        optimiser.step()
        if (step + 1) % fitting.save_every == 0 or step + 1 == fitting.steps:
            header = {"step": step + 1, "training": dict(training)}
            save_checkpoint(checkpoint, module, optimiser, generator, header)
        figures = {name: float(value.detach()) for name, value in terms.items()}
        yield Step(job, step + 1, fitting.steps, time.monotonic() - begin, figures)
    module.eval()
