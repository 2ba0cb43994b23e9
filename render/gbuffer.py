"""What every pixel of a view knows of the mesh: the surface point, its texture coordinates."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from core.camera import Camera, clip_positions
from render.fragments import Fragments, interpolate, rasterize


@dataclass(frozen=True)
class GBuffer:
    """Fragments of a view and the texture coordinates they show, 0 where there is nothing."""

    fragments: Fragments
    uv: Float[Tensor, "B 2 H W"]


def draw(
    vertices: Float[Tensor, "B V 3"],
    triangles: Int[Tensor, "F 3"],
    uv: Float[Tensor, "V 2"],
    camera: Camera | Sequence[Camera],
    backend: str = "auto",
) -> GBuffer:
    """The G-buffer of camera-space vertices seen by a camera, or each by its own, in its pixels.

    Cameras of a batch have pictures of one size.
    """
    size = camera if isinstance(camera, Camera) else camera[0]
    clip = clip_positions(camera, vertices)
    fragments = rasterize(clip, triangles, size.height, size.width, backend)
    return GBuffer(fragments, interpolate(fragments, uv[None], triangles))
