"""Engines make the pictures that torch makes."""

import pytest
import torch

from benchmarks.wav2lip_shape import Generator
from core.errors import AssetError
from render.deferred import DeferredRenderer, RendererConfig
from render.engine import accelerated, best_engine, engines

SMALL = RendererConfig(features=4, widths=(8, 12, 16, 16))


def renderer() -> DeferredRenderer:
    torch.manual_seed(0)
    network = DeferredRenderer(SMALL).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def inputs(frames: int, height: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(frames)
    features, plate, masks = (
        torch.rand(frames, channels, height, 48, generator=generator) for channels in (4, 3, 2)
    )
    references = torch.rand(frames, 2, 4, height, 48, generator=generator)
    return features, plate, masks, references


def test_torch_is_the_network_itself() -> None:
    """Kills a copy that misses what is learned later."""
    network = renderer()
    assert accelerated(network, "torch") is network
    assert engines()[0] == "torch"
    assert best_engine() in engines()


def test_openvino_makes_the_same_pictures_at_every_size() -> None:
    """Kills half precision, a batch or size that is kept from the first call, and a result that
    the next call overwrites."""
    pytest.importorskip("openvino")
    network = renderer()
    fast = accelerated(network, "openvino")
    made = []
    with torch.inference_mode():
        for frames, height in ((2, 32), (1, 32), (2, 64), (2, 32)):
            shown = inputs(frames, height)
            made.append((fast(*shown), network(*shown)))
    for ours, theirs in made:
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


@pytest.mark.skipif("openvino" in engines(), reason="OpenVINO is installed")
def test_openvino_says_what_it_lacks() -> None:
    """Kills an ImportError that reaches the user."""
    with pytest.raises(AssetError, match=r"redub\[fast\]"):
        accelerated(renderer(), "openvino")


def test_the_peer_has_the_published_size() -> None:
    """Kills a peer that is larger or smaller than the one we are held against."""
    peer = Generator().eval()
    assert sum(parameter.numel() for parameter in peer.parameters()) == 36_298_035
    with torch.inference_mode():
        picture = peer(torch.zeros(1, 1, 80, 16), torch.zeros(1, 6, 96, 96))
    assert picture.shape == (1, 3, 96, 96)
