"""A head of the ICT FaceKit (MIT licence) and how named controls move it.

`V` vertices, `F` triangles, `T` frames. Head-local metres: +x to the subject's left, y up, +z out
of the face. The model's blendshapes leave the tongue where it is and, on a random identity, the
lips ajar; the controls `tongueUp`, `tongueOut` and `seal` are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from core.errors import InputError
from core.rotation import matrix_from_axis_angle

from .hair import with_hair

SKIN, NECK, GUMS, TEETH, EYE = 0, 1, 2, 3, 4
_MATERIALS = {
    "M_Face": SKIN,
    "M_BackHead": NECK,
    "M_GumsTongue": GUMS,
    "M_Teeth": TEETH,
    "M_ScleraLeft": EYE,
    "M_ScleraRight": EYE,
}
_METRES = 0.01  # the model is in centimetres
# The model has no cheeks inside: a plate across the throat keeps the backdrop out of the mouth.
_THROAT = np.array(
    [[-4.5, -5.5, 3.5], [4.5, -5.5, 3.5], [4.5, -0.2, 3.5], [-4.5, -0.2, 3.5]], np.float32
)
# Pairs of iBUG-68 points that face each other across the lips' seam, from right corner to left.
_SEAM_UPPER, _SEAM_LOWER = [60, 61, 62, 63, 64], [60, 67, 66, 65, 64]


@dataclass(frozen=True)
class Head:
    """One identity: vertices at rest, what each control adds, and the fields our controls use."""

    rest: Float[Tensor, "V 3"]
    canonical: Float[Tensor, "V 3"]
    controls: Mapping[str, Float[Tensor, "V 3"]]
    triangles: Int32[Tensor, "F 3"]
    material: Int64[Tensor, " F"]
    landmarks: Int64[Tensor, "68"]
    seal_weight: Float[Tensor, " V"]
    tongue_weight: Float[Tensor, " V"]
    eye_weight: Float[Tensor, "2 V"]

    @property
    def eye_centres(self) -> Float[Tensor, "2 3"]:
        """Centres of the subject's left and right eyeball."""
        return torch.stack([box_centre(self.rest[weight > 0]) for weight in self.eye_weight])


def box_centre(points: Float[Tensor, "N 3"]) -> Float[Tensor, "3"]:
    return (points.amin(0) + points.amax(0)) / 2


def load_head(path: Path, seed: int, strength: float) -> Head:
    """Read the model and draw an identity: `strength` standard deviations on its first 40 axes.

    Raises InputError when the file is not the converted model.
    """
    try:
        model = np.load(path)
        names = [str(name) for name in model["expression_names"]]
        materials = [str(name) for name in model["materials"]]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is not ict_facekit.npz ({error}); give --ict its path."
        ) from error
    canonical = tensor(np.concatenate([model["neutral"], _THROAT]))
    still = len(_THROAT)
    draw = torch.randn(40, generator=torch.Generator().manual_seed(seed)) * strength
    identity = torch.einsum("s,svc->vc", draw, tensor(model["identity"][:40]))
    rest = canonical + F.pad(identity, (0, 0, 0, still))

    quads = model["faces"]
    kind = np.array([_MATERIALS.get(name, -1) for name in materials])[model["face_material"]]
    quads, kind = quads[kind >= 0], kind[kind >= 0]
    four = quads[:, 3] >= 0
    throat = len(model["neutral"]) + np.array([[0, 1, 2], [0, 2, 3]])
    triangles = np.concatenate([quads[:, :3], quads[four][:, [0, 2, 3]], throat])
    material = np.concatenate([kind, kind[four], [GUMS, GUMS]])
    triangles = torch.from_numpy(triangles.astype(np.int32))
    material = torch.from_numpy(material.astype(np.int64))
    landmarks = torch.from_numpy(model["landmarks68"])

    def owned(of: int) -> Tensor:
        mask = torch.zeros(len(rest), dtype=torch.bool)
        mask[triangles[material == of].long().flatten()] = True
        return mask

    left = canonical[:, 0] > 0
    ajar = Head(
        rest=with_hair(rest * _METRES, canonical * _METRES, triangles),
        canonical=canonical * _METRES,
        controls={
            name: F.pad(tensor(delta), (0, 0, 0, still)) * _METRES
            for name, delta in zip(names, model["expression"], strict=True)
        },
        triangles=triangles,
        material=material,
        landmarks=landmarks,
        seal_weight=seal_weight(canonical, landmarks) * owned(SKIN),
        tongue_weight=tongue_weight(canonical) * owned(GUMS),
        eye_weight=torch.stack([owned(EYE) & left, owned(EYE) & ~left]).float(),
    )
    return replace(ajar, rest=sealed(ajar, ajar.rest, 0.9))


def tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def smoothstep(low: float, high: float, x: Tensor) -> Tensor:
    """0 below `low`, 1 above `high`, once differentiable; falls when low > high."""
    share = ((x - low) / (high - low)).clamp(0, 1)
    return share * share * (3 - 2 * share)


def seam_height(x: Tensor, seam: Float[Tensor, "K 3"]) -> Tensor:
    """y of the lips' seam above abscissa x, flat beyond its ends."""
    place = np.interp(x.numpy(), seam[:, 0].numpy(), seam[:, 1].numpy())
    return torch.from_numpy(place.astype(np.float32))


def seal_weight(canonical: Float[Tensor, "V 3"], landmarks: Tensor) -> Float[Tensor, " V"]:
    """How far skin follows the closing seam: negative on the upper lip, centimetres in."""
    seam = (canonical[landmarks[_SEAM_UPPER]] + canonical[landmarks[_SEAM_LOWER]]) / 2
    x, y, z = canonical.unbind(-1)
    above = y - seam_height(x, seam)
    corner = smoothstep(2.6, 2.0, x.abs())
    near = torch.exp(-((above / 0.9) ** 2)) * corner * smoothstep(8.5, 9.5, z)
    return torch.where(above > 0, -0.4 * near, 0.6 * near)


def tongue_weight(canonical: Float[Tensor, "V 3"]) -> Float[Tensor, " V"]:
    """1 at the tongue's tip, fading to its root and to the gums it is joined to; centimetres in."""
    x, y, z = canonical.unbind(-1)
    floor = smoothstep(-4.45, -3.9, y) * (y < -2.95)
    return floor * smoothstep(4.5, 9.3, z) * (z < 9.8) * smoothstep(2.2, 1.4, x.abs())


def posed_vertices(head: Head, weights: Mapping[str, float]) -> Float[Tensor, "V 3"]:
    """Head-local vertices under control weights; a name without _L or _R drives both sides.

    `gazeX` and `gazeY` (radians, towards the subject's left and up) turn the eyeballs.
    """
    vertices = head.rest.clone()
    for name, weight in weights.items():
        for side in (name, f"{name}_L", f"{name}_R"):
            if side in head.controls:
                vertices = vertices + weight * head.controls[side]
    lift = torch.tensor([0.0, 0.006, 0.001]) * weights.get("tongueUp", 0.0)
    reach = torch.tensor([0.0, 0.004, 0.012]) * weights.get("tongueOut", 0.0)
    vertices = vertices + head.tongue_weight[:, None] * (lift + reach)
    vertices = sealed(head, vertices, weights.get("seal", 0.0))
    return gazing(head, vertices, weights.get("gazeX", 0.0), weights.get("gazeY", 0.0))


def seam_gap(head: Head, vertices: Float[Tensor, "V 3"]) -> Float[Tensor, ""]:
    """Metres between the lips at the middle of the mouth; negative where they overlap."""
    upper, lower = vertices[head.landmarks[[62, 66]]]
    return upper[1] - lower[1]


def sealed(head: Head, vertices: Float[Tensor, "V 3"], amount: float) -> Float[Tensor, "V 3"]:
    """Close the gap that is left between the lips: all of it and 0.3 mm more at `amount` 1."""
    upper = vertices[head.landmarks[_SEAM_UPPER]]
    gap = upper - vertices[head.landmarks[_SEAM_LOWER]]
    gap[1:-1, 1] += 0.0003
    place = upper[:, 0].numpy()
    across = [np.interp(vertices[:, 0].numpy(), place, gap[:, axis].numpy()) for axis in range(3)]
    shift = torch.from_numpy(np.stack(across, -1).astype(np.float32))
    return vertices + amount * head.seal_weight[:, None] * shift


def gazing(head: Head, vertices: Tensor, left: float, up: float) -> Float[Tensor, "V 3"]:
    """Turn both eyeballs about their centres."""
    turn = matrix_from_axis_angle(torch.tensor([-up, left, 0.0]))
    for weight, centre in zip(head.eye_weight, head.eye_centres, strict=True):
        turned = (vertices - centre) @ turn.T + centre
        vertices = torch.where(weight[:, None] > 0, turned, vertices)
    return vertices


def placed_vertices(
    head: Head,
    vertices: Float[Tensor, "V 3"],
    rotation: Float[Tensor, "3"],
    translation: Float[Tensor, "3"],
) -> Float[Tensor, "V 3"]:
    """Camera-space vertices: the head moves rigidly, the neck bends, the shoulders stay."""
    moved = vertices @ matrix_from_axis_angle(rotation).T + translation
    still = vertices + translation
    follows = smoothstep(-0.17, -0.075, head.canonical[:, 1]) + smoothstep(
        0.0, 0.04, head.canonical[:, 2]
    )
    return still + follows.clamp(max=1)[:, None] * (moved - still)
