"""Break the code on purpose, one line at a time, and see that the tests notice.

    python scripts/mutate.py [NAME ...]

Each mutant is a copy of the repository's packages with one text replaced. The tests named beside it
run on that copy in this process. Ends with 1 if a mutant survives, if its text is not found
exactly once, or if the tests fail without any mutant.
"""

import contextlib
import io
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "media", "render", "face3d", "prior", "adapt", "dub", "evaluate")


@dataclass(frozen=True)
class Mutant:
    """`old` becomes `new` in `file`; some test in `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str


def of_fragments(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "render/fragments.py", old, new, "tests/render/test_fragments.py")


def of_loops(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "render/backends/numba_cpu.py", old, new, "tests/render/test_visibility.py")


def of_reference(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "render/backends/reference.py", old, new, "tests/render/test_visibility.py")


def of_sampling(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "render/sampling.py", old, new, "tests/render/test_sampling.py")


def of_mesh(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "render/mesh.py", old, new, "tests/render/test_mesh.py")


MUTANTS = (
    of_fragments(
        "no perspective",
        "v = corners[..., [0, 1, 3]]",
        "v = corners[..., [0, 1, 3]] / corners[..., 3:]",
    ),
    of_fragments(
        "half a pixel right", "x = ((pixel % width).double() + 0.5)", "x = ((pixel % width) + 0.0)"
    ),
    of_fragments(
        "vertices rolled",
        "edges = torch.linalg.cross(v[:, :, [1, 2, 0]], v[:, :, [2, 0, 1]])",
        "edges = torch.linalg.cross(v[:, :, [2, 0, 1]], v[:, :, [0, 1, 2]])",
    ),
    of_fragments("image flipped", "y = 1 - (", "y = -1 + ("),
    of_fragments(
        "wrong face id",
        "face = visible_faces(clip_positions, triangles, height, width, backend)",
        "face = visible_faces(clip_positions, triangles, height, width, backend)\n"
        "    face = torch.where(face >= 0, (face + 1) % len(triangles), face)",
    ),
    of_fragments("centres in float32", "x = ((pixel % width).double()", "x = ((pixel % width)"),
    of_fragments("depth is z", "(z / w).to(dtype)", "z.to(dtype)"),
    of_fragments("float32 inside", "clip_positions.double(), tri", "clip_positions, tri"),
    of_fragments(
        "detached positions",
        "corners_of(clip_positions.double(), triangles)",
        "corners_of(clip_positions.detach().double(), triangles)",
    ),
    of_fragments("frames read frame 0", "if len(of_face) > 1:", "if len(of_face) > 9:"),
    of_fragments("one set is read beyond", "if len(of_face) > 1:", "if len(face) > 1:"),
    of_fragments("corners exchanged", "first, second, third =", "second, first, third ="),
    of_fragments("far is -1", "face.numel(), 1.0)", "face.numel(), -1.0)"),
    of_loops("strict edges", "e0 == 0 and owns0", "e0 == 0 and False"),
    of_loops("two owners", "e1 == 0 and owns1", "e1 == 0"),
    of_loops("bottom edges own", "(a2 == 0 and b2 < 0)", "(a2 == 0 and b2 > 0)"),
    of_loops("no culling", "if not determinant >", "if not abs(determinant) >"),
    of_loops("zero area covers", "determinant > smallest_determinant", "determinant >= 0.0"),
    of_loops("far wins", "z_over_w * depth_steps", "z_over_w * -depth_steps"),
    of_loops("later wins", "if depth < nearest", "if depth <= nearest"),
    of_loops(
        "last bits decide", "np.rint(z_over_w * depth_steps)", "z_over_w * depth_steps"
    ),
    of_loops("depth is z", "(e0 * w0 + e1 * w1 + e2 * w2)", "(e0 + e1 + e2)"),
    of_loops("boxes behind", "if w0 > 0 and w1 > 0 and w2 > 0:", "if w0 > 0 or w1 > 0 or w2 > 0:"),
    of_loops("boxes cut", "floor(left - 0.5)", "floor(left + 0.5)"),
    of_loops("height for width", "(column + 0.5) * 2 / width", "(column + 0.5) * 2 / height"),
    of_loops(
        "edges summed unsheared",
        "u0, u1, u2 = x0 - w0 * x, x1 - w1 * x, x2 - w2 * x",
        "u0, u1, u2 = x0 / w0 - x, x1 / w1 - x, x2 / w2 - x",
    ),
    of_reference("reference: strict edges", "((e == 0) & owns[:, None, None])", "(e > 1)"),
    of_reference("reference: no culling", "np.linalg.det(v) >", "abs(np.linalg.det(v)) >"),
    of_reference("reference: later wins", "(depth < nearest)", "(depth <= nearest)"),
    Mutant(
        "corners unchecked",
        "render/visibility.py",
        "highest < count",
        "highest <= count",
        "tests/render/test_visibility.py",
    ),
    of_sampling(
        "texture corners aligned",
        '"border", align_corners=False',
        '"border", align_corners=True',
    ),
    of_sampling("texture wraps to 0", '"border"', '"zeros"'),
    of_sampling("v up", "(2 * uv - 1)", "(2 * uv - 1) * uv.new_tensor([1, -1]).view(1, 2, 1, 1)"),
    of_sampling("mask left out", "return texels * mask", "return texels"),
    of_sampling("x for y", "[width, height]", "[height, width]"),
    of_sampling("whole-number centres", "/ size - 1", "/ size - 1 + 1 / size"),
    of_mesh("inside out", "cross(b - a, c - a)", "cross(c - a, b - a)"),
    of_mesh("0/0 normals", "torch.where(length > 0, length, torch.ones_like(length))", "length"),
    of_mesh("faces weigh alike", "twice_area)", "twice_area / twice_area.norm(dim=-1)[..., None])"),
    of_mesh("range off by one", "(triangles >= vertex_count)", "(triangles > vertex_count)"),
)  # fmt: skip


@contextlib.contextmanager
def imports_from(folder: Path) -> Iterator[None]:
    """Import the packages and tests afresh from `folder`, and forget them afterwards."""
    before = set(sys.modules)
    path = list(sys.path)
    sys.path[:0] = [str(folder), str(folder / "tests")]
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            source = getattr(sys.modules[name], "__file__", None)
            if source and source.startswith(str(folder)):
                del sys.modules[name]


def tests_pass(folder: Path, tests: Sequence[str]) -> bool:
    with imports_from(folder), contextlib.redirect_stdout(io.StringIO()):
        options = ["-x", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder)]
        configuration = ["-c", str(folder / "pyproject.toml")]
        return pytest.main([*options, *configuration, *(str(folder / t) for t in tests)]) == 0


def mutated(folder: Path, mutant: Mutant) -> bool:
    """Apply a mutant to the copy; False when its text is not there exactly once."""
    source = (REPOSITORY / mutant.file).read_text()
    if source.count(mutant.old) != 1:
        return False
    (folder / mutant.file).write_text(source.replace(mutant.old, mutant.new))
    return True


def verdict(folder: Path, mutant: Mutant) -> str:
    if not mutated(folder, mutant):
        return "STALE: its text is not there exactly once"
    try:
        return "SURVIVES" if tests_pass(folder, [mutant.tests]) else "killed"
    finally:
        # copy2 keeps the time stamp, and so what was compiled for the unbroken file.
        shutil.copy2(REPOSITORY / mutant.file, folder / mutant.file)


def main(names: Sequence[str]) -> int:
    mutants = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    files = sorted({mutant.tests for mutant in mutants})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for part in (*PACKAGES, "tests"):
            shutil.copytree(REPOSITORY / part, folder / part)
        shutil.copy2(REPOSITORY / "pyproject.toml", folder)
        if not tests_pass(folder, files):
            print("the tests fail without any mutant; mend them first.")
            return 1
        alive = 0
        for mutant in mutants:
            start = time.monotonic()
            result = verdict(folder, mutant)
            alive += result != "killed"
            print(f"{result:10} {time.monotonic() - start:5.1f} s  {mutant.file}: {mutant.name}")
    print(f"{len(mutants) - alive} of {len(mutants)} mutants killed")
    return int(alive > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
