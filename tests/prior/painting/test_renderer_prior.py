"""The rendering prior: its file, its training step by step, and what a sample may show."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from fake_vision import install
from moving_head import joined, speaking, still
from painted_head import chart_at, painted_windows

import prior.training.train_renderer as training
from core.errors import DivergedError, UsageError
from core.progress import Step
from core.serial import load_tensors
from face3d.lips import mouth_opening
from face3d.morphable import MorphableModel, default_model
from prior.card import card_of, markdown
from prior.painting.renderer import RendererPrior, untrained
from prior.training.checkpoint import SCHEMA as CHECKPOINT
from prior.training.corpus import MARGIN, Sample, Windows, encode_sample
from prior.training.shards import Index, ShardWriter
from prior.training.train_renderer import (
    APART,
    Grid,
    RendererTraining,
    TrainingClip,
    draw,
    draw_sample,
    pupil,
    train_renderer,
    training_clip,
)
from render.deferred import RendererConfig

MODEL = default_model()
SMALL = RendererConfig(widths=(8, 8, 8, 8))


def test_a_prior_survives_its_file(tmp_path: Path) -> None:
    """Kills lost widths, a forgotten tensor and precision below a half."""
    prior = untrained(3)
    prior.save(tmp_path / "p.safetensors")
    again = RendererPrior.load(tmp_path / "p.safetensors")
    assert again.config == prior.config
    assert again.about == prior.about
    assert again.weights.keys() == prior.weights.keys()
    for name, value in prior.weights.items():
        torch.testing.assert_close(again.weights[name], value, atol=5e-4, rtol=0)
    assert torch.equal(again.features, prior.features.half().float())
    assert again.start.keys() == prior.start.keys()
    state = again.renderer().state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.weights.items())


def test_a_texture_starts_with_the_persons_colours() -> None:
    """Kills features in place of colours, and holes left black: untrained, the start is the
    person's colours where they were seen,
    everybody's elsewhere, near what was seen in its light."""
    prior = replace(untrained(0), colours=torch.full((3, 256, 256), 0.2))
    colours, seen = torch.rand_like(prior.colours), torch.zeros(256, 256)
    seen[:, :128] = 1
    texture = prior.texture(colours * seen, seen).features
    assert torch.equal(texture[:3, :, :128], colours[..., :128])
    assert float(texture[:3, :, 128:131].mean()) > 0.35
    torch.testing.assert_close(texture[:3, :, 200:], prior.colours[..., 200:], atol=0.01, rtol=0)
    assert torch.equal(texture[3:], prior.features)


@pytest.mark.usefixtures("small")
def test_training_goes_on_from_a_prior_and_its_table_of_rights(
    corpus: Path, tmp_path: Path
) -> None:
    """Kills a start from nothing, and a card that forgets whom the weights have seen before."""
    run(corpus, tmp_path / "first", steps=1)
    before = RendererPrior.load(tmp_path / "first" / "renderer.safetensors")
    eve = {"source": "eve.mov", "person": "eve", "rights": "signed by eve"}
    before = replace(before, colours=before.colours + 0.3, about={"clips": [eve], "steps": 7})
    still = {"steps": 1, "network_rate": 0.0, "texture_rate": 0.0}
    run(corpus, tmp_path / "second", prior=before, **still)
    after = RendererPrior.load(tmp_path / "second" / "renderer.safetensors")
    for now, then in ((after.weights, before.weights), (after.start, before.start)):
        assert all(torch.equal(value, then[name].half().float()) for name, value in now.items())
    torch.testing.assert_close(after.colours, before.colours, atol=1e-3, rtol=0)
    assert torch.equal(after.features, before.features)
    assert after.about["people"] == [*NAMES, "eve"]
    assert after.about["before"] == {"steps": 7}


def test_the_untrained_prior_depends_on_its_seed_alone() -> None:
    """Kills a baseline that changes with the random state around it, or changes that state."""
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = untrained(5)
    assert torch.equal(torch.rand(3), expected)
    second, other = untrained(5), untrained(6)
    assert all(torch.equal(v, second.weights[k]) for k, v in first.weights.items())
    assert not torch.equal(first.features, other.features)


