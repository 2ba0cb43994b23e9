"""People that do not exist, for measuring trackers: a face, a skin, a light, a lens, a movement."""

from dataclasses import dataclass

from .filming import Look
from .light import Lamp, Lighting
from .paint import Palette


@dataclass(frozen=True)
class Role:
    """One performer. `focal_per_side`: focal length over the picture's side; `reach_degrees`:
    furthest pitch, yaw and roll; `driver`: the clip whose mouth it moves."""

    name: str
    identity: int
    look: Look
    focal_per_side: float
    reach_degrees: tuple[float, float, float]
    driver: str


CAST = (
    Role(
        "wide lens",
        identity=11,
        look=Look(),
        focal_per_side=1.2,
        reach_degrees=(10, 25, 6),
        driver="aoc_sad",
    ),
    Role(
        "dark skin",
        identity=15,
        look=Look(
            Palette(
                skin=(0.165, 0.085, 0.055),
                lips=(0.20, 0.075, 0.07),
                hair=(0.012, 0.010, 0.009),
                iris=((0.05, 0.025, 0.012), (0.03, 0.016, 0.01)),
                cloth=(0.42, 0.36, 0.25),
            ),
            Lighting(
                key=Lamp((0.75, 0.35, 0.55), (3.1, 2.9, 2.6)),
                fill=Lamp((-0.7, 0.1, 0.7), (0.7, 0.8, 1.0)),
                rim=Lamp((-0.75, 0.45, -0.5), (0.9, 0.95, 1.1)),
            ),
            grain=1.8 / 255,
        ),
        focal_per_side=2.0,
        reach_degrees=(8, 45, 8),
        driver="menendez_sad",
    ),
    Role(
        "soft light",
        identity=27,
        look=Look(
            Palette(
                skin=(0.66, 0.47, 0.39),
                lips=(0.50, 0.24, 0.22),
                hair=(0.20, 0.13, 0.06),
                iris=((0.12, 0.17, 0.20), (0.06, 0.10, 0.14)),
                cloth=(0.22, 0.04, 0.05),
            ),
            Lighting(
                key=Lamp((0.1, 0.3, 0.95), (0.95, 1.0, 1.08)),
                fill=Lamp((-0.6, 0.0, 0.8), (0.4, 0.4, 0.4)),
                sky=(0.55, 0.58, 0.64),
                ground=(0.34, 0.33, 0.32),
            ),
            grain=2.6 / 255,
        ),
        focal_per_side=2.8,
        reach_degrees=(15, 35, 12),
        driver="radio34_sad",
    ),
    Role(
        "long lens",
        identity=21,
        look=Look(
            Palette(
                skin=(0.37, 0.22, 0.135),
                lips=(0.33, 0.13, 0.11),
                hair=(0.02, 0.015, 0.012),
                iris=((0.08, 0.045, 0.02), (0.05, 0.03, 0.015)),
                cloth=(0.05, 0.05, 0.055),
            ),
            Lighting(
                key=Lamp((-0.25, 0.85, 0.45), (2.7, 2.5, 2.2)),
                fill=Lamp((0.6, -0.2, 0.8), (0.30, 0.26, 0.22)),
                sky=(0.26, 0.26, 0.28),
            ),
            grain=1.4 / 255,
        ),
        focal_per_side=4.0,
        reach_degrees=(12, 45, 10),
        driver="markey_sad",
    ),
)

PROFILE = Role(
    "profile",
    identity=3,
    look=Look(),
    focal_per_side=2.3,
    reach_degrees=(5, 70, 4),
    driver="radio34_sad",
)
"""Turns further than a tracker of landmarks sees both eyes."""
