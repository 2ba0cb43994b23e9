"""Which frames are learned from, and which references are worth keeping."""

import numpy as np
import pytest
import torch

from adapt.lessons import farthest_points
from adapt.pipeline import Adaptation, _ticket
from adapt.split import SHORTEST_FRAMES, split_frames
from adapt.takes import Take
from core.errors import InputError
from media.clip import Clip
from prior.painting.renderer import untrained


@pytest.mark.parametrize("count", [25, 26, 50, 100, 997])
def test_the_last_eighth_is_never_learned_from(count: int) -> None:
    """Kills a judge who has seen the answer: no frame is in both parts or beside the other part."""
    usable = np.arange(count) * 2 + 100
    split = split_frames(usable, count / 25)
    assert len(split.held_out) == max(6, round(0.12 * count))
    assert split.held_out[-1] == usable[-1]
    assert split.fit[0] == usable[0]
    assert split.held_out[0] - split.fit[-1] > 2 * 2
    assert len(split.fit) + len(split.held_out) == count - 2


def test_less_than_a_second_is_refused_with_what_is_needed() -> None:
    """Kills a network trained on a handful of frames."""
    with pytest.raises(InputError, match=r"24 frames \(9.0 s.*25 are needed"):
        split_frames(np.arange(SHORTEST_FRAMES - 1), 9.0)


def test_references_are_as_various_as_can_be() -> None:
    """Kills random or first references: of five tight clusters each gives one."""
    random = torch.Generator().manual_seed(0)
    centres = 10 * torch.eye(5)
    points = (centres[:, None] + 0.1 * torch.randn(5, 8, 5, generator=random)).reshape(-1, 5)
    chosen = farthest_points(points, 5)
    assert sorted((chosen // 8).tolist()) == [0, 1, 2, 3, 4]
    assert chosen.tolist() == sorted(chosen.tolist())


def test_few_frames_are_all_kept_and_none_twice() -> None:
    """Kills an endless search for more than there are, and one frame taken twice for want of
    others."""
    assert farthest_points(torch.zeros(3, 2), 140).tolist() == [0, 1, 2]
    line = torch.arange(30.0)[:, None]
    chosen = farthest_points(line, 10)
    assert len(chosen.unique()) == 10
    assert {0, 29} <= set(chosen.tolist())


def test_another_prior_is_another_job(performer_clip: Clip) -> None:
    """Kills an actor taken for finished though the weights it differs from have been replaced."""
    job = Adaptation((Take(performer_clip, range(100)),))
    first, second = (_ticket(job, untrained(seed)) for seed in (0, 1))
    assert first == _ticket(job, untrained(0))
    assert first != second
