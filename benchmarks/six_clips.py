"""Six shots of real people: each actor learned from seconds, judged on seconds it has not seen.

    python benchmarks/six_clips.py --footage FOLDER [--budget 3m] [-o TABLE] [--dub]

Actors, figures and contact sheets stay in --work, outside the repository; what is there is not
computed again. With --dub every actor also speaks a strange line and the sound of another clip.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import av
import numpy as np
import torch
import tyro

from core.errors import InputError, ToolkitError
from core.progress import Silent
from core.serial import atomic_path, save_json
from dub.direction import Direction
from dub.evaluation import load_actor
from dub.performance import Said, speaking
from dub.shot import tracked
from dub.sidecar import sidecar_path
from evaluate.benchmark import collect
from evaluate.metrics.lips import mouth_opening, opening_corr
from evaluate.report import METRICS, plain, printed
from face3d.lips import mouth_opening as intended_opening
from face3d.morphable import default_model
from media.audio import load_audio
from media.clip import Clip
from media.timeline import parse_range
from prior.painting.grade import plate_grades
from prior.painting.renderer import default_prior
from prior.painting.track_registration import SPOKEN, registered_track


@dataclass(frozen=True)
class Case:
    """An actor learned from `learn` seconds of `clip`, judged on `judge` seconds of `plate`."""

    name: str
    clip: str
    learn: str
    plate: str
    judge: str


CASES = (
    Case("aoc_sad", "aoc_sad", "0s:4s", "aoc_sad", "4s:8s"),
    Case("cnn_dfrf", "cnn_dfrf", "0s:4s", "cnn_dfrf", "4s:24s"),
    Case("german_mt", "german_mt", "0s:10s", "german_mt", "10s:20s"),
    Case("mead_W036", "mead_W036", "0:38", "mead_W036", "38:76"),
    Case("mead_M026", "mead_M026", "0:59", "mead_M026", "59:118"),
    Case("obama_b to obama_c", "obama_st1", "0s:20s", "obama_st2", "0s:8s"),
)
SYSTEMS = ("redub", "nearest_frame", "no_prior")
COLUMNS = (
    *((area, name) for area in ("lower_face", "mouth")
      for name in ("psnr", "ssim", "gmsd", "sharpness_ratio")),
    ("landmarks", "lmd_px256"),
    ("landmarks", "opening_corr"),
    (None, "seam_ratio"),
    (None, "flicker_ratio"),
    (None, "outside_max_diff"),
)  # fmt: skip
HEADINGS = (
    "PSNR | SSIM | GMSD | sharp | mouth PSNR | SSIM | GMSD | sharp | "
    "LMD px256 | opening corr | seam | flicker | outside"
)
LINE = "jfk.flac"
REDUB = Path(sys.executable).with_name("redub")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Adapt to six shots, measure each on unseen seconds, and write the table."""

    footage: Path
    """Folder that holds the clips, or has them under clips/ and lines under speech/."""
    budget: str = "3m"
    """Wall-clock time of each adaptation."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("benchmarks/six_clips.md")
    """The Markdown table."""
    work: Path = field(default_factory=lambda: Path.home() / ".cache" / "redub" / "six_clips")
    """Where actors, figures and sheets are kept."""
    only: tuple[str, ...] = ()
    """Names of clips to take; all unless told."""
    note: str = ""
    """What to know of the machine and the run, printed under the introduction."""
    dub: bool = False
    """Also dub every actor with a line and with another clip's sound, and check the files."""

    def clip(self, name: str) -> Path:
        """A clip's path. Raises InputError where the footage lacks it."""
        for path in (self.footage / f"{name}.mp4", self.footage / "clips" / f"{name}.mp4"):
            if path.exists():
                return path
        raise InputError(f"{self.footage} holds no {name}.mp4; give the folder that does.")

    def line(self) -> Path:
        """The strange line."""
        folders = (self.footage / "speech", self.footage.parent / "speech", self.footage)
        for folder in folders:
            if (folder / LINE).exists():
                return folder / LINE
        raise InputError(f"{LINE} lies in none of {', '.join(map(str, folders))}; put it there.")

    def actor(self, case: Case) -> Path:
        return self.work / f"{case.clip}.{self.budget}.actor"


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing and write the tables."""
    job = tyro.cli(
        Benchmark, description=__doc__, args=argv, config=(tyro.conf.FlagCreatePairsOff,)
    )
    try:
        cases = [case for case in CASES if not job.only or case.clip in job.only]
        results = {case: measured(job, case) for case in cases}
        sections = [summary(results), *(section(job, c, r) for c, r in results.items())]
        sections.append(large(results))
        if job.dub:
            sections.append(dubs(job, cases))
    except ToolkitError as error:
        print(f"six_clips: {error}", file=sys.stderr)
        return error.exit_code
    with atomic_path(job.output) as temporary:
        temporary.write_text("\n\n".join([introduction(job), *sections]) + "\n")
    print(job.output)
    return 0


def commands(job: Benchmark, case: Case) -> tuple[list[str], list[str]]:
    """Arguments of `redub` that adapt and that evaluate, results in the work folder."""
    actor = str(job.actor(case))
    adapt = ["adapt", "--actor", str(job.clip(case.clip)), "--range", case.learn]
    adapt += ["--budget", job.budget, "--baseline", "-o", actor]
    judge = ["evaluate", "--actor", actor, "--plate", str(job.clip(case.plate))]
    judge += ["--range", case.judge, "--json", f"{actor}.json", "--sheet", f"{actor}.png"]
    return adapt, judge


def measured(job: Benchmark, case: Case) -> dict[str, Any]:
    """Figures of one case, from its file if it is there."""
    kept = Path(f"{job.actor(case)}.json")
    if not kept.exists():
        adapt, judge = commands(job, case)
        began = monotonic()
        run(adapt)
        adapted = monotonic()
        run(judge)
        seconds = {"adapt_both": adapted - began, "evaluate": monotonic() - adapted}
        save_json(kept, json.loads(kept.read_text()) | {"seconds": seconds})
    return json.loads(kept.read_text())


def run(arguments: list[str]) -> None:
    """One redub command; its failure is ours. Raises InputError."""
    print("redub", " ".join(arguments), file=sys.stderr)
    done = subprocess.run([str(REDUB), *arguments], stdout=subprocess.DEVNULL)
    if done.returncode:
        raise InputError(f"redub {arguments[0]} ended with exit code {done.returncode}; see above.")


def introduction(job: Benchmark) -> str:
    return (
        "# Six clips\n\n"
        f"Each actor is learned from the seconds named, within {job.budget} for everything "
        "(tracking, learning, report) on CPU, and reenacted on seconds it has not seen: the "
        "plate's own tracked mouth drives, registered to what each system paints itself; the "
        "plate's pictures are the truth. `nearest_frame` "
        "pastes the nearest reference; `no_prior` learns within the same time from the footage "
        "alone. Figures are taken before encoding, in face crops with the face 192 px high; the "
        "first four columns are the lower face.\n\n"
        f"    python benchmarks/six_clips.py --footage FOLDER --budget {job.budget}"
        f"{' --dub' if job.dub else ''}" + (f"\n\n{job.note}" if job.note else "")
    )


def summary(results: dict[Case, dict[str, Any]]) -> str:
    """Means over the cases that have all systems."""
    rows = [
        row(name, [mean([value(system(r, name), c) for r in results.values()]) for c in COLUMNS])
        for name in SYSTEMS
    ]
    return table(f"Means of {len(results)} shots", "", [*rows, truth_row()])


def section(job: Benchmark, case: Case, result: dict[str, Any]) -> str:
    """One case's table, and how it came about."""
    rows = [row(name, [value(system(result, name), c) for c in COLUMNS]) for name in SYSTEMS]
    path = job.clip(case.plate)
    seen = {clip["source"] for clip in default_prior().about.get("clips", [])}
    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context.name
    clip = Clip.open(path)
    learned = len(frames(Clip.open(job.clip(case.clip)), case.learn))
    report = json.loads((job.actor(case) / "report" / "report.json").read_text())
    known = "has" if f"{case.clip}.mp4" in seen else "has not"
    seconds = result["seconds"]
    about = (
        f"{codec} {clip.pix_fmt}, {clip.width} x {clip.height} at {clip.fps} fps; learned from "
        f"{learned} frames ({case.learn} of {case.clip}), judged on {result['frames']} "
        f"({case.judge} of {case.plate}). The prior {known} seen this clip. "
        f"{report['steps']} steps; {seconds['adapt_both']:.0f} s to adapt (what stood in "
        "the work folder was not learned again), "
        f"{seconds['evaluate']:.0f} s to measure; silent sound: {shown(result['leak'], 'leak')} of "
        f"frames judged speaking."
    )
    return table(case.name, about, [*rows, truth_row()])


