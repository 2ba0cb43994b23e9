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
    """A network compiled anew for each shape of a frame's inputs; for inference only.

    The frames of a batch are drawn side by side, a core each: a frame's layers stay in its core's
    cache, and no core waits for another.
    """

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
        self._requests: dict[tuple[torch.Size, ...], list[Any]] = {}

    def forward(self, *inputs: Tensor) -> Tensor:
        arrays = [value.detach().contiguous() for value in inputs]
        requests = self._requests_for([value[:1] for value in arrays], len(arrays[0]))
        for k, request in enumerate(requests):
            request.start_async([value[k : k + 1].numpy() for value in arrays], share_inputs=True)
        for request in requests:
            request.wait()
        return torch.cat([torch.from_numpy(r.get_output_tensor().data) for r in requests])

    def _requests_for(self, first: list[Tensor], count: int) -> list[Any]:
        """As many requests as there are frames of the shapes of the first."""
        shapes = tuple(value.shape for value in first)
        if shapes not in self._requests:
            self._requests[shapes] = [self._compile(first).create_infer_request()]
        kept = self._requests[shapes]
        while len(kept) < count:
            kept.append(kept[0].get_compiled_model().create_infer_request())
        return kept[:count]

    def _compile(self, inputs: list[Tensor]) -> Any:
        # Traced outside inference mode, whose tensors cannot be recorded.
        with torch.inference_mode(False), torch.no_grad():
            plain = tuple(value.clone() for value in inputs)
            model = self._openvino.convert_model(
                self.network, example_input=plain, input=[list(v.shape) for v in plain]
            )
        threads = torch.get_num_threads()
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
        }
        return self._openvino.Core().compile_model(model, "CPU", settings)
