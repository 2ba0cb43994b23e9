"""Which triangle each pixel sees. One contract, several backends, no gradient.

- A pixel shows the nearest front-facing triangle that covers its *centre*, or −1; row 0 is the top.
- Front: counter-clockwise in NDC with y up. Depth: z/w, near = −1, far = 1; nothing is clipped, so
  points nearer than the near plane or beyond the far one still count while their w > 0.
- A triangle that crosses w = 0 is handled homogeneously: it covers where its point has w > 0.
- A shared edge has one owner (top-left rule); equal depths go to the lower index.
- The same input gives the same ids.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from jaxtyping import Float, Int
from torch import Tensor

from core.errors import AssetError, UsageError


@dataclass(frozen=True)
class Backend:
    """An implementation of the contract, and why it was chosen."""

    name: str
    reason: str
    visible_faces: Callable[[Tensor, Tensor, int, int], Tensor]


@cache
def choose_backend(name: str = "auto") -> Backend:
    """`auto`, `numba_cpu` or `reference`. Tensors elsewhere than on the CPU visit it.

    Raises UsageError for another name, AssetError when a backend asked for cannot be imported.
    """
    if name == "auto":
        try:
            return loaded("numba_cpu", "the fastest here")
        except AssetError as error:
            return loaded("reference", f"slow, because {error}")
    if name in ("numba_cpu", "reference"):
        return loaded(name, "asked for")
    raise UsageError(
        f"visibility backend {name!r} is not one of auto, numba_cpu, reference; use auto."
    )


def loaded(name: str, reason: str) -> Backend:
    try:
        module = import_module(f"render.backends.{name}")
    except ImportError as error:
        raise AssetError(
            f"visibility backend {name} cannot be imported ({error}); install what it needs "
            "or use reference."
        ) from error
    return Backend(name, reason, module.visible_faces)


def visible_faces(
    clip_positions: Float[Tensor, "B V 4"],
    triangles: Int[Tensor, "F 3"],
    height: int,
    width: int,
    backend: str = "auto",
) -> Int[Tensor, "B {height} {width}"]:
    """Face ids int32 by the contract above; triangles index the vertices of every batch element."""
    count = clip_positions.shape[1]
    if len(triangles):
        lowest, highest = int(triangles.min()), int(triangles.max())
        within = lowest >= 0 and highest < count
        assert within, f"corners {lowest} to {highest} of {count} vertices"  # loops do not look
    return choose_backend(backend).visible_faces(clip_positions, triangles, height, width)