def test_a_frame_is_never_its_own_reference() -> None:
    """Kills references that copy the answer: those drawn are at least five frames away."""
    motion = joined(speaking(14), speaking(3, seed=2))
    frames = torch.cat([torch.arange(14), torch.tensor([40, 41, 44])])
    windows = painted_windows(motion, MARGIN, frames)
    windows.images[:] = torch.arange(len(frames))[:, None, None, None]
    clip = training_clip(windows, MODEL, "p")
    drawn: list[tuple[torch.Tensor, torch.Tensor]] = []

    def kept(model, view, outer, image, bank, chosen):
        drawn.append((image, chosen))
        raise StopIteration

    generator = torch.Generator().manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "assembled", kept)
        patch.setattr(training, "look", lambda *_: None)
        for _ in range(60):
            with pytest.raises(StopIteration):
                draw_sample(clip, MODEL, generator)
    assert len({tuple(chosen.flatten().tolist()) for _, chosen in drawn}) > 20
    for image, chosen in drawn:
        target = int((image[0, 0, 0, 0] + 1) * 127.5 + 0.5)
        gap = (clip.windows.frame[chosen] - clip.windows.frame[target]).abs()
        assert int(gap.min()) >= APART


def test_a_sample_and_its_conditions_lie_on_each_other() -> None:
    """Kills a random shift of the picture that the camera does not follow: a clip painted with its
    own texture coordinates shows each pixel its own."""
    windows = painted_windows(speaking(16), MARGIN, paint=chart_at)
    clip = training_clip(windows, MODEL, "p")
    generator = torch.Generator().manual_seed(3)
    for _ in range(6):
        seen, image = draw_sample(clip, MODEL, generator)
        inner = seen.inner[0, 0] > 0
        error = (image - chart_at(seen.uv)).abs()[0, :2, inner]
        assert float(error.max()) < 0.01
        assert torch.equal(seen.plate, image * (1 - seen.outer))


def test_who_knows_shut_mouths_is_asked_for_open_ones() -> None:
    """Kills an episode whose references or texture show the open mouth that is asked for, and one
    that leaves out what the least open frames do show."""
    windows = painted_windows(speaking(16), MARGIN)
    opening = mouth_opening(MODEL, windows.motion.mouth)
    windows.images[:] = (40 + 7 * opening.argsort().argsort())[:, None, None, None]
    known = pupil(windows, MODEL, "p")
    shut = set(opening.argsort()[:6].tolist())
    generator = torch.Generator().manual_seed(0)
    drawn = [draw(known.shut, generator) for _ in range(40)]
    assert all(d.index in opening.argsort()[-6:].tolist() for d in drawn)
    assert {int(i) for d in drawn for i in d.chosen.flatten()} <= shut
    assert all(
        int((windows.frame[d.chosen] - windows.frame[d.index]).abs().min()) >= APART for d in drawn
    )
    brightest = (known.shut.colours[:, known.shut.seen > 0.1].max() + 1) * 127.5
    assert float(brightest) < 40 + 7 * 5 + 1
    assert float(known.whole.colours.max() + 1) * 127.5 > 40 + 7 * 6
    assert known.shut.bank is known.whole.bank


def test_open_mouths_are_drawn_more_often() -> None:
    """Kills a chance that favours shut mouths, and one that an actor's adaptation inherits."""
    windows = painted_windows(speaking(16), MARGIN)
    opening = mouth_opening(MODEL, windows.motion.mouth)
    generator = torch.Generator().manual_seed(0)
    wide = set(opening.argsort()[8:].tolist())

    def share(clip: TrainingClip) -> float:
        return sum(draw(clip, generator).index in wide for _ in range(400)) / 400

    assert share(pupil(windows, MODEL, "p").whole) == pytest.approx(0.75, abs=0.08)
    assert share(training_clip(windows, MODEL, "p")) == pytest.approx(0.5, abs=0.09)


