"""What the curve's page says of trials, and in which order they run."""

from math import isnan
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from moving_head import speaking
from painted_head import painted_windows

from benchmarks.learning.page import Results, difference, estimate
from benchmarks.learning.subjects import SECONDS, SUBJECTS
from benchmarks.learning.trial import SEEDS, Trial, in_order
from benchmarks.learning.variants import CURVE, VARIANTS, chosen_frames, face_model, filed
from evaluate.chart import Panel, Point, chart_svg
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from face3d.track import Track
from prior.painting.bank import ReferenceBank, distances
from prior.painting.person import Person
from prior.painting.skin import Skin
from render.neural_texture import NeuralTexture

MODEL = default_model()
PSNR = ("lower_face", "psnr")


def figures(psnr: float | None) -> dict:
    return {"lower_face": {"psnr": psnr}}


def results() -> Results:
    return Results(
        {
            ("prior", 4.0): {
                "ann": {0: figures(30.0), 1: figures(32.0)},
                "bob": {0: figures(20.0), 2: figures(24.0)},
                "cyd": {0: figures(None)},
            },
            ("no prior", 4.0): {
                "ann": {1: figures(28.0)},
                "bob": {1: figures(1.0)},
                "eve": {0: figures(10.0)},
            },
        }
    )


def test_people_count_alike_whatever_their_seeds() -> None:
    """Kills a mean over trials, by which who ran more often counts more, and an unknown taken for
    zero."""
    assert results().of_people("prior", 4.0, PSNR) == {"ann": 31.0, "bob": 22.0}
    assert results().counts("prior", 4.0) == "3, 5"


def test_differences_are_taken_person_by_person_and_seed_by_seed() -> None:
    """Kills a difference of two means over different people, which measures the people, and one
    over different seeds, which measures the seeds."""
    gain = difference(results(), ("prior", 4.0), ("no prior", 4.0), PSNR)
    assert (gain.mean, gain.people) == (4.0, 1)
    assert isnan(gain.half)
    assert gain.text(1) == "4.0"


def test_the_interval_is_students_over_people() -> None:
    """Kills a standard deviation called an interval, and the normal's 1.96 for three people."""
    found = estimate([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.302653 / 3**0.5, abs=1e-5)
    assert estimate([]).text(2) == "–"


def test_the_seconds_that_matter_come_first_and_all_is_there_once() -> None:
    """Kills a grid whose claims are only known at its end, and trials run twice."""
    trials = list(in_order(40.0))
    first = 3 * len(SUBJECTS) * len(CURVE)
    assert {t.seconds for t in trials[:first]} == {1.0, 4.0, 16.0}
    assert {t.seed for t in trials[:first]} == {0}
    assert len(trials) == len(set(trials))
    learned = [t for t in trials if t.variant in ("prior", "no prior")]
    assert len(learned) == 2 * len(SUBJECTS) * len(SECONDS) * len(SEEDS)


def test_a_result_is_kept_under_all_that_it_was_made_of() -> None:
    """Kills a result read back for another seed, variant, person, budget or footage; a feed-forward
    start is the same whatever time it was not given."""
    base = Trial(SUBJECTS[0], 4.0, "no prior", 0, 40.0)
    others = [
        Trial(SUBJECTS[1], 4.0, "no prior", 0, 40.0),
        Trial(SUBJECTS[0], 2.0, "no prior", 0, 40.0),
        Trial(SUBJECTS[0], 4.0, "prior", 0, 40.0),
        Trial(SUBJECTS[0], 4.0, "no prior", 1, 40.0),
        Trial(SUBJECTS[0], 4.0, "no prior", 0, 20.0),
    ]
    paths = {trial.path(Path("w")) for trial in [base, *others]}
    assert len(paths) == 6
    assert base.path(Path("w")) == Trial(SUBJECTS[0], 4.0, "no prior", 0, 40.0).path(Path("w"))
    starts = {Trial(SUBJECTS[0], 4.0, "no steps", 0, s).path(Path("w")) for s in (20.0, 40.0)}
    assert len(starts) == 1


def test_the_chart_places_doublings_evenly_and_larger_values_higher() -> None:
    """Kills a linear axis that crowds 1, 2 and 4 s, a flipped one, and NaN written into SVG."""
    nan = float("nan")
    points = [Point(1.0, 20.0, 1.0), Point(2.0, 24.0, nan), Point(4.0, 22.0, 0.5)]
    svg = chart_svg([Panel("dB", {"a": points, "b": [Point(2.0, nan, nan)]})], "seconds", 1)
    assert "nan" not in svg
    root = ElementTree.fromstring(svg)
    circles = root.findall(".//{http://www.w3.org/2000/svg}circle")
    x, y = ([float(c.attrib[k]) for c in circles] for k in ("cx", "cy"))
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)
    assert y[1] < y[2] < y[0]


def test_shut_mouths_are_the_least_open_ones_and_few_are_as_many(performer_track: Track) -> None:
    """Kills frames chosen by an absolute gap, which finds none of some people and all of others,
    and a comparison with more footage."""
    model = default_model()
    shut, few = (chosen_frames(performer_track, model, which) for which in ("shut", "few"))
    count = round(0.4 * int(performer_track.valid.sum()))
    assert int(shut.valid.sum()) == int(few.valid.sum()) == count
    opening = mouth_opening(model, performer_track.motion.mouth)
    assert opening[shut.valid].max() <= opening[performer_track.valid & ~shut.valid].min()
    assert opening[few.valid].max() > opening[shut.valid].max()
    assert chosen_frames(performer_track, model, "all") is performer_track


def test_references_chosen_as_by_chance_show_what_they_showed() -> None:
    """Kills a shuffle that also moves pictures or what they show: only the choice may change."""
    windows = painted_windows(speaking(12))
    cameras = [windows.camera(i) for i in range(len(windows))]
    motion, images = windows.motion, windows.images
    bank = ReferenceBank.of(MODEL, windows.identity, motion, windows.frame, images, cameras)
    texture, skin = (
        NeuralTexture(torch.zeros(16, 8, 8)),
        Skin(torch.zeros(3, 8, 8), torch.ones(8, 8) > 0),
    )
    person = Person(MODEL, windows.identity, torch.nn.Identity(), texture, bank, skin)
    assert filed(person, VARIANTS["prior"]) is person
    mixed = filed(person, VARIANTS["any reference"]).bank
    assert mixed.images is bank.images
    assert mixed.pixels is bank.pixels
    nearest = distances(MODEL, mixed, motion).argmin(1)
    assert sorted(nearest.tolist()) == list(range(12))
    assert int((nearest == torch.arange(12)).sum()) < 4


def test_without_arcs_a_mouth_is_a_bag() -> None:
    """Kills teeth that stay, and a cavity that goes with them."""
    bare = face_model(VARIANTS["no dental arcs"])
    inside = bare.inside[bare.triangles.long()].any(1)
    chart = bare.uv[bare.triangles[inside].long()]
    assert bool((chart[..., 0] > 0.5).any(1).all())
    assert int(inside.sum()) >= 100
    assert len(MODEL.triangles) - len(bare.triangles) == 2 * 2 * 2 * 14
    assert face_model(VARIANTS["prior"]) is MODEL
