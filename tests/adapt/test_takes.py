"""Several clips of one actor: how they are named, and what becomes of their windows."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from adapt.lessons import spread_frames
from adapt.pipeline import Adaptation, _ticket
from adapt.takes import APART_FRAMES, Take, gathered, parse_takes
from core.errors import InputError, UsageError
from face3d.morphable import default_model
from face3d.track import Track
from media.clip import Clip
from prior.painting.renderer import untrained
from scripts.hardships import write_pictures

MODEL = default_model()


@pytest.fixture(scope="module")
def darker(performer_clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """The performer's first frames in another grade, in a file with an @ in its name."""
    path = tmp_path_factory.mktemp("takes") / "dark@home.mp4"
    pictures = (
        (255 * (frame.rgb / 255.0) ** 1.6 * [0.9, 0.75, 0.7]).astype(np.uint8)
        for frame in performer_clip.frames(range(30))
    )
    write_pictures(path, pictures, Fraction(25))
    return Clip.open(path)


def test_a_clip_may_bring_its_own_range(performer_clip: Clip, darker: Clip) -> None:
    """Kills one range for clips of different length, and an @ of a file's own name cut off."""
    one, two = str(performer_clip.path), str(darker.path)
    takes = parse_takes([f"{one}@1s:3s", two, f"{two}@4:9"], None)
    assert [take.frames for take in takes] == [range(25, 75), range(30), range(4, 9)]
    assert [take.clip.path for take in takes] == [performer_clip.path, darker.path, darker.path]
    assert parse_takes([one], "0:50")[0].frames == range(50)


def test_a_range_that_fits_nobody_is_refused(performer_clip: Clip) -> None:
    """Kills a --range that silently cuts the first clip, or all of them."""
    one = str(performer_clip.path)
    for actors in ([one, one], [f"{one}@0:9"]):
        with pytest.raises(UsageError, match=r"which --actor it means.*a\.mp4@0s:4s"):
            parse_takes(actors, "0:50")
    with pytest.raises(UsageError, match="starts at frame 9000"):
        parse_takes([f"{one}@9000:9009"], None)
    with pytest.raises(InputError, match=r"nobody\.mp4 does not exist"):
        parse_takes(["nobody.mp4@0:4"], None)


def test_windows_of_two_takes_are_one_run_in_the_first_ones_grade(
    performer_clip: Clip, performer_track: Track, darker: Clip
) -> None:
    """Kills a second recording pasted in with its own colours, and frames of two takes taken for
    neighbours (or for each other)."""
    takes = [Take(performer_clip, range(30)), Take(darker, range(30))]
    tracks = [performer_track[:30], performer_track[:30]]
    wanted = [np.array([2, 8, 20]), np.array([2, 8])]
    both = gathered(takes, tracks, MODEL, wanted)
    assert both.frame[:3].tolist() == [2, 8, 20]
    assert (both.frame[3:] - both.frame[:2]).unique().tolist() == [len(performer_clip) + 1000]
    assert APART_FRAMES == 1000
    raw = gathered(takes[1:], tracks[1:], MODEL, wanted[1:])
    assert torch.equal(raw.frame, torch.tensor([2, 8]))
    truth, before, after = both.images[:2], raw.images, both.images[3:]
    face = slice(40, 120)
    error = [
        float((x.float() - truth.float())[..., face, face].abs().mean()) for x in (before, after)
    ]
    assert error[0] > 15, error
    assert error[1] < 0.3 * error[0], error


def test_takes_share_the_frames_in_proportion() -> None:
    """Kills a long clip that crowds out a short one, and frames lost though there are few."""
    few = spread_frames([np.arange(10), np.arange(100, 120)], 400)
    assert [len(part) for part in few] == [10, 20]
    many = spread_frames([np.arange(1000), np.arange(3000), np.arange(2)], 400)
    assert [len(part) for part in many] == [100, 300, 1]
    assert many[0][[0, -1]].tolist() == [0, 999]


def test_another_take_is_another_job(performer_clip: Clip, darker: Clip) -> None:
    """Kills a ticket of the first clip alone."""
    one, two = Take(performer_clip, range(50)), Take(darker, range(20))
    prior = untrained(0)
    tickets = {
        _ticket(Adaptation(takes), prior)
        for takes in ((one,), (one, two), (two, one), (one, replace(two, frames=range(9))))
    }
    assert len(tickets) == 4