NAMES = ("ann", "bob", "cleo")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people in two shards, eight frames each, far enough apart to be each other's
    references."""
    folder = tmp_path_factory.mktemp("corpus")
    index = Index(95)
    for shard, names in enumerate((NAMES[:2], NAMES[2:])):
        writer = ShardWriter(folder, f"shard-{shard}.tar")
        for name in names:
            motion = joined(speaking(7, seed=len(index.clips)), still(1))
            windows = painted_windows(motion, MARGIN, 6 * torch.arange(8))
            about = {"source": f"{name}.mov", "person": name, "rights": f"signed by {name}"}
            index.clips[name] = {**about, "stretches": 1}
            writer.add(f"{name}-000", name, 8, encode_sample(Sample(windows, None, about), 95))
        index.shards.append(writer.close())
    index.save(folder)
    return folder


READY: dict[str, TrainingClip] = {}
"""Clips made ready once for all tests: they never change."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textures of 32 texels, as the network has eight channels: what is tested is the loop."""
    monkeypatch.setattr(training, "SIZE", 32)

    def remembered(windows: Windows, model: MorphableModel, person: str) -> TrainingClip:
        return READY.get(person) or READY.setdefault(person, training_clip(windows, model, person))

    monkeypatch.setattr(training, "training_clip", remembered)


def run(
    corpus: Path,
    folder: Path,
    stop: int | None = None,
    prior: RendererPrior | None = None,
    **changes: object,
) -> list[Step]:
    """The steps of a training of six, broken off after `stop`; two clips fit into memory, and
    every third step another one comes."""
    settings = {"steps": 6, "batch": 2, "hold": 2, "visit": 6, "checkpoint_seconds": -1.0}
    config = RendererTraining(**{"renderer": SMALL, **settings, **changes})  # pyright: ignore
    loop = train_renderer(corpus, folder, config, prior=prior)
    steps = [event for event in islice(loop, stop) if not isinstance(event, Grid)]
    loop.close()  # pyright: ignore
    return steps


@pytest.mark.usefixtures("small")
def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(corpus: Path, tmp_path: Path) -> None:
    """Kills a checkpoint that forgets textures, moments, the random state or which clips are held:
    interrupted between two exchanges, the result is the same bit for bit."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    first = run(corpus, whole)
    run(corpus, parts, 4)
    resumed = run(corpus, parts)
    assert [s.terms["step"] for s in resumed] == [5, 6]
    assert resumed[-1].terms == first[-1].terms
    assert (resumed[-1].index, resumed[-1].total) == (6, 6)
    a, b = (RendererPrior.load(folder / "renderer.safetensors") for folder in (whole, parts))
    assert a.about["steps"] == b.about["steps"] == 6
    assert all(torch.equal(value, b.weights[name]) for name, value in a.weights.items())
    assert torch.equal(a.colours, b.colours)
    assert torch.equal(a.features, b.features)
    assert len(list(parts.glob("checkpoint-*"))) == 1
    assert run(corpus, parts) == []


@pytest.mark.usefixtures("small")
def test_a_new_clip_starts_afresh(corpus: Path, tmp_path: Path) -> None:
    """Kills a newcomer that inherits its predecessor's texture or moments, and a predecessor whose
    share of the mean texture is lost."""
    run(corpus, tmp_path, 3)
    (path,) = tmp_path.glob("checkpoint-3-0.safetensors")
    tensors, _ = load_tensors(path, CHECKPOINT)
    first_own = sum(name.startswith("module.shared.") for name in tensors)
    assert f"optimiser.{first_own - 1}.step" in tensors
    assert f"optimiser.{first_own}.step" not in tensors
    assert not tensors["module.own.0"][3:].any()
    assert tensors["module.past"][3:].any()
    assert tensors["module.gone"].item() == 1


@pytest.mark.usefixtures("small")
def test_the_card_lists_who_was_seen_under_which_rights(corpus: Path, tmp_path: Path) -> None:
    """Kills a card written by hand, and one of the clips at hand only: rows are the corpus' own."""
    run(corpus, tmp_path, steps=1)
    page = markdown(card_of(tmp_path / "renderer.safetensors"))
    for name in NAMES:
        assert f"| {name}.mov | {name} | signed by {name} |" in page
    assert "windows: 24" in page


