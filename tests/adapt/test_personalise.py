"""Fine-tuning: it learns, keeps what frames it has not learned from bear, and can be resumed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from moving_head import speaking
from painted_head import painted_windows
from torch import Tensor

import adapt.personalise as personalising
from adapt.personalise import (
    Personal,
    Personalised,
    Personalising,
    held_out_conditions,
    held_out_error,
    personalise,
)
from core.errors import DivergedError
from core.progress import Step
from core.serial import load_tensors
from face3d.morphable import default_model
from prior.painting.conditions import Conditions
from prior.painting.renderer import RendererPrior, untrained
from prior.training.checkpoint import SCHEMA
from prior.training.corpus import MARGIN
from prior.training.train_renderer import TrainingClip, training_clip
from render.deferred import DeferredRenderer, RendererConfig

MODEL = default_model()
FOREVER = 1e18


def small_prior() -> RendererPrior:
    torch.manual_seed(0)
    network = DeferredRenderer(RendererConfig(widths=(8, 8, 8, 8)))
    return replace(untrained(0), config=network.config, weights=network.state_dict())


PRIOR = small_prior()


@pytest.fixture(scope="module")
def clips() -> tuple[TrainingClip, TrainingClip]:
    """Ten frames to learn from, three to judge by, of one painted head."""
    motion, frames = speaking(39), 3 * torch.arange(13)
    windows = [painted_windows(motion[f], MARGIN, f) for f in (frames[:10], frames[10:])]
    fit, judge = (training_clip(w, MODEL, "p") for w in windows)
    return fit, judge


@pytest.fixture(scope="module")
def judged(clips: tuple[TrainingClip, TrainingClip]) -> tuple[Conditions, Tensor]:
    return held_out_conditions(*clips, MODEL)


def ticking() -> Callable[[], float]:
    seconds = iter(range(10**6))
    return lambda: float(next(seconds))


def learning(clips, judged, folder: Path, **changes) -> Iterator[Step | Personalised]:
    settings = {"batch": 1, "judge_every": 5, "checkpoint_seconds": 1e9, **changes}
    config = Personalising(**settings)
    return personalise(clips[0], judged, MODEL, PRIOR, config, folder / "checkpoint.safetensors")


def test_learning_lowers_the_error_of_frames_not_learned_from(
    clips, judged, tmp_path: Path
) -> None:
    """Kills a loop that learns nothing, returns its last state instead of its best, or judges by
    the fitted frames: the weights that come back have the lowest error of the curve, and that is
    below the start's, a texture much too pale. With a clock that ticks at every look, 60 seconds
    are 30 steps."""
    pale = replace(clips[0], colours=0.3 * clips[0].colours), clips[1]
    *steps, result = learning(
        pale, judged, tmp_path, seconds=60.0, clock=ticking(), network_rate=3e-3
    )
    assert len(steps) == 30
    assert isinstance(result, Personalised)
    assert result.steps == [0, 5, 10, 15, 20, 25, 30]
    assert min(result.held_out_error) < 0.97 * result.held_out_error[0]
    state = Personal(PRIOR, clips[0])
    state.renderer.load_state_dict(result.weights)
    with torch.no_grad():
        state.texture.features.copy_(result.texture)
    error = held_out_error(state, judged)
    assert error == pytest.approx(min(result.held_out_error), abs=1e-6)


def test_the_latest_state_that_does_not_go_astray_is_kept(
    clips, judged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills the very best of few frames, the last whatever they say, and a measure that creeps up
    with what is kept: 0.98 is near enough to 0.9, 1.0 is not."""
    errors, textures = [2.0, 0.9, 0.98, 1.0, 1.2], []

    def told(state: Personal, _: tuple[Conditions, Tensor]) -> float:
        textures.append(state.texture.features.detach().clone())
        return errors[len(textures) - 1]

    monkeypatch.setattr(personalising, "held_out_error", told)
    *_, result = learning(clips, judged, tmp_path, seconds=8.0, clock=ticking(), judge_every=1)
    assert isinstance(result, Personalised)
    assert result.held_out_error == errors
    assert torch.equal(result.texture, textures[2])
    assert not torch.equal(textures[2], textures[1])


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(clips, judged, tmp_path: Path) -> None:
    """Kills a checkpoint that forgets moments, random state or the best error so far."""
    ends = []
    for parts in ((4,), (2, 2)):
        folder = tmp_path / str(len(parts))
        for count in parts:
            loop = learning(
                clips, judged, folder, seconds=FOREVER, checkpoint_seconds=-1.0, judge_every=2
            )
            steps = [step for _, step in zip(range(count), loop, strict=False)]
            assert len(steps) == count
        ends.append(load_tensors(folder / "checkpoint.safetensors", SCHEMA))
    (one, header), (two, resumed) = ends
    assert header["step"] == resumed["step"] == 4
    assert one.keys() == two.keys()
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert header["curves"]["held_out"] == resumed["curves"]["held_out"]


def test_no_time_at_all_still_gives_the_feed_forward_start(clips, judged, tmp_path: Path) -> None:
    """Kills a result that needs a step: a budget of nothing returns the prior and the unprojected
    texture, judged once."""
    (result,) = learning(clips, judged, tmp_path, seconds=0.0)
    assert isinstance(result, Personalised)
    assert result.steps == [0]
    start = PRIOR.texture(clips[0].colours, clips[0].seen)
    assert torch.equal(result.texture, start.features)
    assert all(torch.equal(value, PRIOR.weights[name]) for name, value in result.weights.items())


def test_a_run_that_diverges_says_so(clips, judged, tmp_path: Path) -> None:
    """Kills an actor of NaNs."""
    broken = replace(clips[0], colours=clips[0].colours * torch.nan)
    with pytest.raises(DivergedError, match="at step 0"):
        list(learning((broken, clips[1]), judged, tmp_path, seconds=FOREVER))


def test_held_out_frames_see_only_fitted_references(clips, judged) -> None:
    """Kills a judge who shows the answer: pictures are the windows without their margin, each seen
    with references of the fitted frames alone."""
    seen, truth = judged
    inner = slice(MARGIN, -MARGIN)
    expected = clips[1].windows.images[:, :, inner, inner].float() / 127.5 - 1
    assert torch.equal(truth, expected)
    assert torch.equal(seen.plate, truth * (1 - seen.outer))
    blind = replace(clips[1].bank, images=torch.zeros_like(clips[1].bank.images))
    again, _ = held_out_conditions(clips[0], replace(clips[1], bank=blind), MODEL)
    assert torch.equal(again.references, seen.references)
    few, _ = held_out_conditions(*clips, MODEL, limit=2)
    assert len(few.plate) == 2
