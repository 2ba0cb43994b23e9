"""Make the README's picture from what the demo learned.

    ./scripts/demo && python scripts/make_picture.py

The rows show true frames, the same frames reenacted, and the difference, shut to open.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from adapt.report import comparison_sheet
from core.progress import Console
from core.serial import atomic_path
from dub.evaluation import Evaluation, evaluate_actor

ROOT = Path(__file__).parents[1]
ACTOR = ROOT / "out" / "demo" / "performer.actor"
PLATE = ROOT / "scripts" / "performer" / "clip.mp4"
PICTURE = ROOT / "docs" / "performer.png"
FRAMES = range(125, 250)
COLOURS = 128
"""A palette this large shows no bands here and keeps the file small."""


def main() -> None:
    """Write `docs/performer.png`."""
    shot, _ = evaluate_actor(Evaluation(ACTOR, PLATE, FRAMES), Console())
    shot = replace(shot, systems={"redub": shot.systems["redub"]})
    sheet = Image.fromarray(np.asarray(comparison_sheet(shot, "", count=6)))
    smaller = sheet.resize((sheet.width * 3 // 4, sheet.height * 3 // 4), Image.Resampling.LANCZOS)
    with atomic_path(PICTURE) as temporary:
        smaller.quantize(COLOURS).save(temporary, "PNG", optimize=True)
    print(PICTURE, PICTURE.stat().st_size)


if __name__ == "__main__":
    main()
