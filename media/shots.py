"""Where one shot ends and the next begins."""

from collections.abc import Iterable

from scenedetect.detectors import AdaptiveDetector

from media.clip import Clip
from media.frame import Frame

# A picture this small still tells shots apart, and averaging down to it removes grain.
_LONG_SIDE_PIXELS = 160
# Shorter shots are flashes; resetting a track inside one would gain nothing.
_SHORTEST_SHOT_FRAMES = 4
_WINDOW_FRAMES = 2


def find_cuts(clip: Clip, frames: Iterable[Frame] | None = None) -> list[int]:
    """Index of the first frame of every shot but the first, in rising order; hard cuts only.

    PySceneDetect's adaptive detector: a cut changes hue, saturation and brightness far more than
    the frames around it do, which camera motion does not. `frames` spares a second decoding.
    """
    detector = AdaptiveDetector(
        min_scene_len=_SHORTEST_SHOT_FRAMES, window_width=_WINDOW_FRAMES, min_content_val=15.0
    )
    cuts: list[int] = []
    index, picture = -1, None
    for frame in clip.frames() if frames is None else frames:
        index, picture = frame.index, frame.thumbnail(_LONG_SIDE_PIXELS)[..., ::-1]
        cuts += detector.process_frame(index, picture)
    # The detector judges a frame by those after it too: the last ones need a still continuation.
    for beyond in range(index + 1, index + 1 + _WINDOW_FRAMES if picture is not None else 0):
        cuts += detector.process_frame(beyond, picture)
    return cuts
