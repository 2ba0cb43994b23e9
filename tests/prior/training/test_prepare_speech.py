"""A speech corpus of a folder of clips: who is in it, who is not, and what is not done again."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from shutil import copy

import pytest
import torch

import prior.training.prepare_speech as preparing
from core.errors import InputError
from face3d.track import Track
from media.audio import Audio, load_audio
from media.clip import Clip
from media.writer import ClipWriter
from prior.motion.alignment import BELIEVED, Lag, measured_lag
from prior.motion.expression import load_driver
from prior.training.prepare import Source
from prior.training.prepare_speech import prepare_speech
from prior.training.speech_corpus import load_examples, taught_by, training_examples, utterance


@pytest.fixture
def library(tmp_path: Path, performer_clip: Clip) -> Path:
    """The performer twice, and once without sound."""
    for name in ("one.mp4", "two.mp4"):
        copy(performer_clip.path, tmp_path / name)
    frames = performer_clip.frames(range(3))
    with ClipWriter(
        tmp_path / "long.mkv", performer_clip, Audio(torch.zeros(1, 16).numpy(), 16000)
    ) as writer:
        for frame in frames:
            writer.write(frame)
    return tmp_path


def source(library: Path, name: str, split: str = "") -> Source:
    return Source(library / name, "ann", "by contract", Path(name).stem, split)


@pytest.fixture
def tracked(performer_track: Track, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Stands in for the tracker; lists the clips that it was asked for."""
    asked: list[Path] = []

    def track_clip(clip: Clip, frames: range, model: object) -> Track:
        asked.append(clip.path)
        return performer_track[: len(frames)]

    monkeypatch.setattr(preparing, "track_clip", track_clip)
    return asked


def test_a_folder_becomes_a_corpus_that_can_be_heard(library: Path, tracked: list[Path]) -> None:
    """Kills a list whose paths nobody finds, a person or rights that are lost on the way, and a
    clip that ends the night's work."""
    sources = [
        source(library, "one.mp4"),
        source(library, "long.mkv"),
        source(library, "two.mp4", "test"),
    ]
    steps = list(prepare_speech(sources, library / "corpus"))
    assert [step.index for step in steps] == [1, 2, 3]
    assert "left out long" in steps[1].job
    one, two = load_examples(library / "corpus" / "corpus.json")
    assert (one.person, one.rights, one.split, two.split) == ("ann", "by contract", "train", "test")
    assert training_examples(library / "corpus") == [one]
    heard = utterance(one, 0)
    assert int(heard.known.sum()) > 800
    assert float(heard.mouth[heard.known].std()) > 0.1
    assert taught_by([one])["rights"] == [{"rights": "by contract", "clips": "one"}]


def test_what_is_done_is_not_done_again(library: Path, tracked: list[Path]) -> None:
    """Kills a run that starts over, one that trusts a track which is gone, and one that tries
    again what cannot be used."""
    sources = [source(library, name) for name in ("one.mp4", "two.mp4", "long.mkv")]
    list(prepare_speech(sources, library / "corpus"))
    before = (library / "corpus" / "corpus.json").read_text()
    tracked.clear()
    list(prepare_speech(sources, library / "corpus"))
    assert tracked == []
    assert (library / "corpus" / "corpus.json").read_text() == before
    (library / "corpus" / "tracks" / "two.track").unlink()
    list(prepare_speech(sources, library / "corpus"))
    assert tracked == [library / "two.mp4"]


def test_a_corpus_without_training_clips_is_a_sentence(library: Path, tracked: list[Path]) -> None:
    """Kills a traceback of an empty training, and training on what is kept to judge."""
    list(prepare_speech([source(library, "one.mp4", "test")], library / "corpus"))
    with pytest.raises(InputError, match=r"no example to train on.*'test'"):
        training_examples(library / "corpus")


def test_pictures_and_speech_keep_apart(library: Path) -> None:
    """Kills a corpus of pictures whose index is written over."""
    (library / "corpus").mkdir()
    index = library / "corpus" / "corpus.json"
    index.write_text(json.dumps({"kind": "renderer-corpus"}))
    with pytest.raises(InputError, match="folder of its own"):
        list(prepare_speech([source(library, "one.mp4")], library / "corpus"))
    assert json.loads(index.read_text())["kind"] == "renderer-corpus"


def test_a_late_sound_is_measured(performer_clip: Clip, performer_track: Track) -> None:
    """Kills a lag of the wrong sign, and one counted in seconds: sound moved by 5 frames is found
    5 frames later than it was."""
    sound, driver, model = load_audio(performer_clip.path), load_driver(), preparing.default_model()
    late = replace(sound, start=sound.start + Fraction(5) / performer_clip.fps)
    before, after = (measured_lag(s, performer_track, driver, model) for s in (sound, late))
    assert after.frames - before.frames == pytest.approx(5, abs=0.5)


def test_only_a_sure_lag_is_believed() -> None:
    """Kills shifting a sound by chance."""
    assert Lag(3.0, BELIEVED).believed == 3.0
    assert Lag(3.0, BELIEVED - 0.01).believed == 0.0
