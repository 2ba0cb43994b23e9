"""Which triangle each pixel sees. One contract, several backends, no gradient.

- A pixel shows the nearest front-facing triangle that covers its *centre*, or −1; row 0 is the top.
- Front: counter-clockwise in NDC with y up. Depth: z/w, near = −1, far = 1; nothing is clipped, so
  points nearer than the near plane or beyond the far one still count while their w > 0.
- A triangle that crosses w = 0 is handled homogeneously: it covers where its point has w > 0.
- A shared edge has one owner (top-left rule); equal depths go to the lower index.
- The same input gives the same ids.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from jaxtyping import Float, Int
from torch import Tensor

from core.errors import AssetError, UsageError

VARIABLE = "REDUB_VISIBILITY"
"""The environment variable that names a backend for everything that does not name one itself."""

AUTOMATIC = {
    "cpu": ("numba_cpu", "reference"),
    "cuda": ("triton_gpu", "numba_cpu", "reference"),
}
"""For tensors on each kind of device, the first of these that loads is taken."""

BACKENDS = {
    "numba_cpu": "the fastest on the CPU",
    "triton_gpu": "for tensors on a CUDA device",
    "reference": "slow, for comparison and where nothing else loads",
    "nvdiffrast_gpu": "only when asked for, because its licence is non-commercial",
    "pytorch3d": "only when asked for, because it draws no triangle that crosses the camera plane",
}
"""Every backend and when it is taken."""


@dataclass(frozen=True)
class Backend:
    """An implementation of the contract, and why it was chosen."""

    name: str
    reason: str
    visible_faces: Callable[[Tensor, Tensor, int, int], Tensor]


@cache
def choose_backend(name: str = "auto", device: str = "cpu") -> Backend:
    """The backend called `name`; for `auto` the one that REDUB_VISIBILITY names, else the best.

    `device` is the type of the tensors' device. Raises UsageError for another name, AssetError when
    a backend asked for cannot be loaded.
    """
    asked, by = (os.environ.get(VARIABLE) or "auto", VARIABLE) if name == "auto" else (name, "")
    if asked in BACKENDS:
        return loaded(asked, f"asked for by {by}" if by else "asked for")
    if asked != "auto":
        raise UsageError(
            f"visibility backend {asked!r} is not one of auto, {', '.join(BACKENDS)}; use auto."
        )
    lost = []
    for candidate in AUTOMATIC.get(device, AUTOMATIC["cpu"]):
        try:
            return loaded(candidate, "; ".join([BACKENDS[candidate], *lost]))
        except AssetError as error:
            lost.append(str(error))
    raise AssetError(" ".join(lost))


def loaded(name: str, reason: str) -> Backend:
    """Raises AssetError where the backend's module says with an ImportError what it lacks."""
    try:
        module = import_module(f"render.backends.{name}")
    except ImportError as error:
        raise AssetError(
            f"visibility backend {name} cannot be loaded ({error}); install what it needs "
            "or use auto."
        ) from error
    return Backend(name, reason, module.visible_faces)


def survey(device: str = "cpu") -> dict[str, str]:
    """Every backend: whether it loads here, and why it is or is not the one taken for a device."""
    chosen = choose_backend("auto", device)
    found = {}
    for name, when in BACKENDS.items():
        try:
            loaded(name, when)
            used = name == chosen.name
            found[name] = f"used, {chosen.reason}" if used else f"works, not used: {when}"
        except AssetError as error:
            found[name] = f"not used: {error}"
    return found


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
    chosen = choose_backend(backend, clip_positions.device.type)
    return chosen.visible_faces(clip_positions, triangles, height, width)
