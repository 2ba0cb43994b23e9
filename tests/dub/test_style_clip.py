"""A line in somebody else's manner."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors import InputError
from core.progress import Silent
from dub import shot
from dub.shot import style_of_clip
from face3d.morphable import default_model
from media.clip import Clip
from prior.motion.expression import load_driver

PERFORMER = Path(__file__).parents[2] / "scripts/performer/clip.mp4"


def test_a_style_clip_teaches_a_manner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a style that is accepted and not learned."""
    monkeypatch.setattr(shot, "STYLE_SECONDS", 2)
    style, mouths = style_of_clip(PERFORMER, default_model(), Silent())
    assert len(mouths) > 40
    assert style.source == "clip.mp4"
    average = load_driver().manner
    assert not torch.allclose(style.manner.posture, average.posture, atol=1e-3)


def test_a_style_clip_without_sound_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    mute = replace(Clip.open(PERFORMER), has_audio=False)
    monkeypatch.setattr(shot.Clip, "open", lambda _: mute)
    with pytest.raises(InputError, match="has no sound"):
        style_of_clip(PERFORMER, default_model(), Silent())
