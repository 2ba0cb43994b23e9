"""`redub bench`: frames a second of every stage on this machine, and the memory they need.

The landmark stage decodes, detects and fits, its parts side by side; the picture stage is what the
photometric fit adds to it. Rendering happens in the 256 crop (a face 192 pixels high) with the
prior and the clip's own references, as an adapted actor does it: adaptation changes weights, not
their number.
"""

import platform
import tempfile
from collections.abc import Callable, Mapping
from os import cpu_count
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

import numpy as np
import torch

from core.errors import UsageError
from core.memory import peak_rss_mb
from core.progress import Reporter, Step
from face3d.mask import JAW_SWEEP
from face3d.morphable import MorphableModel, default_model
from face3d.observed import Observed
from face3d.refine import refined
from face3d.sighting import Sighting, sight
from face3d.track import FACE_PIXELS, Track
from face3d.tracker import TrackerConfig, face_height, guessed_camera, track_sighting
from media.clip import Clip
from media.frame import Frame
from media.writer import ClipWriter
from prior.painting.bank import choose_references, distances
from prior.painting.composite import pasted
from prior.painting.conditions import Conditions
from prior.painting.person import BATCH, Person, paint, shot_window, shown
from prior.painting.renderer import RendererPrior, default_prior
from prior.painting.skin import skin_of
from prior.training.corpus import gather_windows
from prior.training.train_renderer import training_clip

PERFORMER = Path(__file__).parent.parent / "scripts" / "performer" / "clip.mp4"
FRAMES = 64
"""Frames rendered."""

TRACKED = 240
"""Frames tracked: the face is fitted once, however long the clip."""


