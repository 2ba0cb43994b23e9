"""Stand-ins for `lpips` and `torchvision`, of their interface, which reach for nothing.

As the real ones do, they fetch weights that are not in torch's cache: here that fails the test.
"""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prior import perception

URLS = {
    "alex": "https://weights.invalid/models/alexnet-own.pth",
    "vgg": "https://weights.invalid/models/vgg16-own.pth",
}


class LPIPS(nn.Module):
    """Absolute difference of each pixel's 3 × 3 surroundings, times 2 by VGG, dropped out while it
    is trained."""

    def __init__(self, net: str = "alex", spatial: bool = False, verbose: bool = True) -> None:
        super().__init__()
        fetched(net)
        assert not verbose, "`-q` is to be quiet"
        self.scale = nn.Parameter(torch.tensor(2.0 if net == "vgg" else 1.0))
        self.spatial, self.drop = spatial, nn.Dropout(0.9)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        apart = self.drop(self.scale * nn.functional.avg_pool2d((a - b).abs(), 3, 1, 1))
        return apart.mean(1, keepdim=True) if self.spatial else apart.mean((1, 2, 3), keepdim=True)


def vgg16(*, weights: Any) -> SimpleNamespace:
    """Thirty layers that pass colours on; the fourth halves the resolution."""
    fetched({url: net for net, url in URLS.items()}[weights.url])
    layers = [nn.AvgPool2d(2) if index == 4 else nn.Identity() for index in range(31)]
    return SimpleNamespace(features=nn.Sequential(*layers))


def fetched(net: str) -> None:
    path = cached(net)
    assert path.is_file(), f"would fetch {URLS[net]}"
    if path.read_bytes() != b"weights":
        raise RuntimeError("PytorchStreamReader failed\nmore of it")


def cached(net: str) -> Path:
    """Where torch keeps a backbone's weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / URLS[net].rpartition("/")[2]


def install(
    monkeypatch: pytest.MonkeyPatch, cache: Path, *weights: str, lpips: bool = True
) -> None:
    """Both libraries, lpips unless told otherwise, and in torch's cache weights by these names."""

    def described(net: str) -> SimpleNamespace:
        return SimpleNamespace(IMAGENET1K_V1=SimpleNamespace(url=URLS[net]))

    models: Any = ModuleType("torchvision.models")
    models.vgg16 = vgg16
    models.VGG16_Weights, models.AlexNet_Weights = described("vgg"), described("alex")
    library: Any = ModuleType("lpips")
    library.LPIPS = LPIPS
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    monkeypatch.setitem(sys.modules, "lpips", library if lpips else None)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(cache))
    for net in weights:
        cached(net).parent.mkdir(parents=True, exist_ok=True)
        cached(net).write_bytes(b"weights")
    perception.lpips.cache_clear()
    perception.teacher.cache_clear()
