"""From the average speaker to this actor's manner, as far as seconds of their own speech tell."""

from dataclasses import dataclass, replace

from face3d.morphable import MorphableModel
from face3d.track import Track
from media.audio import load_audio
from media.clip import Clip
from prior.motion.alignment import measured_lag
from prior.motion.expression import ExpressionModel, load_driver
from prior.motion.habit import Habit
from prior.motion.manner import Manner
from prior.sound.hearing import hear_in_doubt


@dataclass(frozen=True)
class SpeakingStyle:
    """How this actor's mouth answers speech, where that was learned, and how late its sound was."""

    manner: Manner
    source: str
    lag_frames: float = 0.0
    lag_confidence: float = 0.0
    habit: Habit | None = None
    taught: str = ""
    """Stamp of the speech model that the habit was learned with."""

    def driver(self) -> ExpressionModel:
        """The speech model, speaking as this actor.

        A habit says nothing to another model than the one it was learned with; the manner does.
        """
        model = load_driver()
        habit = self.habit if self.taught == model.stamp else None
        return replace(model, manner=self.manner, habit=habit)


def learn_style(clip: Clip, track: Track, model: MorphableModel) -> SpeakingStyle:
    """Manner and habit of the actor from the footage's own sound, put in step with the picture.

    Footage without sound leaves the average speaker.
    """
    average = load_driver()
    if not clip.has_audio:
        return SpeakingStyle(average.manner, "no sound to learn from")
    sound = hear_in_doubt(load_audio(clip.path))
    lag = measured_lag(sound, track, average, model)
    own = average.in_manner_of(sound, track, lag.believed)
    return SpeakingStyle(
        own.manner, clip.path.name, lag.frames, lag.confidence, own.habit, average.stamp
    )
