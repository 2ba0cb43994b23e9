"""What adaptation shows of itself: held-out frames rendered, measured, and put beside baselines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from evaluate.benchmark import Shot, collect, figures
from evaluate.metrics.lips import mouth_opening
from evaluate.report import write_report
from evaluate.sheet import contact_sheet, difference_row, spread_indices
from face3d.track import Track
from media.clip import Clip
from media.frame import Frame
from prior.composite import pasted
from prior.person import Person, paint


def reenacted(person: Person, clip: Clip, track: Track, copying: bool = False) -> Iterator[Frame]:
    """The track's frames with their own mouth motion rendered through the person.

    `copying` pastes the nearest reference instead of the network's picture: the copying baseline.
    """
    frames = clip.frames(range(track.start, track.start + len(track)))
    for frame, painted in paint(person, frames, track, track.motion.mouth, copying):
        yield frame if painted is None else pasted(frame, painted)


def compare(
    person: Person, clip: Clip, track: Track, unlearned: Person | None = None
) -> tuple[Shot, dict[str, Any]]:
    """The person's reenactment of a track, measured beside the baselines.

    `unlearned` is the same actor adapted without the prior, where one was made.
    """
    systems = {
        "redub": reenacted(person, clip, track),
        "nearest_frame": reenacted(person, clip, track, copying=True),
    }
    if unlearned is not None:
        systems["no_prior"] = reenacted(unlearned, clip, track)
    frames = range(track.start, track.start + len(track))
    shot = collect(clip.frames(frames), track, person.model, systems)
    result = figures(shot, "redub", clip.fps, None)
    result["baselines"] = {
        name: figures(shot, name, clip.fps, None) if name in systems else None
        for name in ("nearest_frame", "no_prior")
    }
    return shot, result


def comparison_sheet(shot: Shot, title: str, count: int = 8) -> UInt8[np.ndarray, "h w 3"]:
    """Truth, every system and its difference, on frames from the most shut to the widest mouth."""
    opening = mouth_opening(np.stack(shot.truth.landmarks))
    known = np.flatnonzero(shot.valid & np.isfinite(opening))
    order = known[np.argsort(opening[known])]
    pick = [int(order[i]) for i in spread_indices(len(order), count)]
    truth = [shot.truth.windows[i] for i in pick]
    rows = [("truth", truth)]
    for name, seen in shot.systems.items():
        made = [seen.windows[i] for i in pick]
        rows.append((name, made))
        if name == "redub":
            rows.append(difference_row(made, truth))
    columns = [f"frame {i}" for i in pick]
    return contact_sheet(rows, columns, cell_height=180, title=title)


def write_actor_report(
    folder: Path, name: str, result: dict[str, Any], shot: Shot, curves: dict[str, dict[str, list]]
) -> Path:
    """`report.html`, `report.json` and `contact.png` of an actor."""
    sheet = comparison_sheet(shot, f"{name}: held-out frames, closed to open")
    return write_report(folder, f"Actor {name}", result, {"contact": sheet}, curves)
