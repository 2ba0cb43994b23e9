"""The visibility contract by nvdiffrast (Laine et al. 2020), where a user has installed it.

Read for this adapter: its documentation of version 0.4 (December 2025). Vertices go in as float32
clip space, x right, y up, cut by the frustum −w ≤ x, y, z ≤ w. What comes back has row 0 at the
bottom and (u, v, z/w, face + 1) as float32, 0 where nothing is seen. It does not cull.

Short of the contract: corners are float32, equal depths and pixels exactly on an edge go to one
owner of its own choice, and a triangle that crosses w = 0 is cut near that plane. Its licence is
for non-commercial use, so it is never chosen by itself.
"""

from functools import cache

import nvdiffrast.torch as dr  # pyright: ignore[reportMissingImports]
import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from render.facing import front_facing

DEVICE = "cuda"
BEYOND = (2.0, 2.0, 2.0, 1.0)
"""A point outside the frustum; a triangle with its corners here is not drawn."""

if not torch.cuda.is_available():
    raise ImportError("torch finds no CUDA device")


def visible_faces(
    clip_positions: Float[Tensor, "B V 4"], triangles: Int[Tensor, "F 3"], height: int, width: int
) -> Int32[Tensor, "B H W"]:
    """See `render.visibility.visible_faces`."""
    home = clip_positions.device
    if not (len(clip_positions) and len(triangles)):
        return torch.full((len(clip_positions), height, width), -1, dtype=torch.int32, device=home)
    clip = clip_positions.detach().to(DEVICE).double()
    corners = clip.index_select(1, triangles.to(DEVICE).flatten().long()).unflatten(1, (-1, 3))
    own = torch.arange(triangles.numel(), dtype=torch.int32, device=DEVICE).view(-1, 3)
    seen, _ = dr.rasterize(context(), drawn_corners(corners), own, (height, width), grad_db=False)
    return (seen[..., 3].round().int() - 1).flip(1).to(home)


@cache
def context() -> object:
    """What nvdiffrast keeps between calls."""
    return dr.RasterizeCudaContext(device=DEVICE)


def drawn_corners(corners: Float[Tensor, "B F 3 4"]) -> Float[Tensor, "B 3*F 4"]:
    """Corners of the front faces for nvdiffrast, those of others beyond the frustum.

    z shrinks by one factor an image, so that no point is cut for lying before the near plane or
    behind the far one; the order of depths stays.
    """
    x, y, z, w = corners.unbind(-1)
    depth = torch.where(w > 0, z.abs() / w, 0).nan_to_num(0, 0, 0)
    z = z / depth.flatten(1).amax(1).clamp_min(1)[:, None, None]
    drawn = front_facing(corners)[..., None, None]
    beyond = corners.new_tensor(BEYOND)
    return torch.where(drawn, torch.stack([x, y, z, w], -1), beyond).flatten(1, 2).float()
