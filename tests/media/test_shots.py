from collections.abc import Callable
from fractions import Fraction

import numpy as np

from media.clip import Clip
from media.shots import find_cuts


def scene(seed: int, count: int) -> list[tuple[np.ndarray, ...]]:
    """Slow camera motion over blocks of grey, with grain."""
    generator = np.random.default_rng(seed)
    wall = np.kron(generator.integers(30, 220, (24, 40)), np.ones((8, 8)))
    tint = generator.integers(90, 166, 2)
    frames = []
    for index in range(count):
        view = wall[20 + index : 116 + index, 30:190] + generator.normal(0, 2, (96, 160))
        chroma = [np.full((48, 80), value, np.uint8) for value in tint]
        frames.append((np.clip(view, 16, 235).astype(np.uint8), *chroma))
    return frames


def test_cuts_are_the_first_frames_of_shots(make_clip: Callable) -> None:
    """Kills an index one late, a cut near the end that is lost, and motion taken for a cut."""
    frames = [*scene(1, 20), *scene(2, 7), *scene(3, 20), *scene(4, 2)]
    clip = Clip.open(make_clip(frames, name="cuts.mkv", codec="ffv1", time_base=Fraction(1, 1000)))
    assert find_cuts(clip) == [20, 27, 47]
    assert find_cuts(clip, clip.frames(range(10, 40))) == [20, 27]


def test_one_shot_has_no_cut(make_clip: Callable) -> None:
    """Kills thresholds on raw difference, which a moving camera passes."""
    for count in (1, 2, 40):
        clip = Clip.open(
            make_clip(
                scene(5, count), name=f"{count}.mkv", codec="ffv1", time_base=Fraction(1, 1000)
            )
        )
        assert find_cuts(clip) == []
