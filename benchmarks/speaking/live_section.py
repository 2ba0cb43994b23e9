"""A voice heard as it is spoken: how far its mouths are from the offline ones, and how late."""

import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from benchmarks.speaking.place import Place, Spoken, known
from benchmarks.tracking.table import figure, table
from core.progress import reported
from face3d.lips import mouth_opening, mouth_point_basis
from face3d.morphable import default_model
from prior.motion.expression import ExpressionModel, load_driver
from prior.motion.live import LOOK_AHEAD, NEW, LiveMouth
from prior.sound.speech import RATE

SECONDS = 8
"""Of each stranger's first line."""
PORTION = RATE // 100
"""Samples handed over at once: 10 ms."""


def section(place: Place) -> str:
    driver = load_driver()
    first = {line.person: line for line in reversed(place.strangers)}
    rows, delays = [], []
    for line in reported(first.values(), place.reporter, "speak live", len(first)):
        sound = line.audio.mono16k().section(line.start_seconds, line.start_seconds + SECONDS)
        live, seconds = live_mouth(driver, sound.samples[0], line.track.fps)
        short = replace(line, track=line.track[: len(live)])
        live = live[: len(short.track)]
        offline = driver.mouth(replace(sound, start=Fraction(0)), line.track.fps, len(live))
        rows.append(compared(short, live, offline))
        delays.append((NEW + LOOK_AHEAD) / float(short.track.fps) + np.array(seconds))
    waits = np.concatenate(delays)
    means = np.mean(rows, 0)
    return "\n\n".join(
        [
            "## Live",
            f"The first {SECONDS} s of {len(rows)} strangers through `prior/motion/live.py`, 10 ms "
            "at a time, beside the same sound offline, both in the average manner. Points of lips "
            "and chin, mm. *apart*: live from offline; *moves*: offline from its own mean; errors: "
            "from tracked truth, each less its mean. Delay: from a chunk's first frame to its "
            "mouth, waiting and CPU time together.",
            table(
                ("apart", "moves", "error live", "error offline", "ratio", "opening's correlation"),
                [[*(figure(float(v), 3) for v in means)]],
            ),
            f"Delay of the first frame: {1000 * waits.mean():.0f} ms on average, "
            f"{1000 * np.percentile(waits, 95):.0f} ms in 95 % of chunks.",
        ]
    )


def live_mouth(
    driver: ExpressionModel, samples: Float32[np.ndarray, " N"], fps: Fraction
) -> tuple[Float[Tensor, "T M"], list[float]]:
    """Mouths of a voice as it comes in, and the CPU seconds of each chunk."""
    mouth, chunks, seconds = LiveMouth(driver, fps), [], []
    for begin in range(0, len(samples), PORTION):
        began = time.process_time()
        made = mouth.listen(samples[begin : begin + PORTION])
        if len(made):
            chunks.append(made)
            seconds.append(time.process_time() - began)
    return torch.cat(chunks), seconds


def compared(
    line: Spoken, live: Float[Tensor, "T M"], offline: Float[Tensor, "T M"]
) -> tuple[float, ...]:
    model = default_model()
    basis = mouth_point_basis(model)
    a, b, truth = (known(line, m) for m in (live, offline, line.truth))

    def apart(one: Tensor, other: Tensor) -> float:
        return float(torch.einsum("tm,mpc->tpc", one - other, basis).norm(dim=-1).mean())

    def centred(mouths: Tensor) -> Tensor:
        return mouths - mouths.mean(0)

    errors = [apart(centred(m), centred(truth)) for m in (a, b)]
    openings = torch.stack([mouth_opening(model, m) for m in (a, b)])
    return (
        apart(a, b),
        apart(b, b.mean(0).expand_as(b)),
        *errors,
        errors[0] / errors[1],
        float(torch.corrcoef(openings)[0, 1]),
    )
