"""An actor learned in strides: the footage is registered on the way, and nothing is done twice."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import adapt.learning as learning
from adapt.learning import Course, School, learn
from adapt.lessons import Lessons, prepare_lessons
from adapt.personalise import Personalised, Personalising
from adapt.takes import Take
from core.progress import Silent
from face3d.morphable import default_model
from face3d.track import Motion, Track
from media.clip import Clip
from prior.painting.renderer import RendererPrior, untrained
from render.deferred import DeferredRenderer, RendererConfig

MODEL = default_model()


@pytest.fixture(scope="module")
def prior() -> RendererPrior:
    network = DeferredRenderer(RendererConfig(widths=(8, 8, 8, 8)))
    return replace(untrained(0), config=network.config, weights=dict(network.state_dict()))


@pytest.fixture(scope="module")
def course(performer_clip: Clip, performer_track: Track) -> Course:
    """The performer's second second, its head 5 mm aside of where it is."""
    track = performer_track[25:55]
    aside = track.motion.translation + torch.tensor([0.005, 0.0, 0.0])
    motion = Motion(track.motion.rotation, aside, track.motion.mouth, track.motion.upper)
    take, tracks = Take(performer_clip, range(25, 55)), (replace(track, motion=motion),)
    return Course((take,), tracks, prepare_lessons([take], tracks, MODEL))


def test_learning_goes_on_from_the_sketch_on_registered_footage(
    course: Course, prior: RendererPrior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills lessons of the tracks as they were, a sketch that is forgotten, learning that starts
    over, and a second run that does finished strides again."""
    told: list[tuple[str, bool]] = []

    def fine_tuned(lessons: Lessons, school: School) -> Personalised:
        own = any(not torch.equal(school.prior.weights[k], v) for k, v in prior.weights.items())
        told.append((school.config.stage, own))
        weights = {k: v + 0.01 for k, v in school.prior.weights.items()}
        texture = torch.zeros(16, 256, 256)
        return Personalised(texture, weights, [0, 3], [0.5, 0.4], [0.3, 0.2])

    def lessons_of(tracks: Sequence[Track]) -> Lessons:
        return prepare_lessons(course.takes, tracks, MODEL)

    monkeypatch.setattr(learning, "fine_tuned", fine_tuned)
    school = School(MODEL, prior, Personalising(seconds=1.0), tmp_path, Silent())
    learned, outcome = learn(course, school, lessons_of)
    assert told == [("sketch", False), ("adapt", True)]
    [before], [after] = course.tracks, learned.tracks
    assert not torch.equal(before.motion.rotation, after.motion.rotation)
    assert torch.allclose(before.motion.mouth, after.motion.mouth, atol=1e-3)
    pick = learned.lessons.fit.windows.frame - after.start
    fitted = learned.lessons.fit.windows.motion.rotation
    assert torch.allclose(fitted, after.motion.rotation[pick])
    assert outcome.steps == [0, 3, 3, 6]

    told.clear()
    again, _ = learn(course, school, lessons_of)
    assert told == [("adapt", True)]
    assert torch.allclose(again.tracks[0].motion.rotation, after.motion.rotation)
