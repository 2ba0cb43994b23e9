"""Make the bundled performer: a computed head that speaks, with everything about it known.

Needs the package espeak-ng and the ICT FaceKit model (MIT) converted to one npz; neither is part
of this repository, and only the clip, a line to dub and the truth are written.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import tyro
from acting.filming import Look, Take, calibrated_lips, filmed, performed, truth_of
from acting.gestures import gestures
from acting.head import Head, load_head
from acting.paint import PALETTE
from acting.recording import write_clip, write_flac
from acting.speech import Line, Phoneme, speak
from acting.truth import save_truth
from acting.visemes import mouth_curves

from core.camera import Camera
from core.progress import Console, reported

FPS = Fraction(25)
SIZE = 512
FOCAL_PIXELS = 1180.0
DISTANCE_METRES = 0.76
LEAD_SECONDS = 0.2
CLIP_TEXT = (
    "Before we film, both of you should watch my mouth move. "
    "The judge threw five green apples above a big blue boat. "
    "Who chose that very warm summer song? My father, maybe."
)
LINE_TEXT = "Maybe the weather will improve on Monday, so bring your father's old umbrella."
VOICE = {"voice": "en-us", "words_per_minute": 160, "pitch": 45, "pitch_range": 60}


@dataclass(frozen=True)
class Options:
    ict: Path
    """ict_facekit.npz"""
    out: Path = Path(__file__).parent / "performer"
    """Folder for clip.mp4, line.flac and truth.safetensors"""
    identity: int = 3
    """Seed of the face"""
    seed: int = 8
    """Seed of its movement and of the grain"""


def main(options: Options) -> None:
    reporter = Console()
    torch.set_num_threads(1)  # small kernels: more threads only wait for each other
    clip_line, new_line = padded(speak(CLIP_TEXT, **VOICE)), speak(LINE_TEXT, **VOICE)
    head = load_head(options.ict, options.identity, strength=0.7)
    lips, left = calibrated_lips(head, PALETTE)
    reporter.say(f"MediaPipe's lips found on the head; {left:.2f} px of 1024 left over")
    take = performance(head, clip_line, options.seed)
    truth = truth_of(take, lips, clip_line.phonemes, clip_line.text)
    pictures = filmed(take, Look(), options.seed)
    pictures = reported(pictures, reporter, "film", len(take.local))
    write_clip(options.out / "clip.mp4", pictures, FPS, clip_line.samples, clip_line.rate)
    write_flac(options.out / "line.flac", new_line.samples, new_line.rate)
    save_truth(options.out / "truth.safetensors", truth)


def padded(line: Line) -> Line:
    """The line after a moment of silence, and silence up to a whole number of frames."""
    lead = round(LEAD_SECONDS * line.rate)
    per_frame = int(line.rate / FPS)
    tail = -(lead + len(line.samples)) % per_frame + 4 * per_frame
    end = (lead + len(line.samples)) / line.rate
    spoken = [
        Phoneme(p.symbol, p.start + LEAD_SECONDS, p.end + LEAD_SECONDS) for p in line.phonemes
    ]
    return Line(
        line.text,
        np.pad(line.samples, (lead, tail)),
        line.rate,
        (
            Phoneme("", 0.0, spoken[0].start),
            *spoken,
            Phoneme("", end, end + tail / line.rate),
        ),
    )


def performance(head: Head, line: Line, seed: int) -> Take:
    """The line spoken, every frame taken at its middle."""
    frames = int(line.seconds * FPS)
    times = (np.arange(frames) + 0.5) / float(FPS)
    moves = gestures(times, DISTANCE_METRES, seed)
    curves = {**mouth_curves(line.phonemes, times), **moves.controls}
    camera = Camera(FOCAL_PIXELS, (SIZE / 2, SIZE / 2), SIZE, SIZE)
    return Take(head, camera, performed(head, curves, frames), moves)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
