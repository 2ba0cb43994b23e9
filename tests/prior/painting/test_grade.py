"""Light and grade between two recordings: fitted on skin, carried where none shows, taken back."""

import torch

from face3d.anatomy import FACE_V
from face3d.morphable import default_model
from face3d.track import Identity
from prior.painting.grade import Grade, fitted_grade, membrane
from prior.painting.skin import TEXELS, Skin, face_chart, normal_chart

MODEL = default_model()
WHO = Identity(torch.zeros(len(MODEL.identity)), torch.zeros(468, 3))
NORMALS = normal_chart(MODEL, WHO)
COVERED = (NORMALS.square().sum(0) > 0.5) & face_chart()
UPPER = COVERED & (torch.arange(TEXELS) < 26)[:, None]
"""Where a plate shows its own skin: above the mouth."""

GAIN = torch.tensor([0.8, 1.1, 1.2])
ALONG = torch.tensor([[0.8, 0.5, 0.1], [0.7, 0.4, 0.1], [0.5, 0.6, 0.2]])
LIGHT = torch.tensor([0.5, 0.7, 0.9])[:, None, None] + torch.einsum("cn,nhw->chw", ALONG, NORMALS)
KNOWN = Grade(GAIN, LIGHT)
FLAT = Grade(GAIN, torch.tensor([0.5, 0.7, 0.9])[:, None, None].expand(3, TEXELS, TEXELS))


def skin(seed: int = 0) -> torch.Tensor:
    """Blotched skin in [−1, 1], a chart."""
    shade = torch.rand(TEXELS, TEXELS, generator=torch.Generator().manual_seed(seed)) * 0.3 + 0.4
    return torch.stack([shade, 0.7 * shade, 0.5 * shade]) * 1.6 - 1


def graded(grade: Grade, colours: torch.Tensor) -> torch.Tensor:
    """A chart's colours texel by texel."""
    x = torch.logit((colours + 1) / 2, eps=0.002)
    return 2 * torch.sigmoid(x * grade.gain[:, None, None] + grade.light) - 1


def test_light_is_carried_to_where_the_plate_shows_no_skin() -> None:
    """Kills a colour match that knows no normals, the inverse fitted for the grade, and channels
    exchanged: light from the side and from above, learned above the mouth, holds below it."""
    actor = skin()
    plate = graded(KNOWN, actor)
    found = fitted_grade(Skin(actor, COVERED), Skin(plate, UPPER), NORMALS)
    assert found is not None
    assert torch.allclose(found.gain, GAIN, atol=0.05, rtol=0)
    hidden = COVERED & ~UPPER
    error = (graded(found, actor) - plate)[:, hidden].abs().mean() * 127.5
    flat = (graded(FLAT, actor) - plate)[:, hidden].abs().mean() * 127.5
    assert float(error) < 2.5
    assert float(flat) > 8


def test_hair_over_a_part_of_the_skin_is_no_light() -> None:
    """Kills plain least squares: a dark fringe over a fifth of the seen skin."""
    actor = skin()
    plate = graded(KNOWN, actor)
    fringe = UPPER & (torch.arange(TEXELS) < 9)[:, None]
    assert 0.1 < float(fringe.sum() / UPPER.sum()) < 0.4
    plate[:, fringe] = -0.9
    found = fitted_grade(Skin(actor, COVERED), Skin(plate, UPPER), NORMALS)
    assert found is not None
    below = COVERED & ~UPPER
    assert float((graded(found, actor) - plate)[:, below].abs().mean()) * 127.5 < 8


def test_what_light_leaves_over_goes_on_inwards() -> None:
    """Kills zero outside the known, and nearest-neighbour filling: a membrane is linear between
    two straight borders."""
    rows = torch.arange(TEXELS).float()[:, None].expand(TEXELS, TEXELS)
    known = (rows < 10) | (rows >= 50)
    stretched = membrane(torch.where(rows < 10, 0.0, 0.8), known)
    assert torch.allclose(stretched[30], torch.full((TEXELS,), 0.8 * 21 / 41), atol=0.01)
    assert torch.allclose(stretched[5], torch.zeros(TEXELS), atol=1e-3)


def test_a_picture_survives_the_way_there_and_back() -> None:
    """Kills an inverse that is none: within half a code value, beside the face as well."""
    picture = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.8
    uv = torch.rand(2, 2, 24, 24, generator=torch.Generator().manual_seed(2))
    uv[:, :, :6] = 0
    mild = Grade(GAIN, 0.5 * LIGHT)
    back = mild.to_actor(mild.to_plate(picture, uv), uv)
    assert float((back - picture).abs().max()) * 127.5 < 0.5


def test_mouth_and_background_take_the_light_of_the_skin_near() -> None:
    """Kills a chart read outside its skin: left bright, right dark, nothing else between."""
    light = torch.zeros(3, TEXELS, TEXELS)
    light[:, :, : TEXELS // 2] = 1.0
    light[:, int(FACE_V * TEXELS) + 1 :] = -9.0
    u = torch.linspace(0.05, 0.95, 32).expand(32, 32)
    v = torch.full((32, 32), 0.4)
    v[12:20, 12:20] = 0.9
    uv = torch.stack([u, v])[None].clone()
    uv[:, :, :4] = 0
    seen = Grade(torch.ones(3), light).light_at(uv)[0, 0]
    assert float(seen[:, :10].min()) > 0.6
    assert float(seen[:, 22:].max()) < 0.4
    assert 0.0 <= float(seen.min()) <= float(seen.max()) <= 1.0


def test_black_stays_black_and_white_white() -> None:
    """Kills a plain gain, which burns teeth out when dark skin turns bright."""
    ends = torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2).expand(1, 3, 8, 2)
    uv = torch.full((1, 2, 8, 2), 0.4)
    moved = FLAT.to_plate(ends, uv)
    assert float((moved - ends).abs().max()) * 127.5 < 4
    assert float(moved.abs().max()) <= 1


def test_alike_recordings_and_tiny_samples_are_left_alone() -> None:
    """Kills a grade chased from noise: three code values are no grade, ten texels no proof."""
    actor = skin()
    assert fitted_grade(Skin(actor, COVERED), Skin(actor + 3 / 127.5, UPPER), NORMALS) is None
    few = torch.zeros_like(UPPER)
    few[torch.nonzero(UPPER)[:10].unbind(1)] = True
    assert fitted_grade(Skin(actor, COVERED), Skin(actor + 0.5, few), NORMALS) is None
