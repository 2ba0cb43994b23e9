"""Whether the renderer could read the old line: its inputs against the mouth that was there.

    python -m benchmarks.leak --footage FOLDER [-o PAGE]

A plate's own mouth is replaced by one that never moves, as if a dub said nothing; everything that
the network is then shown (plate outside the mask, masks, texture coordinates, references) is asked
how far the original mouth was open.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from benchmarks.learning.subjects import Library
from core.errors import ToolkitError
from core.progress import Console
from core.serial import atomic_path, save_json
from evaluate.metrics.leakage import explained
from face3d.lips import mouth_opening
from face3d.mask import sweep_covering
from face3d.morphable import MorphableModel, default_model
from face3d.track import Track
from face3d.tracker import track_clip
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH, crop_image, cut, window_corner
from media.clip import Clip
from prior.painting.bank import ReferenceBank
from prior.painting.conditions import Conditions, observe

CLIPS = ("cnn_dfrf", "german_mt", "obama_st1", "andrew_st1", "ads_selfie2", "feifei_st1")
SECONDS = 8.0
POOL = 8
"""Inputs are averaged over blocks of so many pixels: a leak is larger than that, or noise."""
GAP_SECONDS = 0.4


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Read the original mouth's opening off the network's inputs."""

    footage: Path
    """Folder that holds the clips, or has them under clips/."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("benchmarks/leak.md")
    """The Markdown table."""
    work: Path = field(default_factory=lambda: Path.home() / ".cache" / "redub" / "curve")
    """Where tracks and findings are kept."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is missing and write the table."""
    job = tyro.cli(Benchmark, description=__doc__, args=argv)
    torch.set_num_threads(1)
    library = Library(job.footage, job.work)
    rows = []
    try:
        for name in CLIPS:
            kept = job.work / "leak" / f"{name}.json"
            if not kept.exists():
                save_json(kept, measured(library, name))
            rows.append((name, json.loads(kept.read_text())))
    except ToolkitError as error:
        print(f"leak: {error}", file=sys.stderr)
        return error.exit_code
    with atomic_path(job.output) as temporary:
        temporary.write_text(page(rows))
    print(page(rows))
    return 0


def measured(library: Library, name: str) -> dict[str, float]:
    """R² of the opening, read off the inputs, off the head's pose, and off the whole picture."""
    clip = library.clip(name)
    frames = range(min(len(clip), round(SECONDS * clip.fps)))
    path = library.work / "leak" / f"{name}.safetensors"
    if not path.exists():
        track_clip(clip, frames, reporter=Console()).save(path)
    track = Track.load(path)
    model = default_model()
    shown, whole = [], []
    for conditions, image in observed(clip, track, model):
        shown.append(pooled(conditions))
        whole.append(avg_pool2d(image, POOL).flatten().numpy())
    valid = track.valid.numpy()
    opening = mouth_opening(model, track.motion.mouth).numpy().astype(float)[valid]
    pose = torch.cat([track.motion.rotation, track.motion.translation], 1).numpy()[valid]
    gap = round(GAP_SECONDS * track.fps)
    read = {"inputs": shown, "picture": whole, "pose": standardised(pose)}
    found = {k: explained(np.stack(list(v)).astype(float), opening, gap) for k, v in read.items()}
    return found | {"frames": int(valid.sum()), "spread_millimetres": float(opening.std())}


def observed(
    clip: Clip, track: Track, model: MorphableModel
) -> Iterator[tuple[Conditions, Float[Tensor, "1 3 H W"]]]:
    """What the network is shown of each valid frame while the mouth rests, and its window."""
    size = WINDOW_WIDTH, WINDOW_HEIGHT
    rest = track.motion.mouth.mean(0, keepdim=True)
    sweep = sweep_covering(rest)
    bank = None
    for i, frame in enumerate(clip.frames(range(track.start, track.start + len(track)))):
        if not track.valid[i]:
            continue
        crop = track.crop(i)
        camera = crop.camera(track.camera)
        motion = track.motion[i : i + 1].with_mouth(rest)
        left, top = window_corner(model, track.identity, motion, camera, *size)[0]
        window = cut(crop_image(frame.rgb, crop), left, top, *size)
        pixels = torch.from_numpy(window.transpose(2, 0, 1).copy())[None]
        seen_by = camera.cropped(left, top, 1.0, *size)
        if bank is None:
            here = track.motion[i : i + 1]
            bank = ReferenceBank.of(
                model, track.identity, here, torch.tensor([i]), pixels, [seen_by]
            )
        image = pixels.float() / 127.5 - 1
        first = torch.zeros(1, 1, dtype=torch.int64)
        yield (
            observe(model, track.identity, motion, seen_by, image, bank, first, sweep),
            image,
        )


def pooled(seen: Conditions) -> np.ndarray:
    planes = [seen.plate, seen.outer, seen.inner, seen.uv, seen.references[:, 0]]
    return avg_pool2d(torch.cat(planes, 1), POOL).flatten().numpy()


def standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(0)) / values.std(0)


def page(rows: Sequence[tuple[str, dict[str, float]]]) -> str:
    lines = [
        f"| {name} | {found['frames']} | {found['spread_millimetres']:.1f} | {found['inputs']:.3f} "
        f"| {found['pose']:.3f} | {found['picture']:.3f} |"
        for name, found in rows
    ]
    return "\n".join(
        [
            "# Leak\n",
            "    python -m benchmarks.leak --footage FOLDER\n",
            "The opening of the plate's own mouth, regressed (ridge, cross-validated over five "
            f"blocks of time, {GAP_SECONDS:g} s apart) on what the network is shown while the "
            "dub's mouth rests. Asked: R² below 0.05; chance is 0 or below. *pose* is the head's "
            "pose alone, which a dub keeps on purpose; *picture* is the same reader on the window "
            "without a mask, to show that it can read.\n",
            "| clip | frames | opening's deviation, mm | network's inputs, R² | pose, R² | "
            "picture, R² |",
            "|---|---:|---:|---:|---:|---:|",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
