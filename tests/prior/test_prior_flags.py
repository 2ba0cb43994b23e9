"""Flags of `redub prior` that mean nothing to what is asked are refused, not passed over."""

import json
from pathlib import Path

import pytest
from fake_vision import install

import prior.training.train_renderer as training
from dub.cli import main
from prior.training.train_renderer import RendererTraining


@pytest.mark.parametrize(
    "flags", [["--quality", "95"], ["--shard-size", "64"], ["--shard-size", "0"]]
)
def test_a_speech_corpus_has_no_pictures(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills an option that is parsed and never used."""
    (tmp_path / "clip.mp4").touch()
    asked = ["prior", "prepare", "--speech", "--footage", str(tmp_path), "-o", str(tmp_path / "c")]
    assert main([*asked, *flags]) == 2
    assert f"{flags[0]} {flags[1]} does not apply to --speech" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("kind", "flags", "told"),
    [
        ("speech-corpus", ["--steps", "5"], "--steps 5 does not apply to a speech corpus"),
        ("speech-corpus", ["--perceptual"], "--perceptual True does not apply to a speech corpus"),
        ("speech-corpus", ["--tensorboard"], "--tensorboard True does not apply to a speech"),
        ("speech-corpus", ["--encoder-layer", "0"], "--encoder-layer 0 does not apply"),
        ("speech-corpus", ["--model", "movement", "--encoder", "e"], "apply to --model movement"),
        ("renderer-corpus", ["--encoder", "e"], "does not apply to a corpus of pictures"),
    ],
)
def test_training_refuses_what_it_would_not_use(
    kind: str, flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills a flag that is swallowed, a layer 0 that counts as none, and work done before."""
    (tmp_path / "corpus.json").write_text(json.dumps({"kind": kind}))
    asked = ["prior", "train", "--corpus", str(tmp_path), "-o", str(tmp_path / "out")]
    assert main([*asked, *flags]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_perceptual_loss_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills a flag that weighs nothing, a weight that nobody asked for, and what is missing told
    only once a corpus was read."""
    weights = []

    def trained(corpus: Path, folder: Path, config: RendererTraining, *_: object) -> tuple[()]:
        weights.append(config.perceptual)
        return ()

    monkeypatch.setattr(training, "train_renderer", trained)
    (tmp_path / "corpus.json").write_text(json.dumps({"kind": "renderer-corpus"}))
    asked = ["prior", "train", "--corpus", str(tmp_path), "-o", str(tmp_path / "out")]
    install(monkeypatch, tmp_path)
    assert main([*asked, "--perceptual"]) == 5
    assert "vgg16-own.pth is missing" in capsys.readouterr().err
    assert main(asked) == 0
    install(monkeypatch, tmp_path, "vgg")
    assert main([*asked, "--perceptual"]) == 0
    assert weights == [0, training.PERCEPTUAL]