def bench(path: Path | None, repeats: int, reporter: Reporter) -> dict[str, Any]:
    """Every stage timed `repeats` times on the first frames of a clip of a face."""
    if repeats < 1:
        raise UsageError(f"--repeats {repeats} is not 1 or more; leave it out for 3.")
    if path is None and not PERFORMER.exists():
        raise UsageError("the bundled performer is in redub's source only; give --clip CLIP.")
    clip = Clip.open(path or PERFORMER)
    began = monotonic()
    stages = _Stages(repeats, reporter)
    model = default_model()
    tracked = range(min(TRACKED, len(clip)))
    seen = stages.timed("find landmarks", len(tracked), lambda: sight(clip, tracked))
    track = stages.timed("fit landmarks", len(tracked), lambda: _fitted(clip, seen))
    stages.timed("picture stage", len(tracked), lambda: _refined(clip, seen, track, model))
    count = min(FRAMES, len(clip))
    frames = stages.timed("decode", count, lambda: _decoded(clip, count))
    track = track[:count]
    person = person_of(clip, track, model, default_prior())
    conditions = stages.timed("conditions", count, lambda: conditions_of(person, frames, track))
    stages.timed("network", count, lambda: rendered(person, conditions))
    painted = list(paint(person, iter(frames), track, track.motion.mouth, (None,)))
    dubbed = stages.timed(
        "composite", count, lambda: [f if p is None else pasted(f, p) for f, p in painted]
    )
    with tempfile.TemporaryDirectory() as folder:
        for suffix, name in ((".mkv", "encode FFV1"), (".mp4", "encode H.264")):
            target = Path(folder) / f"bench{suffix}"
            stages.timed(name, count, lambda target=target: _encoded(clip, dubbed, target))
    return {
        "machine": platform.processor() or platform.machine(),
        "cores": cpu_count(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "clip": clip.path.name,
        "size": [clip.width, clip.height],
        "window": list(conditions[0].plate.shape[:-3:-1]),
        "frames": {"tracked": len(tracked), "rendered": count},
        "repeats": repeats,
        "frames_a_second": stages.speeds | _totals(stages.speeds),
        "seconds": monotonic() - began,
        "peak_rss_mb": peak_rss_mb(),
    }


LANDMARKS = ("find landmarks", "fit landmarks")
RENDERING = ("decode", "conditions", "network", "composite", "encode FFV1")


def _totals(speeds: Mapping[str, float]) -> dict[str, float]:
    """Stages one after another."""

    def together(names: tuple[str, ...]) -> float:
        return 1 / sum(1 / speeds[name] for name in names)

    return {
        "landmark stage": together(LANDMARKS),
        "tracking": together((*LANDMARKS, "picture stage")),
        "rendering": together(RENDERING),
        "dubbing": together((*LANDMARKS, "picture stage", *RENDERING)),
    }


class _Stages:
    """Times stages; the first run of each warms up and does not count."""

    def __init__(self, repeats: int, reporter: Reporter) -> None:
        self.repeats, self.reporter = repeats, reporter
        self.speeds: dict[str, float] = {}

    def timed(self, name: str, frames: int, stage: Callable[[], Any]) -> Any:
        result, seconds, first = stage(), [], monotonic()
        for index in range(self.repeats):
            began = monotonic()
            result = stage()
            seconds.append(monotonic() - began)
            self.reporter.step(Step(name, index + 1, self.repeats, monotonic() - first))
        self.speeds[name] = frames / median(seconds)
        return result


def _decoded(clip: Clip, count: int) -> list[Frame]:
    """Frames with their RGB worked out."""
    frames = list(clip.frames(range(count)))
    for frame in frames:
        _ = frame.rgb
    return frames


def _fitted(clip: Clip, seen: Sighting) -> Track:
    return track_sighting(clip, seen, config=TrackerConfig(stage="landmarks"))


def _refined(clip: Clip, seen: Sighting, track: Track, model: MorphableModel) -> Track:
    config = TrackerConfig()
    sigma = config.sigma_px256 * face_height(seen.landmarks) / FACE_PIXELS
    focal = guessed_camera(clip.width, clip.height, config).focal
    return refined(clip, track, Observed(seen.landmarks, sigma), model, focal, config.refinement)


def person_of(clip: Clip, track: Track, model: MorphableModel, prior: RendererPrior) -> Person:
    """The prior showing this clip's face, its own frames as references."""
    scale, frames = prior.config.scale, np.flatnonzero(track.valid.numpy())
    windows = gather_windows(clip, track, model, frames, scale=scale)
    known = training_clip(windows, model, clip.path.stem)
    texture = prior.texture(known.colours, known.seen).eval()
    skin = skin_of(model, clip, track, frames, hidden=False)
    renderer = prior.renderer().eval()
    return Person(model, track.identity, renderer, texture, known.bank, skin, scale=scale)


def conditions_of(person: Person, frames: list[Frame], track: Track) -> list[Conditions]:
    """What the network is shown, batch by batch."""
    chosen = choose_references(distances(person.model, person.bank, track.motion), 2)
    window = shot_window(person, track, track.motion, 0)
    groups = [list(enumerate(frames))[i : i + BATCH] for i in range(0, len(frames), BATCH)]
    return [
        shown(person, group, track, track.motion, chosen, window, JAW_SWEEP, None).conditions
        for group in groups
    ]


def rendered(person: Person, conditions: list[Conditions]) -> None:
    with torch.inference_mode():
        for seen in conditions:
            seen.render(person.renderer, person.texture)


def _encoded(clip: Clip, frames: list[Frame], target: Path) -> None:
    with ClipWriter(target, clip) as writer:
        for frame in frames:
            writer.write(frame)


def printed(figures: Mapping[str, Any]) -> str:
    """The figures for a person."""
    lines = [
        f"{figures['machine']}, {figures['cores']} cores, torch {figures['torch']}; "
        f"{figures['frames']['tracked']} frames of {figures['clip']} tracked, "
        f"{figures['frames']['rendered']} rendered, median of {figures['repeats']}"
    ]
    lines += [
        f"{name:<15} {speed:8.1f} frames/s" for name, speed in figures["frames_a_second"].items()
    ]
    if figures["peak_rss_mb"]:
        lines.append(f"{'peak memory':<15} {figures['peak_rss_mb']:8.0f} MB")
    return "\n".join(lines)
