"""Section: how fast the stages are, and whether memory grows with the clip."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.tracking.findings import STAGES
from benchmarks.tracking.table import figure, table
from benchmarks.tracking.workplace import Workplace
from core.errors import InputError
from core.serial import save_json
from media.clip import Clip
from scripts.acting.recording import write_clip

CLIP = "obama_st2"
LENGTHS = (10, 300)
RATE = 16000
HEADINGS = (
    "", "frames", "seconds", "frames/s", "frames/CPU-s", "peak MB", "load average",
)  # fmt: skip

INTRODUCTION = f"""## Speed and memory

{CLIP} (256 × 256, 30 fps, face 153 px high), 10 s, and 300 s made of its first 10 s played to and
fro; decoding and detection included, every run in a process of its own with torch on one thread.
The load average counts everything that the machine was doing meanwhile: frames per second of CPU
time tell more than frames per second where it exceeds the number of cores."""


def section(place: Workplace) -> str:
    """A row for every stage and length."""
    rows, growth = [], []
    for stage in STAGES:
        runs = [trial(place, stage, seconds) for seconds in LENGTHS]
        rows += [row(stage, seconds, of) for seconds, of in zip(LENGTHS, runs, strict=True)]
        more = runs[1]["peak_rss_mb"] / runs[0]["peak_rss_mb"] - 1
        growth.append(f"{stage} {more:+.0%}")
    short = [trial(place, stage, LENGTHS[0]) for stage in STAGES]
    by_clock, by_work = (
        short[1]["frames"] / (short[1][spent] - short[0][spent]) for spent in ("wall", "cpu")
    )
    told = (
        f"The pictures alone: {by_clock:.0f} frames/s, {by_work:.0f} frames/CPU-s. "
        f"Peak memory of 300 s against 10 s: {', '.join(growth)}."
    )
    return "\n\n".join([INTRODUCTION, table(HEADINGS, rows), told])


def row(stage: str, seconds: int, of: dict[str, float]) -> list[str]:
    return [
        f"{stage}, {seconds} s",
        f"{of['frames']:.0f}",
        figure(of["wall"], 0),
        figure(of["frames"] / of["wall"], 0),
        figure(of["frames"] / of["cpu"], 0),
        figure(of["peak_rss_mb"], 0),
        figure(of["load"], 1),
    ]


def trial(place: Workplace, stage: str, seconds: int) -> dict[str, float]:
    """Figures of one run, from its file if they are of this version of the tracker."""
    kept = place.work / "speed" / f"{stage}.{seconds}.{place.version}.json"
    if not kept.exists():
        place.reporter.say(f"{stage}: {seconds} s")
        path = looped(place, seconds)
        command = [sys.executable, "-m", "benchmarks.tracking.trial", str(path), stage]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"the trial of {stage} failed: {done.stderr[-300:]}")
        load = os.getloadavg()[0]
        save_json(kept, {**json.loads(done.stdout.splitlines()[-1]), "load": load})
    return json.loads(kept.read_text())


def looped(place: Workplace, seconds: int) -> Path:
    """The clip's first 10 s, to and fro until they fill so many seconds."""
    path = place.work / "speed" / f"{CLIP}.{seconds}.mp4"
    if not path.exists():
        clip = Clip.open(place.clip(CLIP))
        silence = np.zeros(round(seconds * RATE), np.float32)
        write_clip(path, to_and_fro(clip, seconds), clip.fps, silence, RATE)
    return path


def to_and_fro(clip: Clip, seconds: int) -> Iterator[np.ndarray]:
    once = [frame.rgb for frame in clip.frames(range(round(LENGTHS[0] * clip.fps)))]
    period = 2 * len(once) - 2
    for index in range(round(seconds * clip.fps)):
        place = index % period
        yield once[min(place, period - place)]
