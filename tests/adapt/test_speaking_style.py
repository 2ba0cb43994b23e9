"""What of an actor's way of speaking is used with which speech model."""

from dataclasses import replace

import torch

from adapt.actor import style_facts
from adapt.speaking_style import SpeakingStyle
from prior.motion.expression import load_driver
from prior.motion.habit import Habit


def test_a_habit_is_used_with_the_model_that_it_was_learned_with_alone() -> None:
    """Kills an old actor's habit read out of another network's numbers, and a manner lost with
    it."""
    model = load_driver()
    manner = replace(model.manner, posture=model.manner.posture + 1)
    style = SpeakingStyle(manner, "clip.mp4", habit=Habit(torch.ones(9, 20), torch.ones(20)))
    assert style.driver().habit is None
    assert style.driver().manner is manner
    told = replace(style, taught=model.stamp)
    assert told.driver().habit is told.habit
    assert style_facts(told)["taught"] == model.stamp
