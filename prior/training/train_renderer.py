"""Train the rendering prior: one network, a texture for each clip at hand, many people.

A sample is a frame of some person with references from the same clip, at least five frames away;
open mouths are drawn more often than shut ones. Half of the samples start from what the footage
tells at a glance, and half of those know the clip's least open mouths alone: teeth that an actor
never showed are the prior's to supply. Half are tinted, so that the network copies colour instead
of knowing it. One in four is lit otherwise than its references, so that it takes the light of the
plate.

A corpus may be larger than memory: some clips are held, and one after another gives way. A clip's
own texture starts from its unprojected colours each time, as an actor's will, and is learned while
the clip is held. What all clips share is the network and the texture's other features.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from core.camera import Camera
from core.device import CPU, bfloat16_pays, on_device
from core.errors import DivergedError, UsageError
from core.progress import Step
from core.serial import load_header
from face3d.anatomy import FACE_V
from face3d.lips import mouth_opening
from face3d.mask import hidden_mask
from face3d.morphable import MorphableModel, default_model
from face3d.unwrap import filled, unwrap
from face3d.view import look
from prior.painting.bank import APART, ReferenceBank, distances
from prior.painting.conditions import Conditions, assembled, relit, stacked, tinted
from prior.painting.grade import Grade, random_grade
from prior.painting.renderer import RendererPrior, stem_of
from prior.painting.skin import normal_chart
from prior.painting.texture_start import TextureStart, evidence_of
from prior.perception import teacher
from prior.training.checkpoint import SCHEMA as CHECKPOINT
from prior.training.checkpoint import latest_checkpoint, load_checkpoint, save_together
from prior.training.corpus import Sample, Windows, with_teeth
from prior.training.losses import (
    attention,
    detail,
    gradient_l1,
    perceived,
    structural,
    weighted_l1,
)
from prior.training.ranks import Ranks
from prior.training.stream import Library, Place, Stream
from render.deferred import RENDERERS, DeferredRenderer, RendererConfig
from render.neural_texture import CHANNELS, COLOURS, SIZE
from render.sampling import sample_texture

ALONE = Ranks(0, 1, CPU)

GRID_STEPS = 500
FIRST_GRID = 20
"""Steps between two pictures of what training makes, and before the first one."""

SHUT_SHARE = 0.4
"""Share of a clip's frames, the least open ones, that an episode of shut mouths knows; as many, the
most open ones, are its targets."""

OPEN_CHANCE = 3.0
"""How much more often a frame of the more open half of a clip is drawn for training."""


PERCEPTUAL = 0.5
"""Weight of a network's judgement where it is asked for: papers give LPIPS 0.1 to 1 of an L1's."""


@dataclass(frozen=True)
class RendererTraining:
    """How the prior is trained."""

    seconds: float = 3000.0
    """Wall-clock budget, counted over interruptions; the learning rate falls along it."""
    steps: int | None = None
    """Steps as the budget instead: the same result however long they take."""
    batch: int = 4
    """Samples of a step, in each process."""
    hold: int = 40
    """Clips in memory at once, in each process."""
    visit: int = 400
    """Samples drawn of a clip, on average, before another takes its place."""
    network_rate: float = 5e-4
    texture_rate: float = 4e-3
    lips: float = 4.0
    inside: float = 1.5
    """How much more than lips teeth and the cavity weigh."""
    gradient: float = 1.0
    structure: float = 0.25
    detail: float = 0.5
    colour: float = 0.25
    perceptual: float = 0.0
    """Weight of a network's judgement, which the user must have (`prior.perception`)."""
    seed: int = 0
    checkpoint_seconds: float = 300.0
    renderer: RendererConfig = RENDERERS["light"]
    """The network that is trained. What it is shown must be of its size."""


@dataclass(frozen=True)
class TrainingClip:
    """One clip in memory: its windows with margins, outer masks, and itself as references.

    `chance`: how often a frame is drawn, against the others; `distance` of a reference that a frame
    may not have is infinite.
    """

    person: str
    windows: Windows
    outer: Bool[Tensor, "N H W"]
    bank: ReferenceBank
    distance: Float[Tensor, "N N"]
    chance: Float[Tensor, "N"]
    colours: Float[Tensor, "3 R R"]
    seen: Float[Tensor, "R R"]
    normals: Float[Tensor, "3 S S"]

    def to(self, device: torch.device) -> "TrainingClip":
        """Pictures, masks and geometry there; the numbers by which samples are drawn stay here."""
        moved = on_device(self, device)
        windows = replace(moved.windows, corner=self.windows.corner, frame=self.windows.frame)
        numbers = {name: getattr(self, name) for name in ("distance", "chance", "normals")}
        return replace(moved, windows=windows, **numbers)


