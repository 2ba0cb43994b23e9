"""From generic expressions to this actor's habits, as far as seconds of footage can tell."""

from fractions import Fraction

from jaxtyping import Float
from torch import Tensor

from adapt.actor import SpeakingStyle
from face3d.lips import mouth_opening
from face3d.morphable import MorphableModel
from face3d.track import Track
from media.audio import load_audio
from media.clip import Clip
from prior.expression import load_driver

GAIN_RANGE = (0.6, 1.6)


def learn_style(clip: Clip, track: Track, model: MorphableModel) -> SpeakingStyle:
    """How widely this actor opens the mouth for their own words, against the generic model.

    The ratio of the openings' standard deviations: unlike a regression slope it does not shrink
    when the sound is out of step with the picture. Closed lips stay closed, for the gain scales
    about the closed mouth.
    """
    if not clip.has_audio:
        return SpeakingStyle()
    generic = load_driver().mouth(
        load_audio(clip.path), clip.fps, len(track), Fraction(track.start) / clip.fps
    )
    return SpeakingStyle(_gain(model, generic, track), clip.path.name)


def _gain(model: MorphableModel, generic: Float[Tensor, "T M"], track: Track) -> float:
    seen = track.valid
    shown = mouth_opening(model, track.motion.mouth[seen]).std()
    expected = mouth_opening(model, generic[seen]).std()
    if float(expected) < 1e-4:  # a tenth of a millimetre: the sound is no speech
        return 1.0
    return float((shown / expected).clamp(*GAIN_RANGE))


def in_style(
    mouth: Float[Tensor, "T M"], style: SpeakingStyle, strength: float
) -> Float[Tensor, "T M"]:
    """Generic mouth motion as the actor would move, times the user's strength."""
    return mouth * (style.gain * strength)
