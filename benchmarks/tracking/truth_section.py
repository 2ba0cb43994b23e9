"""Section: trackers on computed performers."""

from collections.abc import Mapping

import numpy as np

from benchmarks.tracking.findings import (
    STAGES,
    Finding,
    Tracker,
    landmarker,
    ours,
    perspective_fit,
    timed,
)
from benchmarks.tracking.known_truth import Errors, errors, mean_turn, px256
from benchmarks.tracking.performers import Performer, performer
from benchmarks.tracking.table import figure, table
from benchmarks.tracking.workplace import Workplace
from evaluate.metrics.known import known_mean
from face3d.landmarks import detect_landmarks
from face3d.models.shelf import open_face_model
from face3d.tracker import face_height
from media.clip import Clip
from scripts.acting.cast import CAST

HEADINGS = (
    "", "rotation mean °", "worst °", "one turn for all °", "pitch ×", "yaw ×",
    "lips mean px256", "p95",
    "moving part", "lens ×", "opening corr", "jitter ×", "frames/s", "frames/CPU-s",
)  # fmt: skip


def section(place: Workplace) -> str:
    """The table of every performer and of their means."""
    cast = [
        performer(role, place.ict, place.clip(role.driver), place.work, place.reporter)
        for role in CAST
    ]
    findings = {name: [found(place, name, actor) for actor in cast] for name in systems(place)}
    heights = [height(place, actor) for actor in cast]
    judged = {
        name: [
            errors(finding, actor.truth, px256(tall))
            for finding, actor, tall in zip(of, cast, heights, strict=True)
        ]
        for name, of in findings.items()
    }
    parts = [INTRODUCTION, "### All", table(HEADINGS, mean_rows(findings, judged))]
    for index, (role, actor, tall) in enumerate(zip(CAST, cast, heights, strict=True)):
        lens = f"Lens of {role.focal_per_side} sides, turns to {max(role.reach_degrees)}°, face "
        lens += f"{tall:.0f} px high."
        rows = [
            row(name, [of[index]], [judged[name][index]], common(judged[name]))
            for name, of in findings.items()
        ]
        parts += [f"### {actor.name}", lens, table(HEADINGS, rows)]
    return "\n\n".join(parts)


INTRODUCTION = """## Known truth

Performers computed from ICT-FaceKit: 100 frames at 25 fps, 512 × 512, H.264 at CRF 20, with sensor
noise; their mouths move as tracked mouths of real clips did, retargeted by least squares. A head's
rotation is known up to one constant turn between the two models' axes: it is taken off per clip,
or (third column) once for all performers of a row, so that errors which differ between faces and
lenses count. Lips are MediaPipe's 40 points against the skin points of the performer at which
calibration stills show them; the moving part is what is left when each point's constant error over
the clip is taken off. Pitch and yaw are slopes of found against true angles; lens and jitter (the
lips' mean second difference) are shares of the truth's.
`landmarks` and `photometric` are our stages. Peers: `mediapipe` is its landmarker (v2) with the
transformation that it gives itself; `solvePnP` fits MediaPipe's canonical face to the landmarks
that our stage starts from, through the *true* lens; its lips are those raw landmarks."""


def systems(place: Workplace) -> Mapping[str, Tracker]:
    """Every row's tracker. The peers' names begin lower down the table."""
    return {
        **{name: ours(config) for name, config in STAGES.items()},
        "landmarks, ICT model": ours(STAGES["landmarks"], open_face_model(str(place.ict)).model),
        "solvePnP": perspective_fit(place.material("models", "mp_canonical_face_model.obj")),
        "mediapipe": landmarker(
            place.material("models", "mp_face_landmarker_v2_with_blendshapes.task")
        ),
    }


PEERS = ("solvePnP", "mediapipe")


def found(place: Workplace, system: str, actor: Performer) -> Finding:
    """A system's finding, from its file if it is there and of this version of the tracker."""
    version = "peer" if system in PEERS else place.version
    kept = actor.clip.parent / f"{system.replace(' ', '_')}.{version}.npz"
    if not kept.exists():
        place.reporter.say(f"{system} on {actor.name}")
        timed(systems(place)[system], Clip.open(actor.clip), actor.truth.camera).save(kept)
    return Finding.load(kept)


def height(place: Workplace, actor: Performer) -> float:
    """The face's height in pixels, as detected."""
    kept = actor.clip.parent / "height.txt"
    if not kept.exists():
        seen = detect_landmarks(frame.rgb for frame in Clip.open(actor.clip).frames())
        kept.write_text(str(face_height(seen)))
    return float(kept.read_text())


def common(of: list[Errors]) -> np.ndarray:
    """The one turn between true and found axes that suits all performers best."""
    return mean_turn(np.concatenate([each.apart for each in of]))


def mean_rows(
    findings: Mapping[str, list[Finding]], judged: Mapping[str, list[Errors]]
) -> list[list[str]]:
    return [row(name, of, judged[name], common(judged[name])) for name, of in findings.items()]


def row(name: str, of: list[Finding], judged: list[Errors], turn: np.ndarray) -> list[str]:
    """Means over performers; the worst frame and the 95th percentile are of all frames."""
    turned = np.concatenate([each.turned for each in judged])
    lips = np.concatenate([each.lips for each in judged])
    frames = sum(len(finding.valid) for finding in of)
    wall, cpu = (sum(getattr(finding, name) for finding in of) for name in ("wall", "cpu"))
    return [
        name,
        figure(known_mean(turned)),
        figure(float(np.nanmax(turned))),
        figure(known_mean(np.concatenate([each.turned_from(turn) for each in judged]))),
        *(figure(known_mean(np.array([each.gain[axis] for each in judged]))) for axis in (0, 1)),
        figure(known_mean(lips.ravel())),
        figure(float(np.nanpercentile(lips, 95))),
        figure(known_mean(np.array([each.moving for each in judged]))),
        figure(known_mean(np.array([each.focal_ratio for each in judged]))),
        figure(known_mean(np.array([each.opening_corr for each in judged])), 3),
        figure(known_mean(np.array([each.jitter_ratio for each in judged]))),
        figure(frames / wall, 0),
        figure(frames / cpu, 0),
    ]