def training_clip(windows: Windows, model: MorphableModel, person: str) -> TrainingClip:
    """Work out what every step needs again and again. The windows carry their `margin`."""
    cameras = [windows.camera(i) for i in range(len(windows))]
    motion, identity = windows.motion, windows.identity
    outer = torch.cat(
        [
            hidden_mask(model, identity, motion[i : i + 1], camera, scale=windows.scale)
            for i, camera in enumerate(cameras)
        ]
    )
    bank = ReferenceBank.of(model, identity, motion, windows.frame, windows.images, cameras)
    distance = distances(model, bank, motion)
    near = (windows.frame[:, None] - windows.frame[None]).abs() < APART
    distance[near] = torch.inf
    colours, weight = unprojected(windows, model, torch.arange(len(windows)))
    normals, even = normal_chart(model, identity), torch.ones(len(windows))
    return TrainingClip(person, windows, outer, bank, distance, even, colours, weight, normals)


def unprojected(
    windows: Windows, model: MorphableModel, frames: Int[Tensor, "K"]
) -> tuple[Float[Tensor, "3 R R"], Float[Tensor, "R R"]]:
    """Colours of a clip's texels and how much they were seen, from up to forty of the frames."""
    pick = frames[torch.linspace(0, len(frames) - 1, min(40, len(frames))).long()]
    views = [
        look(model, windows.identity, windows.motion[i : i + 1], windows.camera(i))
        for i in pick.tolist()
    ]
    size = windows.scale * SIZE
    return unwrap(torch.cat([view.uv for view in views]), windows.images[pick], size)


@dataclass(frozen=True)
class Pupil:
    """A clip as training knows it: all of it, and by its least open mouths alone, its more open
    ones being asked for. Pictures and masks are the same tensors."""

    whole: TrainingClip
    shut: TrainingClip

    def to(self, device: torch.device) -> "Pupil":
        """Both there, their pictures once."""
        whole, shut = self.whole.to(device), self.shut
        colours, seen = on_device((shut.colours, shut.seen), device)
        changed = {"chance": shut.chance, "distance": shut.distance}
        return Pupil(whole, replace(whole, colours=colours, seen=seen, **changed))


def pupil(windows: Windows, model: MorphableModel, person: str) -> Pupil:
    """A clip made ready for training; with too few frames for that, all of it counts as shut."""
    windows = with_teeth(windows, model)
    clip = training_clip(windows, model, person)
    opening = mouth_opening(model, windows.motion.mouth)
    whole = replace(clip, chance=torch.where(opening > opening.median(), OPEN_CHANCE, 1.0))
    order, count = opening.argsort(), max(1, round(SHUT_SHARE * len(windows)))
    shut, open_ = order[:count].sort().values, order[-count:]
    distance = torch.full_like(clip.distance, torch.inf)
    distance[:, shut] = clip.distance[:, shut]
    chance = torch.zeros_like(clip.chance)
    chance[open_] = torch.isfinite(distance[open_]).any(1).float()
    if not chance.any():
        return Pupil(whole, whole)
    colours, seen = unprojected(windows, model, shut)
    known = {"chance": chance, "distance": distance, "colours": colours, "seen": seen}
    return Pupil(whole, replace(whole, **known))


@dataclass(frozen=True)
class Draw:
    """A sample that was drawn: a frame of a clip, its window's shift in pixels, its references."""

    index: int
    dx: int
    dy: int
    chosen: Int[Tensor, "1 2"]

    def within(self, camera: Camera, margin: int) -> tuple[slice, slice]:
        """The rows and columns that a window's camera cuts out of the picture with its margin."""
        top, left = margin + self.dy, margin + self.dx
        return slice(top, top + camera.height), slice(left, left + camera.width)


