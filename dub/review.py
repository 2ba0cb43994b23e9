"""`redub review`: a dubbed shot beside its plate on one page, and where to look first."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from core.errors import InputError, QualityError
from core.progress import Reporter, reported
from core.serial import atomic_path, check_schema
from dub.review_page import Check, Finding, page
from dub.sidecar import SCHEMA, file_hash, runs, sidecar_path
from evaluate.benchmark import collect, sync_of
from evaluate.metrics.lips import mouth_opening, opening_corr
from face3d.morphable import default_model
from face3d.track import Track
from face3d.tracker import TrackerConfig, track_clip
from face3d.view import crop_image
from media.audio import Audio, load_audio
from media.clip import Clip
from media.preview import fitted, write_preview

LONGEST_SIDE = 960
"""Pixels of the page's picture; its face is shown from the shot's own pixels."""

FACE_SIDE = 480

LATE_FRAMES = 1.0
"""Sound and lips may be this far apart; broadcasters send a shot back at two frames."""

FOLLOWS = 0.7
"""Correlation with the opening that was asked for, below which a mouth does not speak the line."""

UNSURE = 0.5
"""Confidence below which a frame is worth a look."""

AS_DIRECTED = ("kept", "no speech")
"""Reasons for which a frame stays the plate's because it is to."""

ASTRAY = 2.5
"""Deviations by which a mouth is open otherwise than asked to be worth a look."""


@dataclass(frozen=True)
class Review:
    """What to show. The plate is looked for beside the dub and in this folder unless told."""

    output: Path
    plate: Path | None = None
    page: Path | None = None
    strict: bool = False


@dataclass(frozen=True)
class Openings:
    """How far the mouth is open a frame: as seen in plate and dub (eye distances), as asked (mm,
    NaN where nothing was)."""

    plate: Float[np.ndarray, " T"]
    dub: Float[np.ndarray, " T"]
    asked: Float[np.ndarray, " T"]


def review_shot(job: Review, reporter: Reporter) -> dict[str, Any]:
    """Write the page; returns where it lies and what the checks found.

    Raises InputError where sidecar or plate are missing or not the dub's, QualityError under
    `strict` when a check fails; the page is there by then.
    """
    document = sidecar_of(job.output)
    made, plate = Clip.open(job.output), Clip.open(plate_of(job, document))
    frames = range(*document["range"])
    if len(made) != len(frames):
        raise InputError(
            f"{job.output} holds {len(made)} frames and its sidecar tells of {len(frames)}: it was "
            "changed since redub wrote it; dub the shot again."
        )
    settings = TrackerConfig(stage="landmarks")
    track = track_clip(plate, frames, config=settings, reporter=reporter)
    pictures = reported(plate.frames(frames), reporter, "look", len(frames))
    shot = collect(pictures, track, default_model(), {"dub": made.frames()}, own_pixels=False)
    seen = {"plate": shot.truth, "dub": shot.systems["dub"]}
    before, after = (mouth_opening(np.stack(one.landmarks)) for one in seen.values())
    openings = Openings(before, after, asked_openings(document))
    sound = load_audio(job.output).section(0, made.seconds) if made.has_audio else None
    checks = checked(document, made, plate, openings, np.stack(seen["dub"].landmarks), sound)
    findings = worth_a_look(document, openings)
    target = job.page or job.output.with_name(job.output.name + ".review.html")
    with tempfile.TemporaryDirectory() as folder:
        views = {}
        for name, pairs in (
            ("frame", whole_frames(plate, made, frames)),
            ("face", faces(plate, made, frames, track)),
        ):
            video = Path(folder) / f"{name}.mp4"
            write_preview(video, reported(pairs, reporter, name, len(frames)), made.fps, sound)
            views[name] = video.read_bytes()
    text = page(job.output.name, views, made.fps, checks, findings, vars(openings), sound)
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    failed = [check for check in checks if not check.passed]
    if job.strict and failed:
        raise QualityError(
            f"{job.output} fails {len(failed)} of {len(checks)} checks "
            f"({'; '.join(f'{c.name}: {c.found}, asked {c.rule}' for c in failed)}); see {target}."
        )
    return {
        "page": str(target),
        "checks": [vars(check) for check in checks],
        "worth_a_look": [vars(finding) for finding in findings],
    }


def printed(found: dict[str, Any]) -> str:
    """The checks in words, and where the page lies."""
    marks = {True: "passed", False: "LOOK"}
    lines = [
        f"{marks[check['passed']]:>6}  {check['name']}: {check['found']} (asked: {check['rule']})"
        for check in found["checks"]
    ]
    return "\n".join([*lines, found["page"]])


