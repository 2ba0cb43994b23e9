"""A line to look at: its waveform with the known sounds, the lips' gap, and frames under it."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from benchmarks.speaking.spoken_lines import OPEN, SHUT, SpokenLine
from benchmarks.speaking.stage import MOUTH_HEIGHT, MOUTH_WIDTH, Dubbed, Stage
from evaluate.metrics.lips import lip_gap
from evaluate.sheet import FAINT_INK, INK, PAPER
from face3d.lips import mouth_opening
from face3d.morphable import default_model

A_ROW = 16
"""Frames side by side: every one is shown."""
WAVE, CURVE, LABEL = 44, 40, 18
"""Heights in pixels."""
ROW = LABEL + WAVE + CURVE + MOUTH_HEIGHT + 14
WIDEST_PX256 = 24.0
COLOURS = {SHUT: (200, 40, 40), OPEN: (40, 120, 60)}


def line_strip(line: SpokenLine, made: Dubbed, stage: Stage) -> UInt8[np.ndarray, "_ _ 3"]:
    """Rows of frames, each under its own piece of sound; red: m, b, p; green: open vowels.

    The black curve is the gap that is seen, the grey one the opening that was meant.
    """
    count, fps = len(made.landmarks), float(stage.track.fps)
    rows = -(-count // A_ROW)
    page = Image.new("RGB", (A_ROW * MOUTH_WIDTH, rows * ROW), PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    sound = line.audio.mono16k()
    samples = sound.samples[0] / max(float(np.abs(sound.samples).max()), 1e-6)
    seen = lip_gap(made.landmarks)
    meant = mouth_opening(default_model(), made.performance.mouth).numpy()
    for i in range(count):
        x, y = i % A_ROW * MOUTH_WIDTH, i // A_ROW * ROW
        begin, end = (int(frame / fps * sound.rate) for frame in (i, i + 1))
        wave(pen, samples[begin:end], x, y + LABEL + WAVE // 2)
        page.paste(Image.fromarray(made.pictures[i]), (x, y + LABEL + WAVE + CURVE))
        low = y + LABEL + WAVE + CURVE - 2
        for curve, ink in ((meant, FAINT_INK), (seen, INK)):
            height = CURVE * min(max(float(np.nan_to_num(curve[i])), 0) / WIDEST_PX256, 1)
            pen.line((x + 4, low - height, x + MOUTH_WIDTH - 4, low - height), ink, 2)
    for s in line.sounds:
        place = s.start * fps
        x, y = place % A_ROW * MOUTH_WIDTH, place // A_ROW * ROW
        width = (s.end - s.start) * fps * MOUTH_WIDTH
        ink = COLOURS.get(s.kind, INK)
        pen.rectangle((x, y + LABEL - 3, x + width, y + LABEL - 1), ink)
        pen.text((x + 2, y), s.symbol.encode("ascii", "replace").decode(), ink, font)
    return np.array(page)


def wave(pen: ImageDraw.ImageDraw, samples: np.ndarray, x: int, middle: int) -> None:
    """Highest and lowest sample of each column."""
    if len(samples) < MOUTH_WIDTH:
        return
    for column, part in enumerate(np.array_split(samples, MOUTH_WIDTH)):
        low, high = (float(v) * WAVE / 2 for v in (part.min(), part.max()))
        pen.line((x + column, middle - high, x + column, middle - low), FAINT_INK)