def draw(clip: TrainingClip, generator: torch.Generator) -> Draw:
    """A frame, by its chance, through a randomly shifted window, with near but imperfect
    references.

    The generator is the CPU's, so that a seed draws the same samples on every device.
    """

    def below(limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=generator))

    index, margin = int(clip.chance.multinomial(1, generator=generator)), clip.windows.margin
    dx, dy = below(2 * margin + 1) - margin, below(2 * margin + 1) - margin
    # One sample in ten sees references of quite another mouth: a new line will need that too.
    reach = len(clip.windows) if below(10) == 0 else 6
    allowed = int(torch.isfinite(clip.distance[index]).sum())
    nearest = clip.distance[index].topk(min(reach, allowed), largest=False).indices
    return Draw(index, dx, dy, nearest[torch.randint(len(nearest), (1, 2), generator=generator)])


def draw_sample(
    clip: TrainingClip, model: MorphableModel, generator: torch.Generator
) -> tuple[Conditions, Float[Tensor, "1 3 H W"]]:
    """What a draw shows, and its picture; computed where the clip and the model are."""
    drawn, margin = draw(clip, generator), clip.windows.margin
    at = slice(drawn.index, drawn.index + 1)
    camera = clip.windows.camera(drawn.index, drawn.dx, drawn.dy, margin)
    rows, columns = drawn.within(camera, margin)
    image = clip.windows.images[at, :, rows, columns].float() / 127.5 - 1
    view = look(model, clip.windows.identity, clip.windows.motion[at], camera)
    outer = clip.outer[at, None, rows, columns].float()
    return assembled(model, view, outer, image, clip.bank, drawn.chosen.to(image.device)), image


@dataclass(frozen=True)
class Batch:
    """Samples of one step: of which slots, under which tint, lit by what (None: as they were).

    `fresh` ones start from their clip's evidence alone, as an actor does, `shut` ones of them from
    that of shut mouths; the others have the texture that their clip has learned so far.
    """

    seen: Conditions
    true: Float[Tensor, "B 3 H W"]
    slots: tuple[int, ...]
    gain: Float[Tensor, "B 3 1 1"]
    lights: tuple[Grade | None, ...]
    fresh: tuple[bool, ...]
    shut: tuple[bool, ...]


def draw_batch(
    clips: list[Pupil], model: MorphableModel, size: int, generator: torch.Generator
) -> Batch:
    """Samples of random clips of random people; each second one tinted, each fourth relit,
    the first and the last of four fresh, half of those knowing shut mouths only."""
    people: dict[str, list[int]] = defaultdict(list)
    for slot, clip in enumerate(clips):
        people[clip.whole.person].append(slot)
    groups = list(people.values())
    fresh = tuple(i % 4 in (0, 3) for i in range(size))
    tossed = torch.rand(size, generator=generator) < 0.5
    shut = tuple(is_fresh and bool(toss) for is_fresh, toss in zip(fresh, tossed, strict=True))
    samples, slots = [], []
    for knows_shut in shut:
        group = groups[int(torch.randint(len(groups), (1,), generator=generator))]
        slots.append(group[int(torch.randint(len(group), (1,), generator=generator))])
        known = clips[slots[-1]]
        samples.append(draw_sample(known.shut if knows_shut else known.whole, model, generator))
    true = torch.cat([image for _, image in samples])
    gain = 1 + 0.15 * torch.randn(size, 3, 1, 1, generator=generator).clamp(-2, 2)
    gain[::2] = 1
    lights = [
        random_grade(clips[slot].whole.normals, generator) if i % 4 == 3 else None
        for i, slot in enumerate(slots)
    ]
    seen = stacked([conditions for conditions, _ in samples])
    batch = Batch(seen, true, tuple(slots), gain, tuple(lights), fresh, shut)
    return on_device(batch, true.device)


def relit_samples(
    seen: Conditions, images: Float[Tensor, "B 3 H W"], lights: tuple[Grade | None, ...]
) -> tuple[Conditions, Float[Tensor, "B 3 H W"]]:
    """The samples, those with a light of their own lit otherwise than their references."""
    parts, lit = [], []
    for i, light in enumerate(lights):
        part, image = seen[i : i + 1], images[i : i + 1]
        if light is not None:
            part, image = relit(part, image, light)
        parts.append(part)
        lit.append(image)
    return stacked(parts), torch.cat(lit)


