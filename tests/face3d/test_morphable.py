"""The shipped model: which of its parts a mouth moves, and which it must not."""

from importlib.resources import as_file, files
from pathlib import Path

import pytest
import torch

from core.errors import InputError
from core.serial import Schema, save_tensors
from face3d.lips import MOUTH_POINTS, mouth_opening, mouth_point_basis, opening_weights
from face3d.morphable import MorphableModel, default_model
from face3d.topology import CHIN, INNER_PAIRS, LANDMARKS, NOSE_BASE

MODEL = default_model()
SKIRT, UPPER_TEETH, LOWER_TEETH, CAVITY = 511, 574, 619, 664
"""First vertices of the parts beyond the landmarks and the cut."""


def random_codes(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return (
        torch.randn(count, len(MODEL.mouth), generator=random),
        torch.randn(count, len(MODEL.upper), generator=random),
    )


def test_the_file_is_small_enough_to_ship() -> None:
    """Kills a model that grows the package: 2 MB at most."""
    with as_file(files("face3d") / "morphable.safetensors") as path:
        assert path.stat().st_size <= 2_000_000


def test_the_mouth_moves_nothing_above_the_nose_and_the_upper_face_nothing_below() -> None:
    """Kills a dub that raises brows, and brows that move the lips: what dubbing replaces is the
    mouth and nothing else. Only the cut follows both, by 0.02 mm."""
    y = MODEL.mean[:, 1] - MODEL.mean[NOSE_BASE, 1]
    assert float(MODEL.mouth[:, y > 0.032].abs().max()) < 1e-9
    landmark = torch.arange(len(y)) < LANDMARKS
    assert float(MODEL.upper[:, (y < 0.004) & landmark].abs().max()) < 1e-9
    assert float(MODEL.upper[:, MODEL.lower_face].abs().max()) < 2e-5


def test_the_upper_teeth_stay_with_the_skull() -> None:
    """Kills teeth hung between the lips."""
    assert float(MODEL.mouth[:, UPPER_TEETH:LOWER_TEETH].abs().max()) == 0
    assert float(MODEL.upper[:, UPPER_TEETH:].abs().max()) == 0


def test_the_lower_teeth_ride_on_the_jaw_without_stretching() -> None:
    """Kills teeth that follow the lip: the arc keeps its lengths (measured 0.3 % for mouths one
    deviation off, 1.0 % wide open), and drops when the jaw does."""
    mouth, upper = random_codes(50)
    wide = torch.zeros(1, len(MODEL.mouth))
    wide[0, 0] = 5.0
    rest = torch.cdist(MODEL.mean[LOWER_TEETH:CAVITY], MODEL.mean[LOWER_TEETH:CAVITY])
    rest.fill_diagonal_(1.0)
    for codes, limit in ((mouth, 0.005), (wide, 0.015)):
        arc = MODEL.vertices(MODEL.mean, codes, upper[: len(codes)])[:, LOWER_TEETH:CAVITY]
        lengths = torch.cdist(arc, arc) + torch.eye(arc.shape[1])
        assert float((lengths / rest - 1).abs().max()) < limit
    dropped = MODEL.vertices(MODEL.mean, wide, upper[:1])[0] - MODEL.mean
    teeth, chin = dropped[LOWER_TEETH:CAVITY, 1].mean(), dropped[list(CHIN), 1].mean()
    assert 0.6 < float(teeth / chin) < 1.1


def test_the_skirt_follows_the_chin_less_and_less() -> None:
    """Kills a neck that drops with the jaw."""
    wide = torch.zeros(1, len(MODEL.mouth))
    wide[0, 0] = 3.0
    moved = MODEL.vertices(MODEL.mean, wide, torch.zeros(1, len(MODEL.upper)))[0] - MODEL.mean
    rows = moved[SKIRT:UPPER_TEETH].reshape(3, -1, 3).norm(dim=-1).amax(1)
    torch.testing.assert_close(rows / rows[0], torch.tensor([1.0, 0.7, 0.25]), atol=1e-4, rtol=0)


def test_no_identity_opens_the_mouth() -> None:
    """Kills a person's shape that eats their speech: a deviation of any coefficient opens the lips
    by less than 0.4 mm, and the mean face's are shut."""
    upper, lower = torch.tensor(INNER_PAIRS).T
    opens = 1000 * (MODEL.identity[:, upper] - MODEL.identity[:, lower])[..., 1]
    assert float(opens.mean(1).abs().max()) < 0.4
    assert float(mouth_opening(MODEL, torch.zeros(len(MODEL.mouth))).abs()) < 0.6


def test_the_attachment_is_the_rule_of_the_identity_basis() -> None:
    """Kills a personal offset that leaves teeth and skirt behind: both move by one linear rule."""
    moved = torch.einsum("nl,slc->snc", MODEL.attachment, MODEL.identity[:, :LANDMARKS])
    torch.testing.assert_close(moved, MODEL.identity[:, LANDMARKS:], atol=1e-8, rtol=0)
    shift = torch.tensor([0.001, -0.002, 0.003]).expand(LANDMARKS, 3)
    shape = MODEL.shape(torch.zeros(len(MODEL.identity)), shift)
    torch.testing.assert_close(shape, MODEL.mean + shift[:1], atol=1e-7, rtol=0)


def test_vertices_are_the_sum_of_the_bases() -> None:
    """Kills exchanged bases and a shape added twice: against a loop."""
    mouth, upper = random_codes(2)
    shape = MODEL.shape(torch.ones(len(MODEL.identity)))
    expected = MODEL.mean.clone()
    for vector in MODEL.identity:
        expected = expected + vector
    torch.testing.assert_close(shape, expected, atol=1e-6, rtol=0)
    for value, vector in zip(mouth[1], MODEL.mouth, strict=True):
        expected = expected + value * vector
    for value, vector in zip(upper[1], MODEL.upper, strict=True):
        expected = expected + value * vector
    actual = MODEL.vertices(shape, mouth, upper)[1]
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=0)


