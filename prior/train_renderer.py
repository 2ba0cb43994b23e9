"""Train the rendering prior: one network, one texture a clip, many people.

A sample is a frame of some person with references from the same clip, at least five frames away.
Half of the samples are tinted, so that the network copies colour instead of knowing it. One in four
is lit otherwise than its references, so that it takes the light of the plate.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from core.errors import DivergedError
from core.progress import Step
from face3d.mask import swept_mask
from face3d.morphable import MorphableModel, default_model
from face3d.unwrap import filled, unwrap
from face3d.view import look
from prior.bank import ReferenceBank, distances
from prior.checkpoint import load_checkpoint, save_checkpoint
from prior.conditions import Conditions, assembled, relit, stacked, tinted
from prior.corpus import MARGIN, Windows, corpus_files, load_windows
from prior.grade import random_grade
from prior.losses import attention, gradient_l1, structural, weighted_l1
from prior.renderer import RendererPrior
from prior.skin import normal_chart
from render.deferred import DeferredRenderer, RendererConfig
from render.neural_texture import CHANNELS, COLOURS, SIZE
from render.sampling import sample_texture

APART = 5
"""Frames between a target and its reference: nearer ones are copies of the answer."""


@dataclass(frozen=True)
class RendererTraining:
    """How the prior is trained."""

    seconds: float = 3000.0
    """Wall-clock budget, counted over interruptions; the learning rate falls along it."""
    batch: int = 4
    network_rate: float = 5e-4
    texture_rate: float = 4e-3
    lips: float = 4.0
    gradient: float = 1.0
    structure: float = 0.25
    colour: float = 0.25
    seed: int = 0
    checkpoint_seconds: float = 300.0


@dataclass(frozen=True)
class TrainingClip:
    """One clip in memory: its windows with margins, outer masks, and itself as references."""

    person: str
    windows: Windows
    outer: Bool[Tensor, "N H W"]
    bank: ReferenceBank
    distance: Float[Tensor, "N N"]
    colours: Float[Tensor, "3 R R"]
    seen: Float[Tensor, "R R"]
    normals: Float[Tensor, "3 S S"]
    about: dict[str, str]


def load_clip(path: Path, model: MorphableModel) -> TrainingClip:
    """A clip of a corpus, ready to train on."""
    windows, about = load_windows(path)
    return training_clip(windows, model, about)


def training_clip(windows: Windows, model: MorphableModel, about: dict[str, str]) -> TrainingClip:
    """Work out what every step needs again and again. The windows carry `MARGIN`."""
    cameras = [windows.camera(i) for i in range(len(windows))]
    motion, identity = windows.motion, windows.identity
    outer = torch.cat(
        [swept_mask(model, identity, motion[i : i + 1], c) for i, c in enumerate(cameras)]
    )
    bank = ReferenceBank.of(model, identity, motion, windows.frame, windows.images, cameras)
    distance = distances(model, bank, motion)
    near = (windows.frame[:, None] - windows.frame[None]).abs() < APART
    distance[near] = torch.inf
    spread = torch.linspace(0, len(windows) - 1, min(40, len(windows))).long()
    views = [look(model, identity, motion[i : i + 1], cameras[i]) for i in spread]
    uv = torch.cat([view.uv for view in views])
    colours, weight = unwrap(uv, windows.images[spread], SIZE)
    normals = normal_chart(model, identity)
    return TrainingClip(
        about["person"], windows, outer, bank, distance, colours, weight, normals, about
    )


def draw_sample(
    clip: TrainingClip, model: MorphableModel, generator: torch.Generator
) -> tuple[Conditions, Float[Tensor, "1 3 H W"]]:
    """A random frame through a randomly shifted window, with near but imperfect references."""

    def below(limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=generator))

    index = below(len(clip.windows))
    dx, dy = below(2 * MARGIN + 1) - MARGIN, below(2 * MARGIN + 1) - MARGIN
    camera = clip.windows.camera(index, dx, dy, MARGIN)
    rows = slice(MARGIN + dy, MARGIN + dy + camera.height)
    columns = slice(MARGIN + dx, MARGIN + dx + camera.width)
    image = clip.windows.images[index : index + 1, :, rows, columns].float() / 127.5 - 1
    # One sample in ten sees references of quite another mouth: a new line will need that too.
    reach = len(clip.windows) if below(10) == 0 else 6
    allowed = int(torch.isfinite(clip.distance[index]).sum())
    nearest = clip.distance[index].topk(min(reach, allowed), largest=False).indices
    chosen = nearest[torch.randint(len(nearest), (1, 2), generator=generator)]
    view = look(model, clip.windows.identity, clip.windows.motion[index : index + 1], camera)
    outer = clip.outer[index : index + 1, None, rows, columns].float()
    return assembled(model, view, outer, image, clip.bank, chosen), image


def relit_samples(
    seen: Conditions,
    images: Float[Tensor, "B 3 H W"],
    normals: list[Float[Tensor, "3 S S"]],
    generator: torch.Generator,
) -> tuple[Conditions, Float[Tensor, "B 3 H W"]]:
    """Every fourth of a batch of samples lit otherwise than its references; people's normals."""
    parts, lit = [], []
    for i, chart in enumerate(normals):
        part, image = seen[i : i + 1], images[i : i + 1]
        if i % 4 == 3:
            part, image = relit(part, image, random_grade(chart, generator))
        parts.append(part)
        lit.append(image)
    return stacked(parts), torch.cat(lit)


def _start_colours(clip: TrainingClip) -> Tensor:
    return filled(clip.colours, clip.seen, torch.zeros_like(clip.colours))


