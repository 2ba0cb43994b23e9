"""Fine-tune the prior to one actor: texture and network on the fitted frames, within a budget.

The held-out frames are rendered now and then; the latest state that does well by them is kept. A
checkpoint lets an interrupted run go on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.device import CPU, on_device
from core.errors import DivergedError
from core.progress import Step
from core.serial import Schema, load_tensors, save_tensors
from face3d.morphable import MorphableModel
from face3d.view import look
from prior.painting.bank import choose_references, distances
from prior.painting.conditions import Conditions, assembled, stacked
from prior.painting.renderer import RendererPrior
from prior.training.checkpoint import load_checkpoint, save_checkpoint
from prior.training.glances import Glances
from prior.training.losses import attention, weighted_l1
from prior.training.train_renderer import RendererTraining, TrainingClip, painted, renderer_loss
from render.deferred import DeferredRenderer
from render.neural_texture import NeuralTexture

BEST = Schema("best-so-far", 1)

ALIKE = 1.1
"""A later state is kept unless it is this much worse: half a second of one mouth judges, and what
that called 7 % worse was 0.6 dB better on other seconds."""


@dataclass(frozen=True)
class Personalising:
    """How an actor is learned; `seconds` is the time that the loop may take by `clock`."""

    seconds: float = 150.0
    clock: Callable[[], float] = monotonic
    """Wall-clock time; a comparison on a shared machine counts the process's own seconds."""
    batch: int = 2
    texture_rate: float = 4e-3
    network_rate: float = 4e-4
    judge_every: int = 50
    checkpoint_seconds: float = 20.0
    seed: int = 0
    stage: str = "adapt"
    """What progress calls it."""
    loss: RendererTraining = field(default_factory=RendererTraining)


class Personal(nn.Module):
    """What fine-tuning changes."""

    def __init__(self, prior: RendererPrior, clip: TrainingClip) -> None:
        super().__init__()
        self.renderer: DeferredRenderer = prior.renderer()
        self.texture: NeuralTexture = prior.texture(clip.colours, clip.seen)


@dataclass(frozen=True)
class Personalised:
    """The state that is kept, by the error of held-out frames; curves of both errors over steps."""

    texture: Float[Tensor, "C R R"]
    weights: dict[str, Tensor]
    steps: list[int]
    fit_loss: list[float]
    held_out_error: list[float]


def held_out_conditions(
    fit: TrainingClip, held_out: TrainingClip, model: MorphableModel, limit: int = 12
) -> tuple[Conditions, Tensor]:
    """Held-out frames seen with references of the fitted ones, and their truth."""
    windows = held_out.windows
    chosen = choose_references(distances(model, fit.bank, windows.motion), 2)
    pick = np.unique(np.linspace(0, len(windows) - 1, min(limit, len(windows))).astype(int))
    parts, truth = [], []
    inner = slice(windows.margin, -windows.margin)
    for i in pick.tolist():
        image = windows.images[i : i + 1, :, inner, inner].float() / 127.5 - 1
        camera = windows.camera(i, margin=windows.margin)
        view = look(model, windows.identity, windows.motion[i : i + 1], camera)
        outer = held_out.outer[i : i + 1, None, inner, inner].float()
        parts.append(assembled(model, view, outer, image, fit.bank, chosen[i : i + 1]))
        truth.append(image)
    return stacked(parts), torch.cat(truth)


def personalise(
    fit: TrainingClip,
    judged: tuple[Conditions, Tensor],
    model: MorphableModel,
    prior: RendererPrior,
    config: Personalising,
    checkpoint: Path,
    device: torch.device = CPU,
) -> Iterator[Step | Personalised]:
    """Yield steps, and the result last, which lies on the CPU whatever the device that learns.

    Raises DivergedError at a loss that is not finite.
    """
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    state = Personal(prior, fit).to(device)
    fit, judged, model = fit.to(device), on_device(judged, device), on_device(model, device)
    glances, measure = Glances(fit, model), replace(config.loss, renderer=prior.config)
    optimiser = torch.optim.Adam(
        [
            {"params": state.texture.parameters(), "lr": config.texture_rate},
            {"params": state.renderer.parameters(), "lr": config.network_rate},
        ]
    )
    rates = [group["lr"] for group in optimiser.param_groups]
    step, spent = 0, 0.0
    curves: dict[str, list[float]] = {"steps": [], "fit": [], "held_out": []}
    best_path = checkpoint.with_name("best.safetensors")
    if checkpoint.exists():
        header = load_checkpoint(checkpoint, state, optimiser, generator)
        step, spent, curves = header["step"], header["seconds"], header["curves"]
    best = _copy(state)
    best_error = float("inf")
    if step and best_path.exists():
        best, best_error = _load_best(best_path)
    started = saved = config.clock()
    average = curves["fit"][-1] if curves["fit"] else float("nan")
    while True:
        elapsed = spent + config.clock() - started
        over = elapsed >= config.seconds
        if step % config.judge_every == 0 or over:
            error = held_out_error(state, judged)
            curves["steps"].append(step)
            curves["fit"].append(average)
            curves["held_out"].append(error)
            if error < ALIKE * best_error:
                best, best_error = _copy(state), min(error, best_error)
        if over:
            break
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = min(1.0, (step + 1) / 20) * rate * max(0.05, 1 - elapsed / config.seconds)
        samples = [glances.sample(generator) for _ in range(config.batch)]
        seen = stacked([conditions for conditions, _ in samples])
        true = torch.cat([image for _, image in samples])
        features = state.texture(seen.uv, seen.inner)
        made = painted(state.renderer, seen, features)
        loss = renderer_loss(made, true, features, true, seen, measure)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise DivergedError(f"adaptation diverged at step {step} (loss {value}).")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(state.renderer.parameters(), 1.0)
        optimiser.step()
        step += 1
        average = value if step == 1 else 0.95 * average + 0.05 * value
        if config.clock() - saved > config.checkpoint_seconds:
            seconds = spent + config.clock() - started
            _save_best(best_path, best, best_error)
            header = {"step": step, "seconds": seconds, "curves": curves}
            save_checkpoint(checkpoint, state, optimiser, generator, header)
            saved = config.clock()
        yield Step(
            config.stage, min(int(elapsed), int(config.seconds)), int(config.seconds), elapsed,
            {"loss": average, "held-out": curves["held_out"][-1]},
        )  # fmt: skip
    texture = best.pop("texture.features")
    weights = {name.removeprefix("renderer."): value for name, value in best.items()}
    yield Personalised(
        texture, weights, [int(s) for s in curves["steps"]], curves["fit"], curves["held_out"]
    )


def held_out_error(state: Personal, judged: tuple[Conditions, Tensor]) -> float:
    """Mean absolute error of the held-out frames in [0, 1], the mouth counting four times."""
    seen, true = judged
    with torch.no_grad():
        made = seen.render(state.renderer, state.texture).clamp(-1, 1)
    weight = attention(seen.outer, seen.mouth, 4.0, state.renderer.config.scale)
    return float(weighted_l1(made, true, weight).mean()) / 2


def _copy(state: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().to("cpu", copy=True) for name, value in state.state_dict().items()}


def _save_best(path: Path, best: dict[str, Tensor], error: float) -> None:
    save_tensors(path, BEST, best, {"error": error if np.isfinite(error) else None})


def _load_best(path: Path) -> tuple[dict[str, Tensor], float]:
    best, header = load_tensors(path, BEST)
    return best, float("inf") if header["error"] is None else header["error"]
