"""The rendering prior: a deferred renderer and the texture features that all people share."""

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from core.errors import AssetError
from core.serial import Schema, load_tensors, save_tensors
from core.size import Size
from prior.painting.texture_start import TextureStart, evidence_of
from prior.weights import FOLDER, in_use, own_file
from render.deferred import RENDERERS, DeferredRenderer, RendererConfig
from render.neural_texture import CHANNELS, COLOURS, SIZE, NeuralTexture

SCHEMA = Schema("renderer-prior", 2)


@dataclass(frozen=True)
class RendererPrior:
    """What many people taught: weights of the network and of the one that starts textures, mean
    colours and features of the texture."""

    config: RendererConfig
    weights: dict[str, Tensor]
    start: dict[str, Tensor]
    colours: Float[Tensor, "3 R R"]
    features: Float[Tensor, "D R R"]
    about: dict[str, Any]

    def renderer(self) -> DeferredRenderer:
        network = DeferredRenderer(self.config)
        network.load_state_dict(self.weights)
        return network.to(memory_format=torch.channels_last)  # pyright: ignore

    def texture(self, colours: Float[Tensor, "3 R R"], seen: Float[Tensor, "R R"]) -> NeuralTexture:
        """A person's first texture from unprojected colours and how much was seen of each texel."""
        network = TextureStart()
        network.load_state_dict(self.start)
        with torch.no_grad():
            evidence = evidence_of(colours, seen, self.colours)
            return NeuralTexture(network.texture(evidence, self.features))

    def save(self, path: Path) -> None:
        """Half precision: the file ships with the package."""
        tensors = {f"renderer.{k}": v.half() for k, v in self.weights.items()}
        tensors |= {f"start.{k}": v.half() for k, v in self.start.items()}
        tensors |= {"colours": self.colours.half(), "features": self.features.half()}
        save_tensors(path, SCHEMA, tensors, {"config": asdict(self.config), "about": self.about})

    @staticmethod
    def load(path: Path) -> "RendererPrior":
        """Raises InputError for a file that is not a renderer prior of this schema."""
        tensors, header = load_tensors(path, SCHEMA)
        config = header["config"]

        def under(prefix: str) -> dict[str, Tensor]:
            named = [name for name in tensors if name.startswith(prefix)]
            return {name.removeprefix(prefix): tensors[name].float() for name in named}

        return RendererPrior(
            RendererConfig(**{**config, "widths": tuple(config["widths"])}),
            under("renderer."),
            under("start."),
            tensors["colours"].float(),
            tensors["features"].float(),
            header["about"],
        )


def untrained(seed: int, size: Size = "light") -> RendererPrior:
    """The same network knowing nobody: the baseline every claim about the prior is held against."""
    config = RENDERERS[size]
    side = config.scale * SIZE
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network, start = DeferredRenderer(config), TextureStart()
        features = 0.1 * torch.randn(CHANNELS - COLOURS, side, side)
    colours = torch.zeros(COLOURS, side, side)
    weights, about = network.state_dict(), {"people": []}
    return RendererPrior(config, weights, start.state_dict(), colours, features, about)


def stem_of(size: Size) -> str:
    """What the weights of a size are called; only the light ones ship."""
    return "renderer" if size == "light" else f"renderer_{size}"


@cache
def default_prior(size: Size = "light") -> RendererPrior:
    """The prior in use (`weights.in_use`). Raises AssetError where it is missing or damaged."""
    file = f"{stem_of(size)}.safetensors"
    if size != "light" and own_file(file) is None:
        raise AssetError(
            f"no {file}, the weights of the {size} renderer, ships with redub; train them with "
            f"`redub prior prepare --size {size}` and `redub prior train --size {size} -o FOLDER`, "
            f"and name that folder in {FOLDER}."
        )
    return in_use(file, RendererPrior.load)
