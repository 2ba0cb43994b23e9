"""What adaptation shows of itself: held-out frames rendered, measured, and put beside baselines."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from adapt.speaking_style import SpeakingStyle
from evaluate.benchmark import Shot, collect, figures, leak_of
from evaluate.metrics.lips import mouth_opening
from evaluate.report import write_report
from evaluate.sheet import contact_sheet, difference_row, spread_indices
from face3d.track import Track
from media.audio import silence
from media.clip import Clip
from media.frame import Frame
from prior.painting.composite import pasted
from prior.painting.grade import Grade, plate_grades
from prior.painting.person import Person, paint

SILENCE_RATE = 16000


def reenacted(
    person: Person,
    clip: Clip,
    track: Track,
    grades: tuple[Grade | None, ...],
    copying: bool = False,
) -> Iterator[Frame]:
    """The track's frames with their own mouth motion rendered through the person.

    `copying` pastes the nearest reference instead of the network's picture: the copying baseline.
    """
    frames = clip.frames(range(track.start, track.start + len(track)))
    for frame, painted in paint(person, frames, track, track.motion.mouth, grades, copying):
        yield frame if painted is None else pasted(frame, painted)


def silenced(track: Track, style: SpeakingStyle) -> Track:
    """The track with the mouth that the audio model shows when nobody speaks."""
    nothing = silence(len(track) / float(track.fps), SILENCE_RATE)
    heard = style.driver().mouth(nothing, track.fps, len(track))
    return replace(track, motion=track.motion.with_mouth(heard))


def compare(
    person: Person, style: SpeakingStyle, clip: Clip, track: Track
) -> tuple[Shot, dict[str, Any]]:
    """The person's reenactment of a track, measured beside the copying baseline.

    The other baseline, learning without the prior, costs a second adaptation: `evaluate` has it.
    """
    grades = plate_grades(person.model, person.identity, person.skin, clip, track)
    systems = {
        "redub": reenacted(person, clip, track, grades),
        "silent": reenacted(person, clip, silenced(track, style), grades),
        "nearest_frame": reenacted(person, clip, track, grades, copying=True),
    }
    frames = range(track.start, track.start + len(track))
    shot = collect(clip.frames(frames), track, person.model, systems)
    result = figures(shot, "redub", clip.fps, None)
    result["leak"] = leak_of(shot, "silent", clip.fps)
    nearest = figures(shot, "nearest_frame", clip.fps, None)
    result["baselines"] = {"nearest_frame": nearest, "no_prior": None}
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