def sidecar_of(output: Path) -> dict[str, Any]:
    """What was written beside a dub. Raises InputError where there is nothing."""
    path = sidecar_path(output)
    if not path.exists():
        raise InputError(
            f"{path} does not exist, and without it nobody knows what was done to {output.name}; "
            "review a file that `redub dub` wrote, with its sidecar beside it."
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); dub the shot again.") from error
    check_schema(path, document, SCHEMA)
    return document


def plate_of(job: Review, document: dict[str, Any]) -> Path:
    """The plate that was dubbed, known by its bytes. Raises InputError where it is not found."""
    name, digest = document["plate"]["file"], document["plate"]["sha256"]
    places = [job.plate] if job.plate else [job.output.parent / name, Path(name)]
    for path in places:
        if path.is_file() and file_hash(path) == digest:
            return path
    where = f"{job.plate} is not" if job.plate else f"{places[0]} does not exist or is not"
    raise InputError(f"{where} the plate {name} that was dubbed; give it with --plate.")


def asked_openings(document: dict[str, Any]) -> Float[np.ndarray, " T"]:
    """What the line asked for; NaN where the plate's own frames stand."""
    asked = np.array(document["intent_opening_millimetres"], float)
    first = document["range"][0]
    for run in document["passed_through"]:
        asked[run["start"] - first : run["stop"] - first] = np.nan
    return asked


def checked(
    document: dict[str, Any],
    made: Clip,
    plate: Clip,
    openings: Openings,
    landmarks: Float[np.ndarray, "T 478 2"],
    sound: Audio | None,
) -> list[Check]:
    """What a quality control would hold the shot against."""
    follows = opening_corr(openings.dub, openings.asked)
    lost = sum(
        run["stop"] - run["start"]
        for run in document["passed_through"]
        if run["reason"] not in AS_DIRECTED
    )
    checks = [
        Check("frame rate", f"{made.fps}", f"the plate's, {plate.fps}", made.fps == plate.fps),
        Check("size", f"{made.width} x {made.height}", "the plate's",
              (made.width, made.height) == (plate.width, plate.height)),
        Check("frames that could not be painted", str(lost), "none", lost == 0),
        Check("mouth follows the line", f"{follows:.2f}", f"at least {FOLLOWS}",
              follows >= FOLLOWS),
    ]  # fmt: skip
    if sound is not None and document["speech"] is not None:
        offset = sync_of(landmarks, made.fps, sound)["offset_frames"]
        found = "not told" if np.isnan(offset) else f"{offset:+.1f} frames"
        sure = not np.isnan(offset)
        rule = f"within {LATE_FRAMES:g} frame"
        checks.append(Check("sound late by", found, rule, sure and abs(offset) <= LATE_FRAMES))
    return checks


def worth_a_look(document: dict[str, Any], openings: Openings) -> list[Finding]:
    """Ranges of the output, in its own frames, and why; in order of time."""
    first = document["range"][0]
    found = [
        Finding(run["start"] - first, run["stop"] - first, f"passed through: {run['reason']}")
        for run in document["passed_through"]
    ]
    unsure = np.array(document["confidence"]) < UNSURE
    unsure &= np.isfinite(openings.asked)
    found += labelled(unsure, "the track is not sure")
    found += labelled(astray(openings), "open otherwise than the line asks")
    return sorted(found, key=lambda finding: finding.start)


def astray(openings: Openings) -> np.ndarray:
    """Frames whose mouth is far from what the line asked for, once scale and rest are matched."""
    known = np.isfinite(openings.dub) & np.isfinite(openings.asked)
    result = np.zeros(len(known), bool)
    if known.sum() > 3:
        line = np.polyfit(openings.asked[known], openings.dub[known], 1)
        apart = openings.dub[known] - np.polyval(line, openings.asked[known])
        result[known] = np.abs(apart) > ASTRAY * max(apart.std(), 1e-6)
    return result


def labelled(flags: np.ndarray, why: str) -> list[Finding]:
    return [Finding(run["start"], run["stop"], why) for run in runs(np.where(flags, why, ""), 0)]


def whole_frames(plate: Clip, made: Clip, frames: range) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Plate above dub, so that a browser shows both of the same frame."""
    for before, after in zip(plate.frames(frames), made.frames(), strict=True):
        yield np.concatenate([fitted(shown.rgb, LONGEST_SIDE) for shown in (before, after)])


def faces(
    plate: Clip, made: Clip, frames: range, track: Track
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """The same of the square that each shot's face stays in."""
    for index, (before, after) in enumerate(zip(plate.frames(frames), made.frames(), strict=True)):
        square = replace(track.crop(index), pixels=FACE_SIDE)
        yield np.concatenate([crop_image(shown.rgb, square) for shown in (before, after)])
