"""An actor refined with more footage, and the time that learning is given."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import adapt.pipeline as pipeline
from adapt.actor import Actor
from adapt.lessons import after, prepare_lessons, widened
from adapt.personalise import Personalising, held_out_conditions, personalise
from adapt.pipeline import Adaptation, adapt
from adapt.speaking_style import SpeakingStyle
from adapt.takes import APART_FRAMES, Take
from core.progress import Silent
from face3d.morphable import default_model
from face3d.track import Track
from media.clip import Clip
from prior.motion.expression import load_driver
from prior.painting.renderer import RendererPrior, untrained
from prior.painting.skin import skin_of
from prior.training.corpus import MARGIN, gather_windows
from render.deferred import DeferredRenderer, RendererConfig

MODEL = default_model()


class Noted(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def small() -> RendererPrior:
    """A small network that differs from any untrained one in every weight."""
    torch.manual_seed(1)
    network = DeferredRenderer(RendererConfig(widths=(8, 8, 8, 8)))
    weights = {k: v + 0.02 for k, v in network.state_dict().items()}
    nobody = untrained(0)
    start = {k: v + 0.02 for k, v in nobody.start.items()}
    return replace(nobody, config=network.config, weights=weights, start=start)


@pytest.fixture(scope="module")
def known(performer_clip: Clip, performer_track: Track, small: RendererPrior) -> Actor:
    """An actor of the performer's first second: weights, texture and references of its own."""
    random = torch.Generator().manual_seed(3)
    windows = gather_windows(performer_clip, performer_track, MODEL, np.arange(0, 25, 4))
    skin = skin_of(MODEL, performer_clip, performer_track, np.arange(25), hidden=False)
    return Actor(
        performer_track.identity,
        torch.randn(16, 256, 256, generator=random).clamp(-1, 1),
        {k: v + 0.01 for k, v in small.weights.items()},
        windows,
        skin,
        SpeakingStyle(load_driver().manner, performer_clip.path.name),
        {"ticket": "first", "takes": [{"clip": "clip.mp4", "seconds": 99.0}], "steps": 7},
    )


@pytest.fixture(scope="module")
def more(performer_clip: Clip) -> Take:
    return Take(performer_clip, range(100, 130))


@pytest.fixture
def quick(
    monkeypatch: pytest.MonkeyPatch, performer_track: Track, small: RendererPrior
) -> list[dict]:
    """The pipeline with the performer's track at hand and hardly any learning; notes how it was
    tracked."""
    asked: list[dict] = []

    def tracked(clip: Clip, frames: range, *_, **options) -> Track:
        asked.append(options)
        return performer_track[frames.start : frames.stop]

    monkeypatch.setattr(pipeline, "track_clip", tracked)
    monkeypatch.setattr(pipeline, "SHORTEST_LEARNING", 0.2)
    monkeypatch.setattr(pipeline, "default_prior", lambda size: small)
    monkeypatch.setattr(pipeline, "_write_report", lambda *_: None)
    return asked


def test_refining_keeps_what_was_known_and_says_where_all_came_from(
    quick: list[dict], known: Actor, more: Take, small: RendererPrior, tmp_path: Path
) -> None:
    """Kills an actor learned anew from the second clip alone: another face, its light, references
    and manner forgotten, provenance of the last clip only; and a run that refines again and again
    when the same command is repeated."""
    folder = tmp_path / "ann.actor"
    known.save(folder, small)
    job = Adaptation((more,), budget_seconds=1.0, base=folder)
    noted = Noted()
    refined = adapt(job, folder, noted)
    assert torch.equal(quick[0]["identity"].shape, known.identity.shape)
    assert torch.equal(refined.identity.offset, known.identity.offset)
    assert torch.equal(refined.skin.colours, known.skin.colours)
    assert refined.style.source == known.style.source
    old = known.windows.images.flatten(1)
    kept = refined.windows.images.flatten(1)
    assert all((kept == window).all(1).any() for window in old)
    assert len(kept) > len(old)
    about = refined.about
    assert about["refined_from"] == "first"
    assert [take["clip"] for take in about["takes"]] == ["clip.mp4", more.clip.path.name]
    assert about["steps"] > 7 - 1
    assert not (folder / "work").exists()
    again = adapt(replace(job), folder, noted)
    assert any("nothing to do" in text for text in noted.said)
    assert again.about["ticket"] == about["ticket"]
    assert len(quick) == 1


def test_refining_starts_where_the_actor_stood(
    known: Actor, more: Take, performer_track: Track, small: RendererPrior, tmp_path: Path
) -> None:
    """Kills a texture unprojected anew, and the prior's network in the place of the actor's: with
    no time to learn, what comes back is the actor."""
    lessons = prepare_lessons([more], [performer_track[100:130]], MODEL, known)
    fit = replace(lessons.fit, seen=torch.zeros_like(lessons.fit.seen))
    judged = held_out_conditions(fit, lessons.judge, MODEL)
    schedule = Personalising(seconds=0.0)
    start = known.as_start(small)
    [result] = personalise(fit, judged, MODEL, start, schedule, tmp_path / "checkpoint")
    texture, weights = vars(result)["texture"], vars(result)["weights"]
    torch.testing.assert_close(texture, known.texture, atol=1e-6, rtol=0)
    assert all(torch.equal(weights[name], value) for name, value in known.weights.items())


def test_old_references_are_learned_from_beside_the_new_frames(
    known: Actor, more: Take, performer_track: Track
) -> None:
    """Kills windows without the margin that training shifts in, widened ones seen by a camera that
    does not know, and old frames counted as neighbours in time of new ones."""
    lessons = prepare_lessons([more], [performer_track[100:130]], MODEL, known)
    windows, count = lessons.fit.windows, len(known.windows)
    inner = slice(MARGIN, -MARGIN)
    assert torch.equal(windows.images[:count, :, inner, inner], known.windows.images)
    before, now = known.windows.camera(0), windows.camera(0, margin=MARGIN)
    assert (now.centre, now.width, now.focal) == (before.centre, before.width, before.focal)
    apart = windows.frame[count:].min() - windows.frame[:count].max()
    assert apart >= APART_FRAMES
    wide = widened(known.windows)
    assert torch.equal(wide.images[..., 0, MARGIN:-MARGIN], known.windows.images[..., 0, :])
    assert after(known.windows, known.windows).frame.min() > known.windows.frame.max()


def test_a_budget_counts_from_the_start_and_keeps_the_report_free(
    monkeypatch: pytest.MonkeyPatch, more: Take
) -> None:
    """Kills learning that takes the time the report needs, and a reserve in the seconds of an idle
    machine: where the process got a quarter of the time so far, the report will take four times as
    long. A budget that is spent already is said to be."""
    monkeypatch.setattr(pipeline, "process_time", lambda: 10.0)
    noted = Noted()
    job = Adaptation((more,), budget_seconds=180.0)
    idle = pipeline._schedule(job, 10.0, 12, noted).seconds
    busy = pipeline._schedule(job, 40.0, 12, noted).seconds
    reserve = pipeline.ENDING_SECONDS + 12 * pipeline.REPORT_SECONDS_A_FRAME
    assert idle == pytest.approx(180 - 10 - reserve)
    assert busy == pytest.approx(180 - 40 - 4 * reserve)
    assert not noted.said
    late = pipeline._schedule(job, 200.0, 12, noted).seconds
    assert late == pipeline.SHORTEST_LEARNING
    assert "longer --budget" in noted.said[0]
