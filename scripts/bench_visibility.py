"""Speed of the visibility backends on one face-sized mesh, against each other in one run.

python scripts/bench_visibility.py [--device cuda]
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.camera import Camera
from core.errors import AssetError
from render.coverage import coverage
from render.fragments import Fragments, interpolate, rasterize
from render.visibility import survey, visible_faces

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


def milliseconds(work: Callable[[], Tensor], repeats: int) -> float:
    """The fastest of several runs, after one to compile and warm."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work().cpu()  # waits for a GPU
        taken.append(time.perf_counter() - start)
    return 1000 * min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu", help="where the tensors live")
    device = parser.parse_args().device
    torch.set_num_threads(1)
    vertices, triangles = (tensor.to(device) for tensor in sheet())
    camera = Camera(1.2 * SIZE, (SIZE / 2, SIZE / 2), SIZE, SIZE)
    clip = camera.clip_from_camera(vertices - vertices.new_tensor([0.0, 0.0, 0.4]))[None]
    clip.requires_grad_()
    attributes = torch.randn(1, len(vertices), 16, device=device, requires_grad=True)

    def fragments() -> Fragments:
        return rasterize(clip, triangles, SIZE, SIZE)

    def image() -> Tensor:
        return interpolate(fragments(), attributes, triangles)

    def shares() -> Tensor:
        return coverage(fragments(), clip, triangles)

    def gradient(result: Callable[[], Tensor]) -> Tensor:
        return torch.autograd.grad(result().square().sum(), clip)[0]

    covered = float((fragments().face >= 0).float().mean())
    print(
        f"{len(triangles)} triangles on {SIZE} × {SIZE} pixels, {covered:.0%} covered, "
        f"tensors on {device}, one core"
    )
    reference = milliseconds(lambda: visible_faces(clip, triangles, SIZE, SIZE, "reference"), 1)
    for name, state in survey(torch.device(device).type).items():
        try:
            ids = partial(visible_faces, clip, triangles, SIZE, SIZE, name)
            taken = reference if name == "reference" else milliseconds(ids, 20)
            print(f"{taken:9.2f} ms a frame, {reference / taken:7.1f} × reference: ids, {name}")
        except AssetError:
            print(f"{'':43}ids, {name}: {state}")
    for name, work in (
        ("rasterize and interpolate 16 channels", image),
        ("the same with gradients", partial(gradient, image)),
        ("rasterize and coverage", shares),
        ("the same with gradients", partial(gradient, shares)),
    ):
        print(f"{milliseconds(work, 10):9.2f} ms a frame: {name}")


if __name__ == "__main__":
    main()
