"""One tracking run in a process of its own, so that its time and memory are its own.

python -m benchmarks.tracking.trial CLIP STAGE
"""

import json
import sys
from pathlib import Path
from time import monotonic, process_time

import torch

from benchmarks.tracking.findings import STAGES
from core.memory import peak_rss_mb
from face3d.tracker import track_clip
from media.clip import Clip


def main() -> None:
    torch.set_num_threads(1)
    clip = Clip.open(Path(sys.argv[1]))
    wall, cpu = monotonic(), process_time()
    track = track_clip(clip, range(len(clip)), config=STAGES[sys.argv[2]])
    figures = {
        "frames": len(track),
        "wall": monotonic() - wall,
        "cpu": process_time() - cpu,
        "peak_rss_mb": peak_rss_mb(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
