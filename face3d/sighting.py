"""What a detector sees of a face in a run of frames, in one pass over the clip."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.errors import InputError
from core.progress import Reporter, Silent, reported
from face3d.landmarks import FaceMesh, Landmarks, collected
from media.clip import Clip
from media.frame import Frame
from media.shots import find_cuts


@dataclass(frozen=True)
class Sighting:
    """Landmarks of frames `start` to `start + T` of a clip; `cuts` count from `start`."""

    start: int
    landmarks: Landmarks
    cuts: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.landmarks)


def sight(clip: Clip, frames: range, reporter: Reporter | None = None) -> Sighting:
    """Find the face in `frames` of a clip. Raises InputError where no frame shows one."""
    seen: list[np.ndarray | None] = []
    with FaceMesh() as mesh:

        def watched() -> Iterator[Frame]:
            stream = clip.frames(frames)
            for frame in reported(stream, reporter or Silent(), "find the face", len(frames)):
                seen.append(mesh.detect(frame.rgb))
                yield frame

        # One decoding serves both: the search for cuts pulls the frames past the detector.
        cuts = tuple(cut - frames.start for cut in find_cuts(clip, watched()))
    landmarks = collected(seen)
    if not landmarks.found.any():
        raise InputError(
            f"{clip.path} shows no face in {len(frames)} frames; "
            "give a range in which the actor's face is seen."
        )
    return Sighting(frames.start, landmarks, cuts)
