"""How fast a mouth is rendered, beside a generator of Wav2Lip's shape, timed in turns in one run.

    python -m benchmarks.rendering [--size light|full] [--device auto|cpu|cuda] [--batch 4]
                                   [--clip CLIP] [--repeats 5] [--threads 2]

The network alone, in batches and frame by frame, and the whole stage as `redub dub` runs it:
decode, conditions, network, paste, encode. On the CPU, where OpenVINO is installed, both networks
are run by it as well, and ours is held against torch's pictures. The full renderer is timed
untrained: what it has learned costs no time.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import monotonic, process_time
from typing import Literal

import torch
import tyro
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.tracking.table import figure, table
from benchmarks.wav2lip_shape import FACE_CHANNELS, MELS, PIXELS, STEPS, Generator
from core.ahead import ahead
from core.device import on_device, resolve_device
from core.size import Size
from dub.bench import PERFORMER, conditions_of, person_of
from face3d.morphable import default_model
from face3d.track import Track
from face3d.tracker import TrackerConfig, track_clip
from media.clip import Clip
from media.writer import ClipWriter
from prior.painting.composite import pasted
from prior.painting.conditions import Conditions, stacked
from prior.painting.person import BATCH, Person, paint
from prior.painting.renderer import default_prior, untrained
from render.engine import accelerated, engines

HEADINGS = ("", "frames/s", "frames/CPU-s", "pictures against torch, dB")


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """Time the renderer."""

    size: Size = "light"
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    batch: int = BATCH
    """Frames that the network is given at once; the whole stage has its own number."""
    clip: Path = PERFORMER
    frames: int = 48
    repeats: int = 5
    threads: int = os.cpu_count() or 1
    """Torch's; one where other work keeps the cores busy."""


@dataclass(frozen=True)
class Timed:
    """Median frames a second by the clock and by the processors' time."""

    by_clock: float
    by_work: float


def main(argv: Sequence[str] | None = None) -> int:
    job = tyro.cli(Rendering, description=__doc__, args=argv)
    torch.set_num_threads(job.threads)
    clip, model, device = Clip.open(job.clip), default_model(), resolve_device(job.device).torch
    count = min(job.frames, len(clip)) // job.batch * job.batch
    track = track_clip(clip, range(count), model, TrackerConfig(stage="landmarks"))
    prior = default_prior() if job.size == "light" else untrained(0, job.size)
    person = person_of(clip, track, model, prior)
    frames = stacked(conditions_of(person, list(clip.frames(range(count))), track))
    person, frames = on_device(person, device), on_device(frames, device)
    batches = [frames[i : i + job.batch] for i in range(0, count, job.batch)]
    singles = [frames[i : i + 1] for i in range(count)]
    people = {
        name: replace(person, renderer=accelerated(person.renderer, name))
        for name in (engines() if device.type == "cpu" else ["torch"])
    }
    trials: dict[str, Callable[[], object]] = {}
    for name, one in people.items():
        trials[f"{job.size}, network, {name}"] = lambda one=one: pictures(one, batches)
        trials[f"{job.size}, one at a time, {name}"] = lambda one=one: pictures(one, singles)
        trials[f"{job.size}, whole stage, {name}"] = lambda one=one: whole_stage(one, clip, track)
        peer = accelerated(Generator().eval().to(device), name)
        trials[f"Wav2Lip's shape, network, {name}"] = lambda net=peer: generated(net, count, device)
    found = in_turns(trials, count, job.repeats)
    truth = pictures(person, batches)
    parity = {
        f"{job.size}, network, {name}": decibels(pictures(one, batches), truth)
        for name, one in people.items()
        if name != "torch"
    }
    rows = [
        [name, figure(of.by_clock, 1), figure(of.by_work, 1), figure(parity.get(name), 1)]
        for name, of in found.items()
    ]
    width, height = batches[0].plate.shape[:-3:-1]
    with FlopCounterMode(display=False) as counter:
        pictures(person, singles[:1])
    print(
        f"{count} frames of {clip.path.name} by {job.batch}, windows {width} × {height}, "
        f"{counter.get_total_flops() / 1e9:.1f} GFLOP each, {device}, {job.threads} threads"
    )
    print(f"load average {os.getloadavg()[0]:.1f}\n\n{table(HEADINGS, rows)}\n")
    as_published = found["Wav2Lip's shape, network, torch"]
    for name in people:
        ours, theirs = (found[f"{who}, network, {name}"] for who in (job.size, "Wav2Lip's shape"))
        print(
            f"{job.size} by {name}: {times(ours, theirs)} as many frames as the peer by {name}, "
            f"{times(ours, as_published)} as many as the peer by torch (in brackets: by CPU time)."
        )
    return 0


def times(ours: Timed, theirs: Timed) -> str:
    by_clock, by_work = ours.by_clock / theirs.by_clock, ours.by_work / theirs.by_work
    return f"{by_clock:.2f} ({by_work:.2f}) times"


def in_turns(
    trials: dict[str, Callable[[], object]], frames: int, repeats: int
) -> dict[str, Timed]:
    """Each trial once a round, so that whatever else the machine does meets them alike; the first
    round warms up."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in trials}
    for _ in range(repeats + 1):
        for name, trial in trials.items():
            wall, work = monotonic(), process_time()
            trial()
            seconds[name].append((monotonic() - wall, process_time() - work))
    return {
        name: Timed(*(frames / median(run[k] for run in runs[1:]) for k in (0, 1)))
        for name, runs in seconds.items()
    }


def pictures(person: Person, batches: list[Conditions]) -> torch.Tensor:
    """What the network makes of all batches, brought back from where it was computed."""
    with torch.inference_mode():
        return torch.cat([seen.render(person.renderer, person.texture).cpu() for seen in batches])


def whole_stage(person: Person, clip: Clip, track: Track) -> None:
    """The whole stage of a shot whose mouth stays as it is, into a lossless file."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "rendered.mkv"
        plate = ahead(clip.frames(range(len(track))))
        painted = paint(person, plate, track, track.motion.mouth, (None,))
        frames = (frame if part is None else pasted(frame, part) for frame, part in painted)
        with ClipWriter(target, clip) as writer:
            for frame in ahead(frames):
                writer.write(frame)


def generated(network: nn.Module, count: int, device: torch.device) -> None:
    sound, face = (
        torch.rand(BATCH, 1, MELS, STEPS, device=device),
        torch.rand(BATCH, FACE_CHANNELS, PIXELS, PIXELS, device=device),
    )
    with torch.inference_mode():
        for _ in range(count // BATCH):
            network(sound, face).cpu()


def decibels(pictures: torch.Tensor, truth: torch.Tensor) -> float:
    """Peak signal to noise of colours in [−1, 1]."""
    return float(10 * torch.log10(4 / (pictures.clamp(-1, 1) - truth.clamp(-1, 1)).square().mean()))


if __name__ == "__main__":
    sys.exit(main())
