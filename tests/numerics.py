"""What tests of geometry share: meshes, pixel centres and comparisons, written without redub.

Pixel centres are written here a second time on purpose: a test that borrowed them from the code
under test would agree with any mistake there.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def pixel_centres(height: int, width: int) -> Float[Tensor, "H W 3"]:
    """(x, y, 1) of every pixel's centre in NDC: x from −1 (left) to 1, y from 1 (top) to −1."""
    rows = [
        [((2 * c + 1 - width) / width, (height - 1 - 2 * r) / height, 1.0) for c in range(width)]
        for r in range(height)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def drawn(picture: str) -> Int[Tensor, "1 H W"]:
    """Face ids from a drawing: one digit a pixel, a dot where there is none."""
    lines = picture.split()
    ids = [[-1 if pixel == "." else int(pixel) for pixel in line] for line in lines]
    return torch.tensor([ids], dtype=torch.int32)


def sphere(rings: int, segments: int) -> tuple[Float[Tensor, "V 3"], Int[Tensor, "F 3"]]:
    """A unit sphere of quads split in two, counter-clockwise from outside, no poles repeated."""
    vertices = [(0.0, 1.0, 0.0)]
    for ring in range(1, rings):
        polar = np.pi * ring / rings
        for segment in range(segments):
            turn = 2 * np.pi * segment / segments
            vertices.append(
                (np.sin(polar) * np.sin(turn), np.cos(polar), np.sin(polar) * np.cos(turn))
            )
    vertices.append((0.0, -1.0, 0.0))
    last = len(vertices) - 1
    triangles = []
    for segment in range(segments):
        here, there = 1 + segment, 1 + (segment + 1) % segments
        triangles.append((0, here, there))
        for ring in range(rings - 2):
            upper = ring * segments
            lower = upper + segments
            triangles.append((upper + here, lower + here, lower + there))
            triangles.append((upper + here, lower + there, upper + there))
        bottom = (rings - 2) * segments
        triangles.append((bottom + here, last, bottom + there))
    return torch.tensor(vertices, dtype=torch.float64), torch.tensor(triangles, dtype=torch.int32)


def barycentric_of(
    face: Int[Tensor, "H W"], clip: Float[Tensor, "V 4"], triangles: Int[Tensor, "F 3"]
) -> Float[Tensor, "H W 3"]:
    """Weights of a face at pixel centres by solving Σ λ_i v_i = p, scaled to sum one.

    Works for pixels the face does not cover too; meaningless where the id is −1.
    """
    corners = clip.double()[triangles[face.clamp_min(0).long()].long()][..., [0, 1, 3]]
    weights = torch.linalg.solve(corners.transpose(-1, -2), pixel_centres(*face.shape))
    return weights / weights.sum(-1, keepdim=True)


def near_edge(
    face: Int[Tensor, "H W"],
    clip: Float[Tensor, "V 4"],
    triangles: Int[Tensor, "F 3"],
    band: float,
) -> Bool[Tensor, "H W"]:
    """Pixels within `band`, in barycentric weight, of an edge of the face they show."""
    close = barycentric_of(face, clip, triangles).abs().amin(-1) < band
    return close & (face >= 0)


def assert_same_faces(
    actual: Int[Tensor, "B H W"],
    expected: Int[Tensor, "B H W"],
    clip: Float[Tensor, "B V 4"],
    triangles: Int[Tensor, "F 3"],
    band: float = 5e-3,
    share: float = 1e-4,
) -> None:
    """Equal outside a band around the edges of either; within it at most `share` of all pixels
    flips. Backends differ in rounding only, and rounding acts at edges only."""
    assert actual.dtype == expected.dtype == torch.int32
    assert actual.shape == expected.shape
    flips = 0
    for one, other, vertices in zip(actual, expected, clip, strict=True):
        differs = one != other
        edges = near_edge(one, vertices, triangles, band)
        edges |= near_edge(other, vertices, triangles, band)
        stray = (differs & ~edges).nonzero().tolist()
        assert not stray, f"{len(stray)} pixels differ away from edges, first {stray[0]}"
        flips += int(differs.sum())
    assert flips <= share * actual.numel(), f"{flips} of {actual.numel()} pixels flip at edges"