class Shared(nn.Module):
    """What all clips share. Its gradients are averaged over processes; `forward` is one step."""

    def __init__(self, config: RendererTraining) -> None:
        super().__init__()
        self.config = config
        self.renderer = DeferredRenderer(config.renderer)
        self.start = TextureStart()
        side = config.renderer.scale * SIZE
        self.features = nn.Parameter(torch.zeros(CHANNELS - COLOURS, side, side))

    def forward(
        self, batch: Batch, own: list[Tensor], evidence: list[Tensor]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "B 3 H W"], Float[Tensor, "B 3 H W"]]:
        """The loss, what is painted and what it should be.

        Of each sample's clip there are its own texture and its evidence.

        The network computes in bfloat16 where that pays; textures and losses stay in float32.
        """
        shared = torch.cat([torch.zeros_like(own[0][:COLOURS]), self.features])
        seen = batch.seen
        textures = [
            self.start.texture(evidence[i], self.features) if fresh else own[i] + shared
            for i, fresh in enumerate(batch.fresh)
        ]
        looked_up = [
            sample_texture(texture[None], seen.uv[i : i + 1], seen.inner[i : i + 1])
            for i, texture in enumerate(textures)
        ]
        seen, features = tinted(seen, torch.cat(looked_up), batch.gain)
        seen, true = relit_samples(seen, (batch.true + 1) * batch.gain - 1, batch.lights)
        made = painted(self.renderer, seen, features)
        colours = (batch.true + 1) * batch.gain - 1
        return renderer_loss(made, true, features, colours, seen, self.config), made, true


def painted(
    renderer: DeferredRenderer, seen: Conditions, features: Tensor
) -> Float[Tensor, "B 3 H W"]:
    """The picture for learning: convolutions in bfloat16 where the device is faster at that."""
    kind = features.device.type
    if not bfloat16_pays(kind):
        return seen.render_features(renderer, features)
    with torch.autocast(kind, torch.bfloat16):
        return seen.render_features(renderer, features).float()


class PriorState(nn.Module):
    """Everything that training learns: what is shared, and the held clips' own textures by slot.

    `past` sums the textures of the clips that have given way, `gone` counts them. `colours` fill
    what a clip does not show; black without a prior to start from.
    """

    colours: Tensor
    past: Tensor
    gone: Tensor

    def __init__(
        self,
        starts: list[Float[Tensor, "C R R"]],
        config: RendererTraining,
        prior: RendererPrior | None = None,
    ) -> None:
        """`prior`: what is known already; without one everything is to be learned."""
        super().__init__()
        self.shared = Shared(config)
        nothing = torch.zeros(CHANNELS, *self.shared.features.shape[1:])
        self.register_buffer("colours", nothing[:COLOURS].clone())
        if prior:
            self.shared.renderer.load_state_dict(prior.weights)
            self.shared.start.load_state_dict(prior.start)
            self.shared.features.data.copy_(prior.features)
            self.colours.copy_(prior.colours)
        self.own = nn.ParameterList([nn.Parameter(start) for start in starts])
        self.register_buffer("past", nothing)
        self.register_buffer("gone", torch.zeros(1))

    def exchange(self, slot: int, start: Float[Tensor, "C R R"]) -> nn.Parameter:
        """Start the texture of a slot's new clip; returns the parameter, whose moments are void."""
        own = self.own[slot]
        with torch.no_grad():
            self.past += own
            self.gone += 1
            own.copy_(start)
        return own


def propagate(loss: Float[Tensor, ""], state: PriorState, ranks: Ranks) -> None:
    """Gradients of the mean over everybody's samples: what is shared is averaged on the way, a
    texture of one's own has nobody else's share to wait for."""
    loss.backward()
    for own in state.own:
        if own.grad is not None:
            own.grad /= ranks.count


def own_texture(clip: TrainingClip) -> Float[Tensor, "C R R"]:
    """Where a clip's own texture starts: its colours, and nothing beyond what all share."""
    colours = filled(clip.colours, clip.seen, torch.zeros_like(clip.colours))
    return torch.cat([colours, colours.new_zeros(CHANNELS - COLOURS, *colours.shape[1:])])


def evidence_for(clip: Pupil, state: PriorState) -> tuple[Tensor, Tensor]:
    """The evidence [4 R R] of the whole clip, and of its shut mouths alone."""
    whole, shut = (evidence_of(c.colours, c.seen, state.colours) for c in (clip.whole, clip.shut))
    return whole, shut


