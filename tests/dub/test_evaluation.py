"""What evaluation makes of sound: where it starts, how late it is, what silence drives."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from dub.bench import _totals
from dub.evaluation import Evaluation, driven_by, from_start, late_by, sound_of
from dub.performance import Performance
from face3d.track import Track
from media.audio import Audio, load_audio
from media.clip import Clip


def test_sound_is_cut_or_padded_to_the_first_frame() -> None:
    """Kills: sync measured against sound that begins elsewhere."""
    samples = np.arange(1, 9, dtype=np.float32)[None] / 10
    early = from_start(Audio(samples, 4, Fraction(-1)))
    late = from_start(Audio(samples, 4, Fraction(1, 2)))
    assert early is not None
    assert late is not None
    np.testing.assert_array_equal(early.samples, samples[:, 4:])
    np.testing.assert_array_equal(late.samples[0, :4], np.float32([0, 0, 0.1, 0.2]))
    assert early.start == late.start == 0
    assert from_start(None) is None


def test_the_plates_sound_is_that_of_its_range(performer_clip: Clip) -> None:
    """Kills: the clip's first second driving its third."""
    job = Evaluation(performer_clip.path, performer_clip.path, range(50, 75), "own")
    sound = sound_of(job, performer_clip)
    assert sound is not None
    assert sound.start == 0
    assert sound.seconds == pytest.approx(1.0, abs=1e-3)
    whole = load_audio(performer_clip.path)
    first = round((Fraction(2) - whole.start) * whole.rate)
    np.testing.assert_array_equal(sound.samples[:, :100], whole.samples[:, first : first + 100])


def test_late_sound_is_found_late(performer_clip: Clip, performer_track: Track) -> None:
    """Kills: the sign turned, by which a correction would double the error."""
    sound = load_audio(performer_clip.path)
    lag = late_by(sound, performer_track)
    delayed = replace(sound, start=sound.start + Fraction(4) / performer_clip.fps)
    assert abs(lag) < 1
    assert late_by(delayed, performer_track) == pytest.approx(lag + 4, abs=0.3)


def test_only_painted_frames_are_judged(performer_track: Track) -> None:
    """Kills: frames that were left alone counted as perfect."""
    track = performer_track[:4]
    mouth = torch.ones_like(track.motion.mouth)
    performance = Performance(mouth, mouth, np.ones(4), ("", "no speech", "", ""))
    driven = driven_by(track, performance)
    assert driven.valid.tolist() == [True, False, True, True]
    assert driven.motion.mouth is mouth
    assert driven.motion.rotation is track.motion.rotation


def test_stages_one_after_another_add_their_times() -> None:
    """Kills: speeds added or averaged instead of times."""
    tracking = ("find landmarks", "fit landmarks", "picture stage")
    rendering = ("decode", "conditions", "network", "composite", "encode FFV1")
    totals = _totals(dict.fromkeys((*tracking, *rendering), 10.0))
    assert totals["landmark stage"] == pytest.approx(10 / 2)
    assert totals["tracking"] == pytest.approx(10 / 3)
    assert totals["rendering"] == pytest.approx(10 / 5)
    assert totals["dubbing"] == pytest.approx(10 / 8)
