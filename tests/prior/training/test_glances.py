"""What a clip shows, worked out once, is what is worked out each time."""

import pytest
import torch
from moving_head import speaking
from painted_head import painted_windows

from face3d.morphable import default_model
from prior.training.corpus import MARGIN
from prior.training.glances import Glances
from prior.training.train_renderer import TrainingClip, draw_sample, training_clip

MODEL = default_model()


@pytest.fixture(scope="module")
def clip() -> TrainingClip:
    return training_clip(painted_windows(speaking(12), MARGIN), MODEL, "p")


@pytest.mark.parametrize("limit", [1 << 30, 3 << 20, 0])
def test_kept_glances_are_the_samples_drawn_anew(clip: TrainingClip, limit: int) -> None:
    """Kills a cut that does not follow the window's shift, references of another frame taken from
    the store, and a limit that changes what is seen. Only a border's rounding may differ."""
    glances = Glances(clip, MODEL, limit)
    mine, theirs = (torch.Generator().manual_seed(4) for _ in range(2))
    for _ in range(8):
        (kept, image), (anew, expected) = glances.sample(mine), draw_sample(clip, MODEL, theirs)
        assert torch.equal(image, expected)
        assert torch.equal(kept.plate, anew.plate)
        for name in ("uv", "inner", "outer", "mouth", "references"):
            difference = (getattr(kept, name).float() - getattr(anew, name).float()).abs()
            assert float((difference > 2e-3).float().mean()) < 2e-3, name
    assert torch.equal(mine.get_state(), theirs.get_state())


def test_no_more_is_kept_than_allowed(clip: TrainingClip) -> None:
    """Kills a store that grows with the footage: what is over the limit is worked out again."""
    limit = 4 << 20
    glances = Glances(clip, MODEL, limit)
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        glances.sample(generator)
    views = [(v.uv, v.fragments.face, v.fragments.barycentric) for v in glances.views.values()]
    held = sum(t.nbytes for t in [*glances.warps.values(), *(t for view in views for t in view)])
    assert limit / 2 < held <= limit
