"""Which weight files are in use: those that ship, or one's own."""

from hashlib import sha256
from pathlib import Path

import pytest
import torch

from core.errors import AssetError
from dub.doctor import weights as examined
from prior import weights
from prior.card import cards_in_use, pages_in_use
from prior.motion import generator
from prior.motion.expression import load_driver
from prior.motion.generator import load_generator
from prior.painting.renderer import RendererPrior, default_prior, untrained
from prior.weights import FOLDER, own_weights
from render.deferred import RENDERERS


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a rendering prior of somebody's own, in use."""
    untrained(5).save(tmp_path / "renderer.safetensors")
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return tmp_path


def own_prior() -> RendererPrior:
    """The prior in use as a new process would find it."""
    return default_prior.__wrapped__()


def test_ones_own_weights_take_the_place_of_those_that_ship(studio: Path) -> None:
    """Kills a folder that is named and not read, and one that must hold every file."""
    found = own_prior()
    assert torch.equal(found.features, untrained(5).features.half().float())
    assert load_driver.__wrapped__().stamp == load_driver().stamp
    content = (studio / "renderer.safetensors").read_bytes()
    assert own_weights() == {"renderer": sha256(content).hexdigest()}


def test_nothing_is_ones_own_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a folder that is looked for where nobody named one."""
    monkeypatch.setenv(FOLDER, "")
    assert own_weights() == {}


def test_damaged_weights_of_ones_own_are_a_sentence(studio: Path) -> None:
    """Kills falling back to weights that somebody may have to do without."""
    (studio / "renderer.safetensors").write_bytes(b"not weights")
    with pytest.raises(AssetError, match=r"REDUB_WEIGHTS.*train it again or take it out"):
        own_prior()


def test_a_wrong_folder_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a slip of the pen that brings redub's own weights back in silence."""
    for named in (tmp_path, tmp_path / "none"):
        monkeypatch.setenv(FOLDER, str(named))
        with pytest.raises(AssetError, match=r"where none of renderer\.safetensors"):
            own_prior()


def test_missing_weights_are_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a traceback where an installation is broken."""
    monkeypatch.setattr(weights, "files", lambda package: tmp_path)
    for load in (default_prior, load_driver):
        with pytest.raises(AssetError, match="install redub again"):
            load.__wrapped__()


def test_the_doctor_and_the_cards_tell_whose_weights_are_used(
    studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a doctor, or a card, that speaks of files which are not in use."""
    monkeypatch.setattr("prior.painting.renderer.default_prior", own_prior)
    monkeypatch.setattr("prior.card.default_prior", own_prior)
    found = examined()
    assert found["rendering prior"]["state"] == str(studio / "renderer.safetensors")
    assert found["rendering prior"]["licence"] == "your own"
    assert found["speech model"]["state"] == "ships with redub"
    assert cards_in_use()["renderer"] == untrained(5).about
    assert "Measured" not in pages_in_use().split("# Denoiser")[0]


def test_every_weight_file_has_a_card() -> None:
    """Kills a file that ships without a word on what taught it."""
    assert set(cards_in_use()) == set(weights.NAMES)


def test_without_full_weights_the_sentence_says_how_to_make_them(studio: Path) -> None:
    """Kills a light network shown windows of the full size, and a remedy that cannot help: redub
    installed again has no such file either."""
    with pytest.raises(AssetError, match=r"prior train --size full -o FOLDER.*REDUB_WEIGHTS"):
        default_prior.__wrapped__("full")


def test_full_weights_stand_beside_the_light_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills full weights that push the shipped light ones aside, or that no page tells of."""
    untrained(5, "full").save(tmp_path / "renderer_full.safetensors")
    monkeypatch.setenv(FOLDER, str(tmp_path))
    found = default_prior.__wrapped__("full")
    assert found.config == RENDERERS["full"]
    assert found.colours.shape == (3, 512, 512)
    assert default_prior.__wrapped__().config == RENDERERS["light"]
    assert list(own_weights()) == ["renderer_full"]
    for place in ("prior.card", "prior.painting.renderer"):  # what is kept would outlive this test
        monkeypatch.setattr(f"{place}.default_prior", default_prior.__wrapped__)
    assert cards_in_use()["renderer_full"] == untrained(5, "full").about
    assert "Rendering prior of the full size" in pages_in_use()
    assert examined()["full rendering prior"]["licence"] == "your own"


def test_takes_are_drawn_around_the_speech_model_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills takes that deviate from a mouth which nobody expected: the file that ships must have
    been taught around the speech model that ships."""
    load_generator().check_taught(load_driver())
    other = generator.Generator(load_generator().network, {"speech_model": "another"})
    with pytest.raises(AssetError, match="another speech model"):
        other.check_taught(load_driver())