OWN_PIXELS = tuple(
    (f"{area}_own_pixels", name)
    for area in ("lower_face", "mouth")
    for name in ("psnr", "ssim", "gmsd", "sharpness_ratio")
)


def large(results: dict[Case, dict[str, Any]]) -> str:
    """Shots whose faces are much larger than the crops they are painted in, in their own pixels."""
    lines = [
        "## In the plate's own pixels",
        "",
        "Shots whose faces are at least 1.5 times as high as in the crops above: what a viewer of "
        "the full picture sees.",
        "",
        "| shot | | PSNR | SSIM | GMSD | sharp | mouth PSNR | SSIM | GMSD | sharp |",
        "|---|---" + "|---:" * len(OWN_PIXELS) + "|",
    ]
    for case, result in results.items():
        for name in SYSTEMS:
            values = [value(system(result, name), column) for column in OWN_PIXELS]
            if all(v is not None for v in values):
                cells = [
                    shown(v, metric) for v, (_, metric) in zip(values, OWN_PIXELS, strict=True)
                ]
                lines.append(f"| {case.name} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def frames(clip: Clip, text: str) -> range:
    return parse_range(text, clip.fps, len(clip), clip.timecode)


def system(result: dict[str, Any], name: str) -> dict[str, Any]:
    return result if name == "redub" else result["baselines"].get(name) or {}


def value(figures: dict[str, Any], column: tuple[str | None, str]) -> float | None:
    group, name = column
    holder = figures if group is None else figures.get(group) or {}
    return holder.get(name)


def mean(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None and isfinite(v)]
    return float(np.mean(known)) if len(known) == len(values) and known else None


def row(name: str, values: list[float | None]) -> str:
    cells = [shown(v, metric) for v, (_, metric) in zip(values, COLUMNS, strict=True)]
    return f"| {name} | " + " | ".join(cells) + " |"


def truth_row() -> str:
    return row("truth", [METRICS[name].truth for _, name in COLUMNS])


def shown(number: float | None, metric: str) -> str:
    return printed(number, METRICS[metric].digits)


def table(title: str, about: str, rows: list[str]) -> str:
    head = f"| | {HEADINGS} |\n|---" + "|---:" * len(COLUMNS) + "|"
    return "\n".join(
        part for part in (f"## {title}\n", about and f"{about}\n", head, *rows) if part
    )


def dubs(job: Benchmark, cases: list[Case]) -> str:
    """Every actor with a strange line and with the next clip's sound, checked in the files."""
    lines = [
        "## Dubs",
        "",
        "Written as FFV1 and read back. Outside: largest difference from the plate outside the "
        "matte, in code values. Intent: correlation of the mouth's opening, detected afresh in the "
        "file, with the opening that the audio model asked for; `plate` is the same for the plate "
        "itself.",
        "",
        "| plate | sound | frames in, out | rates equal | outside | intent | plate | seconds |",
        "|---|---|---:|---|---:|---:|---:|---:|",
    ]
    for case in cases:
        other = CASES[(CASES.index(case) + 1) % len(CASES)].clip
        for sound in (job.line(), job.clip(other)):
            lines.append(dub_row(job, case, sound))
    return "\n".join(lines)


def dub_row(job: Benchmark, case: Case, sound: Path) -> str:
    kept = job.work / f"{case.clip}.{job.budget}.{sound.stem}.json"
    if not kept.exists():
        save_json(kept, plain(dubbed(job, case, sound)))
    found = json.loads(kept.read_text())
    cells = (
        f"{case.plate} {case.judge}",
        sound.name,
        f"{found['frames_in']}, {found['frames_out']}",
        "yes" if found["rates_equal"] else "NO",
        shown(found["outside"], "outside_max_diff"),
        shown(found["intent_corr"], "opening_corr"),
        shown(found["plate_corr"], "opening_corr"),
        f"{found['seconds']:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def dubbed(job: Benchmark, case: Case, sound: Path) -> dict[str, Any]:
    """Dub one shot and hold the file against the plate."""
    plate = job.clip(case.plate)
    out = job.work / f"{case.clip}.{job.budget}.{sound.stem}.mkv"
    began = monotonic()
    run(["dub", "--actor", str(job.actor(case)), "--plate", str(plate), "--range", case.judge,
         "--speech", str(sound), "-o", str(out)])  # fmt: skip
    seconds = monotonic() - began
    clip, made = Clip.open(plate), Clip.open(out)
    shot_frames = frames(clip, case.judge)
    actor, prior = load_actor(job.actor(case))
    person = actor.person(default_model(), prior)
    track = tracked(clip, shot_frames, actor.identity, Silent())
    grades = plate_grades(person.model, person.identity, person.skin, clip, track)
    track = registered_track(person, clip.frames(shot_frames), track, grades, SPOKEN)
    speech = load_audio(sound)
    performance = speaking(track, Said(speech), actor.style.driver(), Direction())
    painted = torch.from_numpy(performance.painted)
    driven = replace(
        track, motion=track.motion.with_mouth(performance.mouth), valid=track.valid & painted
    )
    systems = {"dub": made.frames()}
    shot = collect(clip.frames(shot_frames), driven, default_model(), systems, own_pixels=False)
    meant = intended_opening(default_model(), performance.intent).numpy().astype(float)
    meant[performance.share < 1] = np.nan
    corr = [
        opening_corr(mouth_opening(np.stack(seen.landmarks)), meant)
        for seen in (shot.systems["dub"], shot.truth)
    ]
    told = json.loads(sidecar_path(out).read_text())
    return {
        "frames_in": len(shot_frames),
        "frames_out": len(made),
        "rates_equal": made.fps == clip.fps,
        "outside": shot.systems["dub"].outside,
        "intent_corr": corr[0],
        "plate_corr": corr[1],
        "passed_through": told["passed_through"],
        "seconds": seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
