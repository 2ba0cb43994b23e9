"""Networks that judge pictures: opened where they are, never fetched, missed aloud."""

import sys
from pathlib import Path

import pytest
import torch
from fake_vision import LPIPS, URLS, cached, install

from core.errors import AssetError
from prior.perception import DEVIATION, MEAN, BareFeatures, lpips, survey, teacher

META = torch.device("meta")


def test_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a library asked before its weights are looked for, the other network's weights taken
    for this one's, and a message without file or remedy."""
    install(monkeypatch, tmp_path, "alex")
    for asked in (lambda: lpips("vgg"), teacher):
        with pytest.raises(AssetError, match="redub fetches nothing") as told:
            asked()
        assert str(cached("vgg")) in str(told.value)
        assert f"put {URLS['vgg']} there." in str(told.value)
    assert isinstance(lpips("alex"), LPIPS)


def test_what_judges_does_not_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills dropout that stays on, gradients kept for weights, one number for a whole picture, and
    AlexNet where VGG-16 teaches."""
    install(monkeypatch, tmp_path, "alex", "vgg")
    network = teacher()
    assert isinstance(network, LPIPS)
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())
    a, b = torch.zeros(2, 3, 6, 8), torch.zeros(2, 3, 6, 8)
    a[1, :, 3, 3] = 0.9
    expected = torch.zeros(2, 1, 6, 8)
    expected[1, :, 2:5, 2:5] = 2 * 0.9 / 9
    torch.testing.assert_close(network(a, b), expected)


def test_each_device_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a network that a second device takes away from the first."""
    install(monkeypatch, tmp_path, "vgg")
    here, there = teacher(), teacher(META)
    assert {weight.device.type for weight in here.parameters()} == {"cpu"}
    assert {weight.device.type for weight in there.parameters()} == {"meta"}
    assert teacher() is here


@pytest.mark.parametrize("missing", ["lpips", "torchvision"])
def test_a_missing_library_is_told(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a traceback, and the wrong library named."""
    install(monkeypatch, tmp_path, "alex", "vgg")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(AssetError, match=f"pip install {missing}"):
        lpips("alex")


def test_a_library_of_another_torch_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a traceback where torchvision and torch do not fit: that is a RuntimeError."""
    install(monkeypatch, tmp_path, "vgg")
    monkeypatch.delitem(sys.modules, "torchvision")
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AssetError, match=r"torchvision cannot be loaded \(operator nms"):
        teacher()


def test_damaged_weights_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a traceback for half a file, and an error of several lines."""
    install(monkeypatch, tmp_path, "vgg")
    cached("vgg").write_bytes(b"wei")
    with pytest.raises(AssetError, match=r"\(PytorchStreamReader failed\); fetch them again\.$"):
        teacher()


def test_bare_features_stand_in_for_lpips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills colours in the wrong range, answers of any length, taps before the rectifiers or too
    few of them, and maps of another size: by hand, of a network that passes colours on."""
    install(monkeypatch, tmp_path, "vgg", lpips=False)
    network = teacher()
    assert isinstance(network, BareFeatures)
    generator = torch.Generator().manual_seed(0)
    a, b = (2 * torch.rand(1, 3, 2, 2, generator=generator) - 1 for _ in "ab")
    mean, deviation = (torch.tensor(each)[:, None, None] for each in (MEAN, DEVIATION))

    def unit(picture: torch.Tensor) -> torch.Tensor:
        colours = ((picture + 1) / 2 - mean) / deviation
        return colours / colours.square().sum(1, keepdim=True).sqrt()

    fine = (unit(a) - unit(b)).square().sum(1)
    small_a, small_b = (picture.mean((2, 3), keepdim=True) for picture in (a, b))
    coarse = (unit(small_a) - unit(small_b)).square().sum(1)
    torch.testing.assert_close(network(a, b)[:, 0], (fine + 4 * coarse) / 5)
    assert not network(a, a).any()


def test_the_doctor_says_what_is_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a doctor that opens half a gigabyte, or promises what would fail."""
    install(monkeypatch, tmp_path, lpips=False)
    assert "redub fetches nothing" in survey()["--perceptual"]
    assert "pip install lpips" in survey()["LPIPS in figures"]
    install(monkeypatch, tmp_path, "vgg", lpips=False)
    assert survey()["--perceptual"].startswith("works, by bare VGG-16 features")
    install(monkeypatch, tmp_path)
    assert survey()["--perceptual"] == "works, by LPIPS"
    assert str(cached("alex")) in survey()["LPIPS in figures"]
    install(monkeypatch, tmp_path, "alex")
    assert survey()["LPIPS in figures"] == "works"