@pytest.mark.usefixtures("small")
def test_a_network_may_judge_the_pictures(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a weight that changes nothing or whose judge is asked at a weight of 0, a judge kept
    among the weights that are learned, and a card silent about it."""
    install(monkeypatch, tmp_path)
    (plain,) = run(corpus, tmp_path / "plain", steps=1)
    install(monkeypatch, tmp_path, "vgg")
    (judged,) = run(corpus, tmp_path / "judged", steps=1, perceptual=0.5)
    assert judged.terms["loss"] > 1.05 * plain.terms["loss"]
    without, by = (
        RendererPrior.load(tmp_path / name / "renderer.safetensors") for name in ("plain", "judged")
    )
    assert set(by.weights) == set(without.weights)
    assert "judged_by" not in without.about
    assert by.about["judged_by"] == "LPIPS of VGG-16 (ImageNet)"


@pytest.mark.usefixtures("small")
def test_another_number_of_processes_does_not_resume(corpus: Path, tmp_path: Path) -> None:
    """Kills a resumed run that forgets what the other processes held."""
    run(corpus, tmp_path, steps=1)
    (tmp_path / "checkpoint.json").write_text('{"step": 1, "processes": 2}')
    with pytest.raises(UsageError, match="trained by 2 processes"):
        run(corpus, tmp_path)


@pytest.mark.usefixtures("small")
def test_a_corpus_a_start_or_a_checkpoint_of_another_size_is_refused(
    corpus: Path, tmp_path: Path
) -> None:
    """Kills faces 192 pixels high shown to a network of 384, layers that do not fit met by a trace,
    and a card that says full of what learned from light windows."""
    full = replace(SMALL, size="full")
    with pytest.raises(UsageError, match=r"light size.*--size light.*prior prepare --size full"):
        run(corpus, tmp_path / "a", renderer=full)
    with pytest.raises(UsageError, match=r"--start holds a full renderer"):
        run(corpus, tmp_path / "b", prior=replace(untrained(0), config=full))
    run(corpus, tmp_path / "c", steps=1)
    index = Index.load(corpus)
    (tmp_path / "d").mkdir()
    for shard in index.shards:
        (tmp_path / "d" / shard.file).symlink_to(corpus / shard.file)
    replace(index, size="full").save(tmp_path / "d")
    with pytest.raises(UsageError, match="c holds a light renderer"):
        run(tmp_path / "d", tmp_path / "c", renderer=full)


@pytest.mark.usefixtures("small")
def test_a_training_that_diverges_says_so(corpus: Path, tmp_path: Path) -> None:
    """Kills a prior of NaNs, and gradients cleaned in silence."""
    with pytest.raises(DivergedError, match="at step"):
        run(corpus, tmp_path / "out", lips=float("nan"))


@pytest.mark.usefixtures("small")
def test_training_ends_with_its_time_and_leaves_a_prior(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a budget counted anew after an interruption, and a prior that is only saved by chance:
    with a clock that ticks once a look, five seconds are four steps, and no more after that."""
    monkeypatch.setattr(training, "monotonic", ticking())
    timed = {"seconds": 5.0, "steps": None, "checkpoint_seconds": 1e9}
    assert len(run(corpus, tmp_path / "out", **timed)) == 4
    about = RendererPrior.load(tmp_path / "out" / "renderer.safetensors").about
    assert about["people"] == list(NAMES)
    assert run(corpus, tmp_path / "out", **timed) == []


def ticking() -> Callable[[], float]:
    seconds = iter(range(10**6))
    return lambda: float(next(seconds))
