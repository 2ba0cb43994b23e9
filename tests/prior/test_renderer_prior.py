"""The rendering prior: its file, its training step by step, and what a sample may show."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from moving_head import CAMERA, joined, speaking, still
from painted_head import CROP, chart_at, painted_windows

import prior.train_renderer as training
from core.errors import DivergedError
from core.progress import Step
from face3d.morphable import default_model
from face3d.track import Track
from prior.corpus import MARGIN, save_windows, write_index
from prior.renderer import RendererPrior, untrained
from prior.train_renderer import APART, RendererTraining, draw_sample, train_renderer, training_clip
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
    state = again.renderer().state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.weights.items())


def test_a_texture_starts_with_the_persons_colours() -> None:
    """Kills features in place of colours: the first three channels are the person's."""
    prior = untrained(0)
    colours = torch.rand_like(prior.colours)
    texture = prior.texture(colours).features
    assert torch.equal(texture[:3], colours)
    assert torch.equal(texture[3:], prior.features)


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
    clip = training_clip(windows, MODEL, {"person": "p"})
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
    clip = training_clip(windows, MODEL, {"person": "p"})
    generator = torch.Generator().manual_seed(3)
    for _ in range(6):
        seen, image = draw_sample(clip, MODEL, generator)
        inner = seen.inner[0, 0] > 0
        error = (image - chart_at(seen.uv)).abs()[0, :2, inner]
        assert float(error.max()) < 0.01
        assert torch.equal(seen.plate, image * (1 - seen.outer))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two people, eight frames each, far enough apart to be each other's references."""
    folder = tmp_path / "corpus"
    clips = []
    for name in ("ann", "bob"):
        motion = joined(speaking(7, seed=len(clips)), still(1))
        windows = painted_windows(motion, MARGIN, 6 * torch.arange(8))
        shot = torch.zeros(43, dtype=torch.int64)
        track = Track(
            Fraction(25), 0, CAMERA, (CROP,), shot, windows.identity, speaking(43),
            shot == 0, torch.zeros(43), torch.ones(43),
        )  # fmt: skip
        save_windows(folder / f"{name}.safetensors", track, windows, {"person": name})
        clips.append({"file": f"{name}.safetensors", "person": name})
    write_index(folder, clips)
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of eight channels and textures of 32 texels: what is tested is the loop."""
    monkeypatch.setattr(training, "RendererConfig", lambda: SMALL)
    monkeypatch.setattr(training, "SIZE", 32)


FOREVER = 1e18
"""Seconds beside which the time a test takes is exactly nothing: rates do not depend on it."""


def run(corpus: Path, folder: Path, steps: int, **changes: float) -> list[Step]:
    settings = {"seconds": FOREVER, "batch": 2, "checkpoint_seconds": -1.0, **changes}
    loop = train_renderer(corpus, folder, RendererTraining(**settings))  # pyright: ignore
    return [step for _, step in zip(range(steps), loop, strict=False)]


@pytest.mark.usefixtures("small")
def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(corpus: Path, tmp_path: Path) -> None:
    """Kills a checkpoint that forgets textures, moments or the random state: bit for bit."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(corpus, whole, 4)
    run(corpus, parts, 2)
    resumed = run(corpus, parts, 2)
    assert [s.terms["step"] for s in resumed] == [3, 4]
    a, b = (RendererPrior.load(folder / "renderer.safetensors") for folder in (whole, parts))
    assert a.about["steps"] == b.about["steps"] == 4
    assert all(torch.equal(value, b.weights[name]) for name, value in a.weights.items())
    assert torch.equal(a.colours, b.colours)
    assert torch.equal(a.features, b.features)
    first = [s.terms["loss"] for s in run(corpus, tmp_path / "third", 1)]
    assert resumed[0].terms["loss"] > 0.3 * first[0]


@pytest.mark.usefixtures("small")
def test_a_training_that_diverges_says_so(corpus: Path, tmp_path: Path) -> None:
    """Kills a prior of NaNs, and gradients cleaned in silence."""
    with pytest.raises(DivergedError, match="at step"):
        run(corpus, tmp_path / "out", 3, lips=float("nan"))


@pytest.mark.usefixtures("small")
def test_training_ends_with_its_time_and_leaves_a_prior(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a budget counted anew after an interruption, and a prior that is only saved by chance:
    with a clock that ticks once a look, ten seconds are five steps, and no more after that."""
    monkeypatch.setattr(training, "monotonic", ticking())
    steps = run(corpus, tmp_path / "out", 99, seconds=10.0, checkpoint_seconds=1e9)
    assert len(steps) == 5
    assert RendererPrior.load(tmp_path / "out" / "renderer.safetensors").about["people"] == [
        "ann", "bob",
    ]  # fmt: skip
    assert run(corpus, tmp_path / "out", 99, seconds=10.0, checkpoint_seconds=1e9) == []


def ticking() -> Callable[[], float]:
    seconds = iter(range(10**6))
    return lambda: float(next(seconds))
