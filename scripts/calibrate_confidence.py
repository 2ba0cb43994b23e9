"""Learn what evidence says of a track's errors, from easy clips made hard by known operations.

    python scripts/calibrate_confidence.py --learn CLIP... --test CLIP... --work FOLDER

The track of the easy clip is the truth. What was measured of a clip is kept in the work folder, so
that an interrupted run goes on. The table is about the clips that nothing was learned from.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import InputError
from face3d.confidence import FEATURES, TOLERATED_PX256, Calibration, learned, logarithms
from face3d.evidence import Evidence
from face3d.morphable import default_model
from face3d.sighting import sight
from face3d.topology import LIPS
from face3d.track import FACE_PIXELS, Track, camera_vertices
from face3d.tracker import TrackerConfig, track_sighting
from media.clip import Clip
from scripts.hardships import HARDSHIPS, Hardship, hardened, height_of, write_pictures

SHIPPED = Path(__file__).parents[1] / "face3d" / "confidence.json"
FRAMES = 40
"""Frames of each clip: one swell of every hardship."""

LANDMARKS_ONLY = TrackerConfig(stage="landmarks")


@dataclass(frozen=True)
class Case:
    """Frames of one clip under one hardship that show a face: evidence and true errors (px256)."""

    clip: str
    hardship: str
    missed: float
    logarithms: np.ndarray
    error: np.ndarray


def lips_of(track: Track) -> np.ndarray:
    """Fitted lips [T L 2] in pixels of the clip."""
    vertices = camera_vertices(default_model(), track.identity, track.motion)[:, list(LIPS)]
    return track.camera.pixels_from_camera(vertices).numpy()


def cases(path: Path, work: Path) -> Iterator[Case]:
    """Every hardship of one clip's middle frames."""
    easy = Clip.open(path)
    start = max(0, (len(easy) - FRAMES) // 2)
    frames = range(start, min(len(easy), start + FRAMES))
    seen = sight(easy, frames)
    if not seen.landmarks.found.all():
        raise InputError(f"{path} loses the face before it is made hard; choose another clip.")
    points = np.concatenate([seen.landmarks.xy, seen.landmarks.depth[..., None]], -1)
    truth = track_sighting(easy, seen, config=LANDMARKS_ONLY)
    tall = float(np.median([height_of(frame) for frame in points]))
    for hardship in HARDSHIPS:
        hard = work / f"{path.stem}.mp4"
        pictures = (frame.rgb for frame in easy.frames(frames))
        write_pictures(hard, hardened(pictures, points, hardship), easy.fps, hardship.crf)
        place = hardship.placed(tall, (easy.width, easy.height))
        try:
            yield _case(path.stem, hardship, Clip.open(hard), truth, place, tall)
        except InputError:
            yield Case(path.stem, hardship.name, 1.0, np.empty((0, 3)), np.empty(0))
        hard.unlink()


def _case(
    name: str, hardship: Hardship, clip: Clip, truth: Track, place: np.ndarray, tall: float
) -> Case:
    seen = sight(clip, range(len(clip)))
    track = track_sighting(clip, seen, config=LANDMARKS_ONLY, identity=truth.identity)
    right = lips_of(truth) @ place[:, :2].T + place[:, 2]
    error = np.linalg.norm(lips_of(track) - right, axis=-1).mean(1)
    error = error * FACE_PIXELS / (tall * place[0, 0])
    found = seen.landmarks.found
    assert seen.evidence is not None
    evidence = logarithms(seen.evidence)[found]
    return Case(name, hardship.name, 1 - float(found.mean()), evidence, error[found])


def table(judged: list[tuple[Case, np.ndarray]], threshold: float) -> str:
    """How errors and confidence go together, by hardship and by confidence."""
    lines = [
        "| hardship | not found | mean error | confidence | rejected | error kept | rejected |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(case.hardship for case, _ in judged):
        mine = [(case, sure) for case, sure in judged if case.hardship == name]
        error = np.concatenate([case.error for case, _ in mine])
        sure = np.concatenate([sure for _, sure in mine])
        missed = np.mean([case.missed for case, _ in mine])
        lines.append(f"| {name} | {missed:.0%} | {error.mean():.2f} | {sure.mean():.2f} | "
                     f"{(sure < threshold).mean():.0%} | {_mean(error[sure >= threshold])} | "
                     f"{_mean(error[sure < threshold])} |")  # fmt: skip
    error = np.concatenate([case.error for case, _ in judged])
    sure = np.concatenate([sure for _, sure in judged])
    right = error < TOLERATED_PX256
    lines += ["", "| confidence | frames | said to be right | right |", "|---|---|---|---|"]
    for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        these = (sure >= low) & (sure < high)
        if these.any():
            lines.append(f"| {low} to {min(high, 1)} | {these.sum()} | {sure[these].mean():.2f} | "
                         f"{right[these].mean():.2f} |")  # fmt: skip
    rejected = sure < threshold
    order = (sure[right][:, None] > sure[~right][None]).mean()
    lines += [
        "",
        f"Below {threshold}: {rejected[error > 6].mean():.0%} of the frames more than 6 px256 off, "
        f"{rejected[~right].mean():.0%} of those more than {TOLERATED_PX256:.0f} off, "
        f"{rejected[right].mean():.1%} of the right ones. A right frame is trusted more than a "
        f"wrong one in {order:.1%} of pairs.",
    ]
    return "\n".join(lines)


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.2f}" if len(values) else ""


def calibrated(cases: list[Case]) -> Calibration:
    right = np.concatenate([case.error < TOLERATED_PX256 for case in cases])
    return learned(np.concatenate([case.logarithms for case in cases]), right.astype(float))


def judged_by(calibration: Calibration, case: Case) -> np.ndarray:
    columns = np.exp(case.logarithms).T
    return calibration.confidence(Evidence(*columns))


def collected(paths: list[Path], work: Path) -> list[Case]:
    """The cases of all clips, measured or kept from before."""
    found: list[Case] = []
    for path in paths:
        kept = work / f"{path.stem}.json"
        if not kept.exists():
            rows = [
                vars(case) | {"logarithms": case.logarithms.tolist(), "error": case.error.tolist()}
                for case in cases(path, work)
            ]
            kept.write_text(json.dumps(rows))
        for row in json.loads(kept.read_text()):
            logs = np.array(row["logarithms"]).reshape(-1, len(FEATURES))
            found.append(Case(**row | {"logarithms": logs, "error": np.array(row["error"])}))
            print(f"{found[-1].clip} {found[-1].hardship}: {_mean(found[-1].error)} px256")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn and test the confidence of tracks.")
    parser.add_argument("--learn", nargs="+", type=Path, required=True)
    parser.add_argument("--test", nargs="+", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    lessons = collected(asked.learn, asked.work)
    calibration = calibrated(lessons)
    frames = sum(len(case.error) for case in lessons)
    calibration.save(SHIPPED, {"clips": [path.stem for path in asked.learn], "frames": frames})
    judged = [(case, judged_by(calibration, case)) for case in collected(asked.test, asked.work)]
    print(table(judged, TrackerConfig().min_confidence))


if __name__ == "__main__":
    main()