class PriorState(nn.Module):
    """Everything that training learns: the network, shared features, each clip's own texture."""

    def __init__(self, clips: list[TrainingClip]) -> None:
        super().__init__()
        self.renderer = DeferredRenderer(RendererConfig())
        self.features = nn.Parameter(torch.zeros(CHANNELS - COLOURS, SIZE, SIZE))
        self.own = nn.ParameterList(
            [
                nn.Parameter(torch.cat([_start_colours(clip), torch.zeros_like(self.features)]))
                for clip in clips
            ]
        )

    def texture(self, index: int) -> Float[Tensor, "1 C R R"]:
        own = self.own[index]
        shared = torch.cat([torch.zeros_like(own[:COLOURS]), self.features])
        return (own + shared)[None]


def renderer_loss(
    made: Tensor,
    true: Tensor,
    features: Tensor,
    colours: Tensor,
    seen: Conditions,
    config: RendererTraining,
) -> Float[Tensor, ""]:
    """L1, edges and structure of the picture, and the texture's first channels as `colours`."""
    weight = attention(seen.outer, seen.mouth, config.lips)
    picture = weighted_l1(made, true, weight) + config.gradient * gradient_l1(made, true, weight)
    picture = picture + config.structure * structural(made, true, weight)
    colour = weighted_l1(features[:, :COLOURS], colours, seen.inner)
    return (picture + config.colour * colour).mean()


def train_renderer(
    corpus: Path,
    folder: Path,
    config: RendererTraining,
    preview: Callable[[Tensor, Tensor, Conditions], None] | None = None,
) -> Iterator[Step]:
    """Train, yielding steps; checkpoints and the finished prior land in `folder`.

    A checkpoint in `folder` is resumed. Raises DivergedError at a loss that is not finite.
    """
    model = default_model()
    clips = [load_clip(path, model) for path in corpus_files(corpus)]
    people: dict[str, list[int]] = defaultdict(list)
    for index, clip in enumerate(clips):
        people[clip.person].append(index)
    groups = list(people.values())
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    state = PriorState(clips)
    state.renderer.to(memory_format=torch.channels_last)  # pyright: ignore
    optimiser = torch.optim.Adam(
        [
            {"params": state.renderer.parameters(), "lr": config.network_rate},
            {"params": [state.features, *state.own], "lr": config.texture_rate},
        ]
    )
    rates = [group["lr"] for group in optimiser.param_groups]
    checkpoint = folder / "checkpoint.safetensors"
    step, spent = 0, 0.0
    if checkpoint.exists():
        header = load_checkpoint(checkpoint, state, optimiser, generator)
        step, spent = header["step"], header["seconds"]
    started = saved = monotonic()
    average: float | None = None
    while (elapsed := spent + monotonic() - started) < config.seconds:
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            warm = min(1.0, (step + 1) / 50)
            group["lr"] = warm * rate * max(0.02, 1 - elapsed / config.seconds)
        samples, textures = [], []
        for _ in range(config.batch):
            group = groups[int(torch.randint(len(groups), (1,), generator=generator))]
            index = group[int(torch.randint(len(group), (1,), generator=generator))]
            samples.append(draw_sample(clips[index], model, generator))
            textures.append(index)
        seen = stacked([conditions for conditions, _ in samples])
        true = torch.cat([image for _, image in samples])
        features = torch.cat(
            [
                sample_texture(state.texture(t), seen.uv[i : i + 1], seen.inner[i : i + 1])
                for i, t in enumerate(textures)
            ]
        )
        gain = 1 + 0.15 * torch.randn(len(true), 3, 1, 1, generator=generator).clamp(-2, 2)
        gain[::2] = 1
        seen, features = tinted(seen, features, gain)
        colours = (true + 1) * gain - 1
        normals = [clips[t].normals for t in textures]
        seen, true = relit_samples(seen, colours, normals, generator)
        made = seen.render_features(state.renderer, features)
        loss = renderer_loss(made, true, features, colours, seen, config)
        if not bool(torch.isfinite(loss)):
            raise DivergedError(f"the prior diverged at step {step} (loss {float(loss)}).")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(state.renderer.parameters(), 1.0)
        optimiser.step()
        step += 1
        value = float(loss.detach())
        average = value if average is None else 0.98 * average + 0.02 * value
        if preview and step % 200 == 0:
            preview(made.detach(), true, seen)
        if monotonic() - saved > config.checkpoint_seconds:
            header = {"step": step, "seconds": spent + monotonic() - started}
            save_checkpoint(checkpoint, state, optimiser, generator, header)
            finished(state, clips, step, elapsed).save(folder / "renderer.safetensors")
            saved = monotonic()
        yield Step("train the prior", int(elapsed), int(config.seconds), elapsed,
                   {"loss": average, "step": step})  # fmt: skip
    header = {"step": step, "seconds": spent + monotonic() - started}
    save_checkpoint(checkpoint, state, optimiser, generator, header)
    finished(state, clips, step, config.seconds).save(folder / "renderer.safetensors")


def finished(
    state: PriorState, clips: list[TrainingClip], steps: int, seconds: float
) -> RendererPrior:
    """The prior of a training state: mean texture of all clips, and who was seen."""
    mean = torch.stack([own.detach() for own in state.own]).mean(0)
    about = {
        "people": sorted({clip.person for clip in clips}),
        "clips": [clip.about for clip in clips],
        "steps": steps,
        "seconds": round(seconds),
    }
    weights = {k: v.detach().clone() for k, v in state.renderer.state_dict().items()}
    return RendererPrior(
        state.renderer.config,
        weights,
        mean[:COLOURS],
        state.features.detach() + mean[COLOURS:],
        about,
    )