def renderer_loss(
    made: Tensor,
    true: Tensor,
    features: Tensor,
    colours: Tensor,
    seen: Conditions,
    config: RendererTraining,
) -> Float[Tensor, ""]:
    """L1, edges, structure, detail, looks; the texture's first channels are to be `colours`."""
    inside = (seen.uv[:, 1:] > FACE_V).float()
    weight = attention(seen.outer, seen.mouth, config.lips, config.renderer.scale)
    weight = weight * (1 + (config.inside - 1) * inside)
    picture = weighted_l1(made, true, weight) + config.gradient * gradient_l1(made, true, weight)
    picture = picture + config.structure * structural(made, true, weight)
    picture = picture + config.detail * detail(made, true, weight)
    if config.perceptual:
        seen_alike = perceived(made, true, seen.outer, weight, teacher(made.device))
        picture = picture + config.perceptual * seen_alike
    colour = weighted_l1(features[:, :COLOURS], colours, seen.inner)
    return (picture + config.colour * colour).mean()


@dataclass(frozen=True)
class Grid:
    """Samples of a step, one a column: truth, painting, difference, first reference, plate."""

    step: int
    picture: UInt8[np.ndarray, "H W 3"]


def train_renderer(
    corpus: Path,
    folder: Path,
    config: RendererTraining,
    ranks: Ranks = ALONE,
    prior: RendererPrior | None = None,
) -> Iterator[Step | Grid]:
    """Train, yielding steps; checkpoints and the finished prior land in `folder`.

    `prior` is what learning starts from, if anything.

    A checkpoint in `folder` is resumed: with a budget of steps, on a CPU, the result is bit for bit
    that of an uninterrupted run. Raises DivergedError at a loss that is not finite, UsageError for
    a corpus, a start or a checkpoint of another size.
    """
    library = Library(corpus, ranks.index, ranks.count)
    checkpoint = latest_checkpoint(folder, ranks)
    header = load_header(checkpoint, CHECKPOINT) if checkpoint else {}
    size = config.renderer.size
    if library.index.size != size:
        raise UsageError(
            f"{corpus} holds windows of the {library.index.size} size, and a {size} renderer is to "
            f"be trained; give --size {library.index.size}, or prepare another folder with `redub "
            f"prior prepare --size {size}`."
        )
    for what, found in (("--start", prior and prior.config.size), (folder, header.get("size"))):
        if found not in (None, size):
            raise UsageError(
                f"{what} holds a {found} renderer, and --size {size} is to be trained; give "
                "another one."
            )
    model = default_model()

    def ready(sample: Sample) -> Pupil:
        return pupil(sample.windows, model, sample.about["person"]).to(ranks.device)

    place = Place.of(header["place"]) if header else None
    stream = Stream(library, ready, config.hold, config.seed, place)
    try:
        yield from _trained(stream, library, folder, config, ranks, prior, checkpoint, header)
    finally:
        stream.close()


