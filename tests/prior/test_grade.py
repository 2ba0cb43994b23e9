"""The grade between two recordings: fitted on skin, applied to everything, taken back exactly."""

import torch

from face3d.morphable import default_model
from prior.grade import Grade, fitted_grade, upper_chart


def skin(count: int = 400, seed: int = 0) -> torch.Tensor:
    """Shaded skin in [−1, 1], [3 N]."""
    shade = torch.rand(count, generator=torch.Generator().manual_seed(seed)) * 0.5 + 0.25
    return torch.stack([shade, 0.7 * shade, 0.5 * shade]) * 1.6 - 1


KNOWN = Grade(torch.tensor([0.8, 1.1, 1.2]), torch.tensor([0.5, 0.7, 0.9]))


def test_a_known_grade_is_recovered() -> None:
    """Kills the inverse fitted for the grade, channels exchanged, and offsets in another space."""
    actor = skin()
    plate = KNOWN.to_plate(actor[:, :, None])[:, :, 0]
    found = fitted_grade(actor, plate)
    assert found is not None
    assert torch.allclose(found.gain, KNOWN.gain, atol=0.01, rtol=0)
    assert torch.allclose(found.offset, KNOWN.offset, atol=0.01, rtol=0)


def test_a_picture_survives_the_way_there_and_back() -> None:
    """Kills an inverse that is none: within half a code value."""
    picture = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9
    back = KNOWN.to_actor(KNOWN.to_plate(picture))
    assert float((back - picture).abs().max()) * 127.5 < 0.5


def test_black_stays_black_and_white_white() -> None:
    """Kills a plain gain, which burns teeth out when dark skin turns bright."""
    ends = torch.tensor([-1.0, 1.0]).view(1, 1, 2).expand(3, 1, 2)
    moved = KNOWN.to_plate(ends)
    assert float((moved - ends).abs().max()) * 127.5 < 4
    assert float(moved.abs().max()) <= 1


def test_alike_recordings_and_tiny_samples_are_left_alone() -> None:
    """Kills a grade chased from noise: three code values are no grade, ten texels no proof."""
    actor = skin()
    assert fitted_grade(actor, actor + 3 / 127.5) is None
    assert fitted_grade(actor[:, :10], actor[:, :10] + 0.5) is None


def test_only_what_no_line_changes_is_compared() -> None:
    """Kills lips, teeth or chin in the comparison: no compared texel lies in the lower face."""
    model = default_model()
    chart = upper_chart(model, 64)
    rows = torch.nonzero(chart.any(1)).flatten()
    lower = model.uv[model.lower_face, 1].min()
    assert 5 < len(rows) < 30
    assert float(rows.max() + 0.5) / 64 < float(lower)