def test_the_opening_is_the_height_of_the_gap() -> None:
    """Kills a wrong unit or sign: openings are read off vertices, in millimetres."""
    mouth, upper = random_codes(5)
    vertices = MODEL.vertices(MODEL.mean, mouth, upper)
    gaps = torch.stack([vertices[:, a, 1] - vertices[:, b, 1] for a, b in INNER_PAIRS]).mean(0)
    torch.testing.assert_close(mouth_opening(MODEL, mouth), 1000 * gaps, atol=1e-3, rtol=0)
    assert float(opening_weights(MODEL)[0]) > 4
    moved = 1000 * (vertices - MODEL.vertices(MODEL.mean, 0 * mouth, upper))[:, list(MOUTH_POINTS)]
    linear = torch.einsum("tm,mpc->tpc", mouth, mouth_point_basis(MODEL))
    torch.testing.assert_close(moved, linear, atol=1e-3, rtol=0)


def test_a_model_survives_its_file_and_refuses_another(tmp_path: Path) -> None:
    """Kills a field forgotten in save or load, and another kind of file taken for a model."""
    path = tmp_path / "model.safetensors"
    MODEL.save(path)
    again = MorphableModel.load(path)
    for name, value in vars(MODEL).items():
        other = getattr(again, name)
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
    save_tensors(path, Schema("track", 1), {"x": torch.zeros(1)}, {})
    with pytest.raises(InputError, match="not a redub morphable-model"):
        MorphableModel.load(path)


def test_another_float_type_leaves_indices_alone() -> None:
    """Kills triangles cast to float64, which cannot index."""
    double = MODEL.to(torch.float64)
    assert double.mouth.dtype == torch.float64
    assert double.triangles.dtype == torch.int32
    assert double.lower_face.dtype == torch.bool


def test_a_triangle_beyond_the_vertices_is_refused() -> None:
    """Kills a model that only fails when it is drawn."""
    fields = dict(vars(MODEL))
    fields["triangles"] = MODEL.triangles + 1
    with pytest.raises(AssertionError):
        MorphableModel(**fields)
