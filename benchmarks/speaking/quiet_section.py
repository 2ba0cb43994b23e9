"""What moves the lips where nobody speaks, and how fast each system answers."""

import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.speaking.place import Place
from benchmarks.speaking.systems import SYSTEMS
from benchmarks.speaking.under import music
from benchmarks.tracking.table import figure, table
from dub.closures import brought_together, heard_contacts
from evaluate.metrics.lips import leak_share
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from media.audio import Audio, load_audio, silence
from prior.motion.expression import load_driver
from prior.sound.hearing import hear_in_doubt
from prior.sound.speech import RATE

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
    speeds = [[name, figure(speed(make(place).mouth, place), 0)] for name, make in SYSTEMS.items()]
    speeds.append(["a dub", figure(speed(dubbed_mouth, place), 0)])
    return "\n\n".join(
        [
            "## Without speech",
            f"{SECONDS} s each. A frame speaks whose opening ranges over 3.7 % of the distance "
            "between the eyes within 0.2 s, as `evaluate` counts.",
            table(headings, rows),
            "## Speed",
            "Seconds of sound answered in one second of CPU time, by the longest line, one thread; "
            "the best of three. *a dub*: with closures listened for.",
            table(("system", "times real time"), speeds),
        ]
    )


def level(samples: np.ndarray, decibels: float) -> np.ndarray:
    return samples / np.sqrt(np.square(samples).mean()) * np.float32(10 ** (decibels / 20))


def dubbed_mouth(audio: Audio, fps: Fraction, frames: int) -> Float[Tensor, "T M"]:
    """What a dub makes of a line before it looks at the plate."""
    driver = load_driver()
    heard = hear_in_doubt(audio)
    mouth = driver.mouth(heard, fps, frames)
    return brought_together(mouth, heard_contacts(heard), float(fps), driver.manner)


def speed(mouth: Callable[[Audio, Fraction, int], Tensor], place: Place) -> float:
    """Of the longest line outside the training."""
    unseen = [e for e in place.examples if e.split != "train"]
    audio = max((load_audio(e.sound, mono=True) for e in unseen), key=lambda a: a.seconds)
    torch.set_num_threads(1)
    times = []
    for _ in range(3):
        begin = time.process_time()
        mouth(audio, FPS, int(audio.seconds * FPS))
        times.append(time.process_time() - begin)
    return audio.seconds / min(times)
