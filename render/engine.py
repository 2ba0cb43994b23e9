"""Who runs a trained network on the CPU: torch, or OpenVINO where it is installed (extra `fast`).

OpenVINO fuses activations and lays weights out once; in single precision its pictures are torch's
to the last code value.
"""

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import AssetError

PRECISIONS = {"openvino": "f32", "openvino bf16": "bf16"}
"""Half precision is for measuring: its pictures are not torch's."""


def engines() -> list[str]:
    """Engines that work here."""
    return ["torch", *(PRECISIONS if find_spec("openvino") else ())]


def best_engine() -> str:
    """The fastest one whose pictures are torch's."""
    return "openvino" if "openvino" in engines() else "torch"


def accelerated(network: nn.Module, engine: str) -> nn.Module:
    """The network as an engine runs it; torch's is the network itself.

    Raises AssetError for OpenVINO where it is not installed.
    """
    return network if engine == "torch" else OpenVino(network, PRECISIONS[engine])


class OpenVino(nn.Module):
    """A network compiled anew for each shape of its inputs; for inference only."""

    def __init__(self, network: nn.Module, precision: str) -> None:
        super().__init__()
        try:
            import openvino  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise AssetError(
                f"OpenVINO cannot be loaded ({error}); install redub[fast] or use torch."
            ) from error
        self.network, self.precision = network.eval(), precision
        self._openvino: Any = openvino
        self._compiled: dict[tuple[torch.Size, ...], Any] = {}

    def forward(self, *inputs: Tensor) -> Tensor:
        arrays = [value.detach().contiguous() for value in inputs]
        shapes = tuple(value.shape for value in arrays)
        if shapes not in self._compiled:
            self._compiled[shapes] = self._compile(arrays)
        made = self._compiled[shapes]([value.numpy() for value in arrays])[0]
        return torch.from_numpy(made.copy())

    def _compile(self, inputs: list[Tensor]) -> Any:
        # Traced outside inference mode, whose tensors cannot be recorded.
        with torch.inference_mode(False), torch.no_grad():
            plain = tuple(value.clone() for value in inputs)
            model = self._openvino.convert_model(
                self.network, example_input=plain, input=[list(v.shape) for v in plain]
            )
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        return self._openvino.Core().compile_model(model, "CPU", settings)