def _trained(
    stream: Stream[Pupil],
    library: Library,
    folder: Path,
    config: RendererTraining,
    ranks: Ranks,
    prior: RendererPrior | None,
    checkpoint: Path | None,
    header: dict[str, Any],
) -> Iterator[Step | Grid]:
    model = on_device(default_model(), ranks.device)
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed + ranks.index)
    starts = [own_texture(clip.whole) for clip in stream.held]
    state = PriorState(starts, config, prior).to(ranks.device)
    state.shared.renderer.to(memory_format=torch.channels_last)  # pyright: ignore
    networks = [*state.shared.renderer.parameters(), *state.shared.start.parameters()]
    optimiser = torch.optim.Adam(
        [
            {"params": networks, "lr": config.network_rate},
            {"params": [state.shared.features, *state.own], "lr": config.texture_rate},
        ]
    )
    rates = [group["lr"] for group in optimiser.param_groups]
    step, spent, average = 0, 0.0, None
    if checkpoint:
        load_checkpoint(checkpoint, state, optimiser, generator)
        step, spent, average = header["step"], header["seconds"], header["loss"]
    evidence = [evidence_for(clip, state) for clip in stream.held]
    learner = ranks.averaging(state.shared)
    exchange_steps = max(1, round(config.visit / config.batch))
    started, saved = monotonic(), spent

    def keep(elapsed: float) -> None:
        place = vars(stream.place)
        note = {"step": step, "seconds": elapsed, "loss": average, "place": place}
        note["size"] = config.renderer.size
        save_together(folder, ranks, step, state, optimiser, generator, note)
        learned = finished(state, library, ranks, step, elapsed, prior)
        if ranks.leads:
            learned.save(folder / f"{stem_of(config.renderer.size)}.safetensors")

    while True:
        elapsed = ranks.agreed(spent + monotonic() - started)
        share = elapsed / config.seconds if config.steps is None else step / config.steps
        if share >= 1:
            break
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = min(1.0, (step + 1) / 50) * rate * max(0.02, 1 - share)
        batch = draw_batch(stream.held, model, config.batch, generator)
        own = [state.own[slot] for slot in batch.slots]
        known = [evidence[slot][shut] for slot, shut in zip(batch.slots, batch.shut, strict=True)]
        loss, made, true = learner(batch, own, known)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise DivergedError(f"the prior diverged at step {step} (loss {value}).")
        optimiser.zero_grad(set_to_none=True)
        propagate(loss, state, ranks)
        nn.utils.clip_grad_norm_(networks, 1.0)
        optimiser.step()
        step += 1
        average = value if average is None else 0.98 * average + 0.02 * value
        if step % exchange_steps == 0 and (slot := stream.advance()) is not None:
            changed = state.exchange(slot, own_texture(stream.held[slot].whole))
            optimiser.state.pop(changed, None)
            evidence[slot] = evidence_for(stream.held[slot], state)
        if step % GRID_STEPS == FIRST_GRID:
            yield Grid(step, pictured(batch.seen, made.detach(), true))
        if elapsed - saved > config.checkpoint_seconds:
            keep(elapsed)
            saved = elapsed
        done, total = (int(elapsed), int(config.seconds)) if config.steps is None else (
            step, config.steps,
        )  # fmt: skip
        terms = {"loss": average, "step": step, "rate": optimiser.param_groups[0]["lr"]}
        yield Step("train the prior", done, total, elapsed, terms)
    keep(elapsed)


def pictured(
    seen: Conditions, made: Float[Tensor, "B 3 H W"], true: Float[Tensor, "B 3 H W"]
) -> UInt8[np.ndarray, "H W 3"]:
    """At most eight samples side by side; see `Grid`."""
    rows = [true, made, made - true, seen.references[:, 0, :3], seen.plate]
    sheet = torch.cat([torch.cat(list(row[:8].float().cpu()), -1) for row in rows], -2)
    return ((sheet.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).numpy()


def finished(
    state: PriorState,
    library: Library,
    ranks: Ranks,
    steps: int,
    seconds: float,
    prior: RendererPrior | None,
) -> RendererPrior:
    """The prior of a training state, and the table of rights of all it has seen, ever.

    Colours for holes are the mean of all clips' textures, unless learning started with some.
    """
    textures = [own.detach() for own in state.own]
    total = ranks.summed(torch.stack([state.past, *textures]).sum(0))
    count = ranks.summed(state.gone + len(textures))
    mean = (total / count).cpu()[:COLOURS]
    before = prior.about if prior else {}
    rows = [*before.get("clips", []), *library.index.rights()]
    unique = {tuple(row.values()): row for row in rows}
    clips = [unique[values] for values in sorted(unique)]
    about = {
        "people": sorted({clip["person"] for clip in clips}),
        "clips": clips,
        "windows": sum(e.windows for shard in library.index.shards for e in shard.samples),
        "steps": steps,
        "batch": state.shared.config.batch * ranks.count,
        "seconds": round(seconds),
        "device": state.past.device.type,
        "seed": state.shared.config.seed,
    }
    if state.shared.config.perceptual:
        judge = type(teacher(state.past.device)).__name__
        about["judged_by"] = f"{judge} of VGG-16 (ImageNet)"
    if prior:
        about["before"] = {k: v for k, v in before.items() if k not in ("people", "clips")}

    def weights(network: nn.Module) -> dict[str, Tensor]:
        return {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}

    return RendererPrior(
        state.shared.renderer.config,
        weights(state.shared.renderer),
        weights(state.shared.start),
        state.colours.cpu() if prior else mean,
        state.shared.features.detach().cpu(),
        about,
    )
