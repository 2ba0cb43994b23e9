"""`redub bench`: frames a second of every stage on this machine, and the memory they need.

Rendering happens in the 256 crop (a face 192 pixels high) with the prior and the clip's own
references, as an adapted actor does it: adaptation changes weights, not their number.
"""

import platform
import tempfile
from collections.abc import Callable, Mapping
from itertools import islice
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
from face3d.landmarks import FaceMesh, collected
from face3d.morphable import MorphableModel, default_model
from face3d.track import Track
from face3d.tracker import track_landmarks
from face3d.view import crop_image, cut, window_corner
from media.clip import Clip
from media.frame import Frame
from media.writer import ClipWriter
from prior.bank import choose_references, distances
from prior.composite import pasted
from prior.conditions import Conditions, observe, stacked
from prior.corpus import gather_windows
from prior.person import BATCH, Person, paint
from prior.renderer import default_prior
from prior.skin import skin_of
from prior.train_renderer import training_clip

PERFORMER = Path(__file__).parent.parent / "scripts" / "performer" / "clip.mp4"
FRAMES = 64


def bench(path: Path | None, repeats: int, reporter: Reporter) -> dict[str, Any]:
    """Every stage timed `repeats` times on the first frames of a clip of a face."""
    if repeats < 1:
        raise UsageError(f"--repeats {repeats} is not 1 or more; leave it out for 3.")
    if path is None and not PERFORMER.exists():
        raise UsageError("the bundled performer is in redub's source only; give --clip CLIP.")
    clip = Clip.open(path or PERFORMER)
    began = monotonic()
    stages = _Stages(clip, repeats, reporter)
    model = default_model()
    frames = stages.timed("decode", lambda: _decoded(clip))
    seen = stages.timed("find landmarks", lambda: _detected(frames))
    track = stages.timed("fit the face", lambda: _fitted(clip, seen))
    person = _person(clip, track, model)
    conditions = stages.timed("conditions", lambda: _conditions(person, frames, track))
    stages.timed("network", lambda: _network(person, conditions))
    painted = list(paint(person, iter(frames), track, track.motion.mouth, (None,)))
    dubbed = stages.timed(
        "composite", lambda: [f if p is None else pasted(f, p) for f, p in painted]
    )
    with tempfile.TemporaryDirectory() as folder:
        for suffix, name in ((".mkv", "encode FFV1"), (".mp4", "encode H.264")):
            target = Path(folder) / f"bench{suffix}"
            stages.timed(name, lambda target=target: _encoded(clip, dubbed, target))
    return {
        "machine": platform.processor() or platform.machine(),
        "cores": cpu_count(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "clip": clip.path.name,
        "size": [clip.width, clip.height],
        "window": list(conditions[0].plate.shape[:-3:-1]),
        "frames": len(frames),
        "repeats": repeats,
        "frames_a_second": stages.speeds | _totals(stages.speeds),
        "seconds": monotonic() - began,
        "peak_rss_mb": peak_rss_mb(),
    }


TRACKING = ("decode", "find landmarks", "fit the face")
RENDERING = ("decode", "conditions", "network", "composite", "encode FFV1")


def _totals(speeds: Mapping[str, float]) -> dict[str, float]:
    """Stages one after another."""

    def together(names: tuple[str, ...]) -> float:
        return 1 / sum(1 / speeds[name] for name in names)

    return {
        "tracking": together(TRACKING),
        "rendering": together(RENDERING),
        "dubbing": together((*TRACKING, *RENDERING)),
    }


class _Stages:
    """Times stages; the first run of each warms up and does not count."""

    def __init__(self, clip: Clip, repeats: int, reporter: Reporter) -> None:
        self.frames = min(FRAMES, len(clip))
        self.repeats, self.reporter = repeats, reporter
        self.speeds: dict[str, float] = {}

    def timed(self, name: str, stage: Callable[[], Any]) -> Any:
        result, seconds, first = stage(), [], monotonic()
        for index in range(self.repeats):
            began = monotonic()
            result = stage()
            seconds.append(monotonic() - began)
            self.reporter.step(Step(name, index + 1, self.repeats, monotonic() - first))
        self.speeds[name] = self.frames / median(seconds)
        return result


def _decoded(clip: Clip) -> list[Frame]:
    """Frames with their RGB worked out."""
    frames = list(islice(clip.frames(), FRAMES))
    for frame in frames:
        _ = frame.rgb
    return frames


def _detected(frames: list[Frame]) -> list[np.ndarray | None]:
    with FaceMesh() as mesh:
        return [mesh.detect(frame.rgb) for frame in frames]


def _fitted(clip: Clip, seen: list[np.ndarray | None]) -> Track:
    return track_landmarks(collected(seen), clip.width, clip.height, clip.fps)


def _person(clip: Clip, track: Track, model: MorphableModel) -> Person:
    """The prior showing this clip's face, its own frames as references."""
    prior = default_prior()
    windows = gather_windows(clip, track, model, np.flatnonzero(track.valid.numpy()))
    known = training_clip(windows, model, clip.path.stem)
    texture = prior.texture(known.colours, known.seen).eval()
    skin = skin_of(model, clip, track, np.flatnonzero(track.valid.numpy()), hidden=False)
    renderer = prior.renderer().eval()
    return Person(model, track.identity, renderer, texture, known.bank, skin)


def _conditions(person: Person, frames: list[Frame], track: Track) -> list[Conditions]:
    """What the network is shown, batch by batch."""
    chosen = choose_references(distances(person.model, person.bank, track.motion), 2)
    parts = []
    for i, frame in enumerate(frames):
        crop = track.crop(i)
        camera = crop.camera(track.camera)
        here = track.motion[i : i + 1]
        size = person.bank.images.shape[:-3:-1]
        left, top = window_corner(person.model, person.identity, here, camera, *size)[0]
        window = cut(crop_image(frame.rgb, crop), left, top, *size)
        image = torch.from_numpy(window.transpose(2, 0, 1).copy())[None].float() / 127.5 - 1
        seen_by = camera.cropped(left, top, 1.0, *size)
        pick = chosen[i : i + 1]
        parts.append(
            observe(person.model, person.identity, here, seen_by, image, person.bank, pick)
        )
    return [stacked(parts[i : i + BATCH]) for i in range(0, len(parts), BATCH)]


def _network(person: Person, conditions: list[Conditions]) -> None:
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
        f"{figures['frames']} frames of {figures['clip']}, median of {figures['repeats']}"
    ]
    lines += [
        f"{name:<15} {speed:8.1f} frames/s" for name, speed in figures["frames_a_second"].items()
    ]
    if figures["peak_rss_mb"]:
        lines.append(f"{'peak memory':<15} {figures['peak_rss_mb']:8.0f} MB")
    return "\n".join(lines)
