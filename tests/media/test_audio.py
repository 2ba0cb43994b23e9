from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile

from core.errors import InputError
from media.audio import Audio, load_audio, silence


@pytest.mark.parametrize("rate", [44100, 22050, 16000, 48000])
def test_sixteen_bit_wav_is_read_exactly(tmp_path: Path, rate: int) -> None:
    """Kills a resampling on load, swapped channels and a wrong scale."""
    codes = np.random.default_rng(0).integers(-32768, 32768, (rate, 2), dtype=np.int16)
    scipy.io.wavfile.write(tmp_path / "a.wav", rate, codes)
    audio = load_audio(tmp_path / "a.wav")
    assert (audio.rate, audio.start, audio.seconds) == (rate, 0, 1.0)
    np.testing.assert_array_equal(audio.samples, codes.T.astype(np.float32) / 32768)


def test_sixteen_kilohertz_keeps_pitch_time_and_length(tone: Callable) -> None:
    """Kills dropping samples (pitch), a delay of the filter, and summing channels."""
    audio = Audio(np.repeat(tone(44100, 1.0), 2, axis=0), 44100)
    mono = audio.mono16k()
    assert mono.samples.shape == (1, 16000)
    assert mono.samples.dtype == np.float32
    inside = slice(500, -500)
    assert np.abs(mono.samples[:, inside] - tone(16000, 1.0)[:, inside]).max() < 1e-3


@pytest.mark.parametrize("start", [Fraction(0), Fraction(1, 2), Fraction(-1, 4)])
def test_section_by_hand(start: Fraction) -> None:
    """Kills forgetting the start, and a section that is shorter than asked at either end."""
    audio = Audio(np.arange(1, 101, dtype=np.float32)[None] / 128, 100, start)
    part = audio.section(Fraction(-1, 2), Fraction(2))
    assert part.samples.shape == (1, 250)
    assert part.start == Fraction(-1, 2)
    offset = 50 + int(start * 100)
    expected = np.zeros(250, np.float32)
    expected[offset : offset + 100] = audio.samples
    np.testing.assert_array_equal(part.samples[0], expected)
    assert not audio.section(5, 6).samples.any()
    assert audio.section(5, 6).samples.shape == (1, 100)


def test_start_is_told_against_the_first_picture(
    make_clip: Callable, numbered: Callable, tone: Callable
) -> None:
    """Kills ignoring that the picture sets in later than the sound: a constant lip-sync error."""
    stamps = [6000 + 1001 * index for index in range(30)]
    path = make_clip(numbered(30), stamps=stamps, sound=(44100, tone(44100, 1.0)))
    assert abs(load_audio(path).start + Fraction(6000, 30000)) < Fraction(1, 1000)


def test_silence() -> None:
    assert silence(0.5, 22050).samples.shape == (1, 11025)
    assert not silence(0.5, 22050).samples.any()


def test_wrong_inputs(make_clip: Callable, numbered: Callable, tmp_path: Path) -> None:
    """Kills a codec library's traceback."""
    with pytest.raises(InputError, match="holds no sound"):
        load_audio(make_clip(numbered(2)))
    with pytest.raises(InputError, match="does not exist"):
        load_audio(tmp_path / "none.wav")
    (tmp_path / "words.wav").write_text("la la la")
    with pytest.raises(InputError, match="not a media file"):
        load_audio(tmp_path / "words.wav")
