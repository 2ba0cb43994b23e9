"""What moves the lips where nobody speaks, and how fast each system answers."""

import time
from fractions import Fraction

import numpy as np
import torch

from benchmarks.speaking.place import Place
from benchmarks.speaking.systems import SYSTEMS, Generator
from benchmarks.speaking.under import music
from benchmarks.tracking.table import figure, table
from evaluate.metrics.lips import leak_share
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from media.audio import Audio, load_audio, silence
from prior.speech import RATE

SECONDS = 10
EYE_MILLIMETRES = 63.0
"""Between the eyes of an average adult: `leak_share` counts openings in that unit."""
FPS = Fraction(25)


def section(place: Place) -> str:
    random = np.random.default_rng(0)
    tone = (1e-3 * random.normal(size=(1, SECONDS * RATE))).astype(np.float32)
    sounds = {
        "silence": silence(SECONDS, RATE),
        "room tone, −60 dBFS": Audio(tone, RATE),
        "music alone, −30 dBFS": Audio(level(music(SECONDS), -30.0)[None], RATE),
    }
    rows = []
    for name, make in SYSTEMS.items():
        system = make(place)
        for title, sound in sounds.items():
            mouth = system.mouth(sound, FPS, SECONDS * int(FPS))
            opening = mouth_opening(default_model(), mouth)
            speaking = leak_share(opening.double().numpy() / EYE_MILLIMETRES, FPS)
            spread = figure(float(opening.mean())), figure(float(opening.std()))
            rows.append([f"{name}, {title}", *spread, figure(100 * speaking, 1)])
    headings = ("system", "opening mm", "deviation mm", "frames judged speaking %")
    speeds = [[name, figure(speed(make(place), place), 0)] for name, make in SYSTEMS.items()]
    return "\n\n".join(
        [
            "## Without speech",
            f"{SECONDS} s each. A frame speaks whose opening ranges over 3.7 % of the distance "
            "between the eyes within 0.2 s, as `evaluate` counts.",
            table(headings, rows),
            "## Speed",
            "Seconds of sound answered in one second, by the longest line, one thread; the best of "
            "three.",
            table(("system", "times real time"), speeds),
        ]
    )


def level(samples: np.ndarray, decibels: float) -> np.ndarray:
    return samples / np.sqrt(np.square(samples).mean()) * np.float32(10 ** (decibels / 20))


def speed(system: Generator, place: Place) -> float:
    """Of the longest line outside the training."""
    unseen = [e for e in place.examples if e.split != "train"]
    audio = max((load_audio(e.sound, mono=True) for e in unseen), key=lambda a: a.seconds)
    torch.set_num_threads(1)
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        system.mouth(audio, FPS, int(audio.seconds * FPS))
        times.append(time.perf_counter() - begin)
    return audio.seconds / min(times)
