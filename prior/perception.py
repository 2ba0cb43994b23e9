"""Networks that see pictures nearly as people do, where the user has them.

LPIPS (Zhang et al. 2018; the library `lpips`) and, for learning, the bare features of VGG-16. None
ships with redub and nothing is fetched: a network is opened only if its libraries are installed and
torchvision's ImageNet weights lie in torch's cache. It then takes two pictures [B 3 H W] in [−1, 1]
to a map of distances [B 1 H W], 0 where they are alike.
"""

import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path, PurePosixPath
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from core.device import CPU
from core.errors import AssetError

Backbone = Literal["alex", "vgg"]
WEIGHTS: dict[Backbone, str] = {"alex": "AlexNet_Weights", "vgg": "VGG16_Weights"}
"""torchvision's names for the weights under what LPIPS learned."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours in [0, 1]."""

TAPS = (3, 8, 15, 22, 29)
"""Layers of VGG-16 whose answers are compared: the last rectifier of each resolution."""


class BareFeatures(nn.Module):
    """LPIPS without what people's judgements taught it (its eq. 1, all weights alike): squared
    distances of VGG-16's answers, each of length one, averaged over `TAPS`."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None])

    def forward(
        self, a: Float[Tensor, "B 3 H W"], b: Float[Tensor, "B 3 H W"]
    ) -> Float[Tensor, "B 1 H W"]:
        x = ((torch.cat([a, b]) + 1) / 2 - self.mean) / self.deviation
        maps = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in TAPS:
                one, other = normalize(x, dim=1).chunk(2)
                apart = (one - other).square().sum(1, keepdim=True)
                maps.append(interpolate(apart, a.shape[-2:], mode="bilinear", align_corners=False))
        return torch.stack(maps).mean(0)


def lacking(backbone: Backbone, *libraries: str) -> str | None:
    """What keeps a network from being opened, and the remedy; None where nothing does."""
    for name in (*libraries, "torchvision"):
        try:
            import_module(name)
        except (ImportError, OSError, RuntimeError) as error:  # RuntimeError: built for other torch
            return f"the library {name} cannot be loaded ({error}); pip install {name}"
    url = _weights(backbone).url
    path = Path(torch.hub.get_dir()) / "checkpoints" / PurePosixPath(url).name
    if not path.is_file():
        return f"{path} is missing and redub fetches nothing; put {url} there"
    return None


@cache
def lpips(backbone: Backbone, device: torch.device = CPU) -> nn.Module:
    """LPIPS by one of its networks. Raises AssetError where it cannot be opened."""
    if reason := lacking(backbone, "lpips"):
        raise AssetError(f"LPIPS cannot be opened: {reason}.")
    make = import_module("lpips").LPIPS
    return _opened(lambda: make(net=backbone, spatial=True, verbose=False)).to(device)


@cache
def teacher(device: torch.device = CPU) -> nn.Module:
    """What tells learning how alike pictures look: LPIPS by VGG-16, or the bare features of that
    where `lpips` is not installed. Raises AssetError where neither can be opened."""
    if lacking("vgg", "lpips") is None:
        return lpips("vgg", device)
    if reason := lacking("vgg"):
        raise AssetError(f"A perceptual loss needs VGG-16, which cannot be opened: {reason}.")
    make = import_module("torchvision.models").vgg16
    return BareFeatures(_opened(lambda: make(weights=_weights("vgg")).features)).to(device)


def survey() -> dict[str, str]:
    """For the doctor: what is at hand, or what keeps it away. Nothing is opened."""
    bare = "works, by bare VGG-16 features (pip install lpips for LPIPS)"
    learns = "works, by LPIPS" if lacking("vgg", "lpips") is None else lacking("vgg") or bare
    return {"--perceptual": learns, "LPIPS in figures": lacking("alex", "lpips") or "works"}


def _weights(backbone: Backbone) -> Any:
    return getattr(import_module("torchvision.models"), WEIGHTS[backbone]).IMAGENET1K_V1


def _opened(make: Callable[[], Any]) -> Any:
    """A network that only judges."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lpips asks torchvision in words of long ago
            return make().eval().requires_grad_(False)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise AssetError(
            f"The weights of a perceptual network cannot be read ({reason}); fetch them again."
        ) from error
