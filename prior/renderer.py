"""The rendering prior: a deferred renderer and the texture features that all people share."""

from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from core.errors import AssetError
from core.serial import Schema, load_tensors, save_tensors
from render.deferred import DeferredRenderer, RendererConfig
from render.neural_texture import CHANNELS, COLOURS, SIZE, NeuralTexture, composed

SCHEMA = Schema("renderer-prior", 1)


@dataclass(frozen=True)
class RendererPrior:
    """What many people taught: network weights, mean colours and features of the texture."""

    config: RendererConfig
    weights: dict[str, Tensor]
    colours: Float[Tensor, "3 R R"]
    features: Float[Tensor, "D R R"]
    about: dict[str, Any]

    def renderer(self) -> DeferredRenderer:
        network = DeferredRenderer(self.config)
        network.load_state_dict(self.weights)
        return network.to(memory_format=torch.channels_last)  # pyright: ignore

    def texture(self, colours: Float[Tensor, "3 R R"]) -> NeuralTexture:
        """A person's first texture: their own colours, everybody's features."""
        return NeuralTexture(composed(colours, self.features))

    def save(self, path: Path) -> None:
        """Half precision: the file ships with the package."""
        tensors = {f"renderer.{k}": v.half() for k, v in self.weights.items()}
        tensors |= {"colours": self.colours.half(), "features": self.features.half()}
        save_tensors(path, SCHEMA, tensors, {"config": asdict(self.config), "about": self.about})

    @staticmethod
    def load(path: Path) -> "RendererPrior":
        """Raises InputError for a file that is not a renderer prior of this schema."""
        tensors, header = load_tensors(path, SCHEMA)
        config = header["config"]
        weights = {
            name.removeprefix("renderer."): value.float()
            for name, value in tensors.items()
            if name.startswith("renderer.")
        }
        return RendererPrior(
            RendererConfig(**{**config, "widths": tuple(config["widths"])}),
            weights,
            tensors["colours"].float(),
            tensors["features"].float(),
            header["about"],
        )


def untrained(seed: int) -> RendererPrior:
    """The same network knowing nobody: the baseline every claim about the prior is held against."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DeferredRenderer(RendererConfig())
        features = 0.1 * torch.randn(CHANNELS - COLOURS, SIZE, SIZE)
    colours = torch.zeros(COLOURS, SIZE, SIZE)
    return RendererPrior(network.config, network.state_dict(), colours, features, {"people": []})


@cache
def default_prior() -> RendererPrior:
    """The prior that ships with redub. Raises AssetError where the package lacks it."""
    resource = files("prior") / "renderer.safetensors"
    if not resource.is_file():
        raise AssetError(
            "prior/renderer.safetensors is missing from this installation; install redub again or "
            "train one with `redub prior train`."
        )
    with as_file(resource) as path:
        return RendererPrior.load(path)
