"""How different pictures look, by LPIPS, where the user has that.

Zhang et al. (2018), version 0.1 over AlexNet, as papers report it; but as a map over the whole
window whose mean is taken inside a mask, so that a small mouth is judged in its surroundings.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from evaluate.metrics.known import known_mean
from evaluate.metrics.picture import Mask, Pictures, Valid
from prior.perception import lacking, lpips

BACKBONE = "alex"


def lpips_maps(generated: Pictures, truth: Pictures) -> Float[np.ndarray, "T H W"] | None:
    """Distance of each pixel's surroundings, 0 where they are equal; None without LPIPS."""
    assert generated.shape == truth.shape, (generated.shape, truth.shape)
    if lacking(BACKBONE, "lpips"):
        return None
    network = lpips(BACKBONE)

    def seen(picture: UInt8[np.ndarray, "H W 3"]) -> Float[Tensor, "1 3 H W"]:
        return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1

    with torch.inference_mode():
        pairs = zip(generated, truth, strict=True)
        return np.concatenate([network(seen(a), seen(b))[:, 0].numpy() for a, b in pairs])


def lpips_inside(maps: Float[np.ndarray, "T H W"], mask: Mask, valid: Valid) -> float:
    """The mean over the mask of each valid frame, then over frames; NaN where there is none."""
    scored = np.broadcast_to(mask, maps.shape) & valid[:, None, None]
    return known_mean(np.array([m[s].mean() for m, s in zip(maps, scored, strict=True) if s.any()]))
