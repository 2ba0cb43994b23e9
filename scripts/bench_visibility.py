"""Speed of the visibility backends on one face-sized mesh, against each other in one run.

python scripts/bench_visibility.py
"""

import time
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.camera import Camera
from render.fragments import interpolate, rasterize
from render.visibility import visible_faces

SIZE = 256
COLUMNS, ROWS = 28, 27


def sheet() -> tuple[Float[Tensor, "V 3"], Int[Tensor, "F 3"]]:
    """A bulging sheet of 2 × 28 × 27 = 1512 triangles, about a face's size, in metres."""
    x, y = torch.meshgrid(
        torch.linspace(-0.1, 0.1, COLUMNS + 1), torch.linspace(-0.12, 0.12, ROWS + 1), indexing="xy"
    )
    vertices = torch.stack([x, y, -4 * (x**2 + y**2)], -1).flatten(0, 1)
    row, column = torch.meshgrid(torch.arange(ROWS), torch.arange(COLUMNS), indexing="ij")
    low = (row * (COLUMNS + 1) + column).flatten()
    high = low + COLUMNS + 1
    lower = torch.stack([low, low + 1, high + 1], -1)
    upper = torch.stack([low, high + 1, high], -1)
    return vertices, torch.cat([lower, upper]).int()


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """The fastest of several runs, after one to compile and warm."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return 1000 * min(taken)


def main() -> None:
    torch.set_num_threads(1)
    vertices, triangles = sheet()
    camera = Camera(1.2 * SIZE, (SIZE / 2, SIZE / 2), SIZE, SIZE)
    clip = camera.clip_from_camera(vertices - torch.tensor([0.0, 0.0, 0.4]))[None]
    clip.requires_grad_()
    attributes = torch.randn(1, len(vertices), 16, requires_grad=True)

    def ids(backend: str) -> Tensor:
        return visible_faces(clip, triangles, SIZE, SIZE, backend)

    def forward() -> Tensor:
        return interpolate(rasterize(clip, triangles, SIZE, SIZE), attributes, triangles)

    covered = float((ids("numba_cpu") >= 0).float().mean())
    print(f"{len(triangles)} triangles on {SIZE} × {SIZE} pixels, {covered:.0%} covered, one core")
    compiled = milliseconds(lambda: ids("numba_cpu"), 20)
    reference = milliseconds(lambda: ids("reference"), 1)
    through = milliseconds(forward, 10)
    both_ways = milliseconds(lambda: forward().sum().backward(), 10)
    for name, taken in (
        ("ids, reference", reference),
        ("ids, numba_cpu", compiled),
        ("rasterize and interpolate 16 channels", through),
        ("the same with gradients", both_ways),
    ):
        ratio = reference / taken
        print(f"{taken:9.2f} ms a frame, {ratio:7.1f} × the reference's speed: {name}")


if __name__ == "__main__":
    main()
