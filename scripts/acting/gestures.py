"""What the performer does besides speaking: head movement, gaze, blinks and brows. Seeded."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gestures:
    """Axis-angle rotation `[T 3]` (radians), translation `[T 3]` (metres), upper-face controls."""

    rotation: np.ndarray
    translation: np.ndarray
    controls: dict[str, np.ndarray]


def wander(times: np.ndarray, periods: tuple[float, ...], draw: np.random.Generator) -> np.ndarray:
    """A smooth wandering curve that reaches ±1: sinusoids of the given periods in seconds."""
    curve = sum(
        np.sin(2 * np.pi * (times / period + draw.random())) * period**0.5 for period in periods
    )
    return curve / np.abs(curve).max()


def bump(times: np.ndarray, middle: float, rise: float, fall: float) -> np.ndarray:
    """0 to 1 to 0 around `middle` with raised-cosine flanks of the given seconds."""
    flank = np.where(times < middle, rise, fall)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((times - middle) / flank, -1, 1))


def gestures(
    times: np.ndarray,
    distance_metres: float,
    seed: int,
    reach_degrees: tuple[float, float, float] = (6.0, 12.0, 4.0),
) -> Gestures:
    """Turns that reach so much pitch, yaw and roll; a blink every two to four seconds."""
    draw = np.random.default_rng(seed)
    reach = np.radians(reach_degrees)
    periods = ((5.1, 2.3, 1.3), (6.7, 3.1, 1.7), (7.3, 3.7))
    rotation = np.stack(
        [angle * wander(times, p, draw) for angle, p in zip(reach, periods, strict=True)], -1
    )
    drift = np.stack([wander(times, (8.3, 4.1), draw) for _ in range(3)], -1)
    translation = drift * [0.008, 0.005, 0.012] + [0.0, -0.008, -distance_metres]

    blink = np.zeros_like(times)
    moment = 1.1
    while moment < times[-1]:
        blink = np.maximum(blink, bump(times, moment, 0.11, 0.19))
        moment += draw.uniform(1.9, 3.4)
    brows = wander(times, (3.3, 1.9), draw)
    controls = {
        "eyeBlink": np.clip(blink * 1.15, 0, 1),
        "browInnerUp": 0.45 * np.clip(brows, 0, 1),
        "browOuterUp": 0.25 * np.clip(brows, 0, 1),
        "browDown": 0.35 * np.clip(-brows, 0, 1),
        # Eyes keep to the lens while the head turns, as far as eyes go.
        "gazeX": np.clip(-rotation[:, 1], -0.6, 0.6) + 0.03 * wander(times, (2.9, 1.1), draw),
        "gazeY": rotation[:, 0] + 0.02 * wander(times, (2.3, 0.9), draw),
    }
    return Gestures(rotation, translation, controls)
