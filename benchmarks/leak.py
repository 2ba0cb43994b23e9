"""Whether the renderer could read the old line: its inputs against the mouth that was there.

    python -m benchmarks.leak --footage FOLDER [-o PAGE]

A person is known from the first seconds. In the seconds after, the plate's own mouth is replaced by
one that never moves, as if a dub said nothing; everything that the network is then shown (plate
outside the mask, masks, texture coordinates, references, the head as a dub places it) is asked how
far the original mouth was open.
"""

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

from adapt.actor import person_of
from adapt.lessons import kept_references, prepare_lessons
from adapt.takes import Take
from benchmarks.learning.subjects import Library
from core.errors import ToolkitError
from core.progress import Console
from core.serial import atomic_path
from evaluate.metrics.leakage import explained
from face3d.lips import mouth_opening
from face3d.mask import sweep_covering
from face3d.morphable import MorphableModel, default_model
from face3d.track import Identity, Track
from face3d.tracker import track_clip
from media.clip import Clip
from prior.painting.bank import choose_references, distances
from prior.painting.conditions import Conditions
from prior.painting.grade import Grade, plate_grades
from prior.painting.person import SHOWN, Person, cut_out, shot_window, shown
from prior.painting.renderer import default_prior
from prior.painting.track_registration import SPOKEN, registered_track

CLIPS = ("cnn_dfrf", "german_mt", "obama_st1", "andrew_st1", "ads_selfie2", "feifei_st1")
KNOWN_SECONDS, SECONDS = 2.0, 20.0
"""What a person is known from, and where after it the longest shot is read."""
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
    """Where tracks are kept."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write the table."""
    job = tyro.cli(Benchmark, description=__doc__, args=argv)
    torch.set_num_threads(1)
    library = Library(job.footage, job.work)
    try:
        rows = [(name, measured(library, name)) for name in CLIPS]
    except ToolkitError as error:
        print(f"leak: {error}", file=sys.stderr)
        return error.exit_code
    with atomic_path(job.output) as temporary:
        temporary.write_text(page(rows))
    print(page(rows))
    return 0


def measured(library: Library, name: str) -> dict[str, float]:
    """R² of the opening, read off the inputs, some of them alone, and off the whole picture."""
    clip, model = library.clip(name), default_model()
    first = round(KNOWN_SECONDS * clip.fps)
    stop = min(first + round(SECONDS * clip.fps), len(clip))
    known = tracked(clip, range(first), library.work / "leak" / f"{name}.known.safetensors")
    person = glimpsed(clip, known, model)
    path = library.work / "leak" / f"{name}.judged.safetensors"
    track = longest_shot(tracked(clip, range(first, stop), path, known.identity))
    frames = range(track.start, track.start + len(track))
    grades = plate_grades(model, person.identity, person.skin, clip, track)
    placed = registered_track(person, clip.frames(frames), track, grades, SPOKEN)
    read: dict[str, list[np.ndarray]] = {"inputs": [], "plate": [], "picture": []}
    for seen, image in observed(person, clip, placed, grades):
        references = seen.references.unbind(1)
        read["inputs"].append(pooled(seen.plate, seen.outer, seen.inner, seen.uv, *references))
        read["plate"].append(pooled(seen.plate))
        read["picture"].append(pooled(image))
    valid = track.valid.numpy()
    opening = mouth_opening(model, track.motion.mouth).numpy().astype(float)[valid]
    pose = torch.cat([placed.motion.rotation, placed.motion.translation], 1).numpy()[valid]
    read["pose"] = list(standardised(pose))
    gap = round(GAP_SECONDS * track.fps)
    found = {k: explained(np.stack(v).astype(float), opening, gap) for k, v in read.items()}
    return found | {"frames": int(valid.sum()), "spread_millimetres": float(opening.std())}


def tracked(clip: Clip, frames: range, path: Path, face: Identity | None = None) -> Track:
    if not path.exists():
        track_clip(clip, frames, identity=face, reporter=Console()).save(path)
    return Track.load(path)


def longest_shot(track: Track) -> Track:
    """A head sits elsewhere after a cut, which would count as movement."""
    inside = torch.nonzero(track.shot == track.shot.mode().values).flatten()
    return track[int(inside[0]) : int(inside[-1]) + 1]


def glimpsed(clip: Clip, track: Track, model: MorphableModel) -> Person:
    """Whom the prior makes of some seconds at a glance, without a step of learning."""
    take = Take(clip, range(track.start, track.start + len(track)))
    lessons, prior = prepare_lessons([take], [track], model), default_prior()
    texture = prior.texture(lessons.fit.colours, lessons.fit.seen).features.detach()
    windows = kept_references(lessons.fit.windows, model)
    return person_of(model, prior, prior.weights, texture, windows, lessons.skin)


def observed(
    person: Person, clip: Clip, track: Track, grades: tuple[Grade | None, ...]
) -> Iterator[tuple[Conditions, Float[Tensor, "1 3 H W"]]]:
    """What the network is shown of each valid frame while the mouth rests, and its window."""
    rest = track.motion.mouth.mean(0, keepdim=True).expand_as(track.motion.mouth)
    motion, sweep = track.motion.with_mouth(rest), sweep_covering(rest)
    chosen = choose_references(distances(person.model, person.bank, motion), SHOWN)
    windows = [shot_window(person, track, motion, shot) for shot in range(len(track.crops))]
    frames = clip.frames(range(track.start, track.start + len(track)))
    for i, frame in enumerate(frames):
        if not track.valid[i]:
            continue
        shot, group = int(track.shot[i]), [(i, frame)]
        seen = shown(person, group, track, motion, chosen, windows[shot], sweep, grades[shot])
        image, _, _ = cut_out(person, group, track, motion[i : i + 1], windows[shot])
        yield seen.conditions, image


def pooled(*planes: Float[Tensor, "1 C H W"]) -> np.ndarray:
    return avg_pool2d(torch.cat(planes, 1), POOL).flatten().numpy()


def standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(0)) / values.std(0)


def page(rows: Sequence[tuple[str, dict[str, float]]]) -> str:
    lines = [
        f"| {name} | {found['frames']} | {found['spread_millimetres']:.1f} | {found['inputs']:.3f} "
        f"| {found['plate']:.3f} | {found['pose']:.3f} | {found['picture']:.3f} |"
        for name, found in rows
    ]
    return "\n".join(
        [
            "# Leak\n",
            "    python -m benchmarks.leak --footage FOLDER\n",
            "The opening of the plate's own mouth, regressed (ridge, cross-validated over five "
            f"blocks of time, {GAP_SECONDS:g} s apart) on what the network is shown while the "
            "dub's mouth rests and its head is registered, by a person known at a glance from the "
            f"{KNOWN_SECONDS:g} s before. Asked: R² below 0.05; chance is 0 or below. *plate* is "
            "what is left of the plate alone, *pose* the head's pose alone, as the dub has it: "
            "both move with speech in the picture itself, and are kept on purpose; *picture* is "
            "the same reader on the window without a mask, to show that it can read.\n",
            "| clip | frames | opening's deviation, mm | network's inputs, R² | plate, R² | "
            "pose, R² | picture, R² |",
            "|---|---:|---:|---:|---:|---:|---:|",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
