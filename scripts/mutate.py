"""Break the code on purpose, one line at a time, and see that the tests notice.

    python scripts/mutate.py [NAME ...]

Each mutant is a copy of the repository's code with one text replaced. The tests named beside it
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
from importlib.util import find_spec
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


def of_coverage(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "render/coverage.py", old, new, "tests/render/test_coverage.py")


def of_file(file: str, tests: str, *changes: tuple[str, str, str]) -> tuple[Mutant, ...]:
    """Mutants (name, old, new) of one file that one file of tests must notice."""
    return tuple(Mutant(name, file, old, new, tests) for name, old, new in changes)


TRITON_MUTANTS = of_file(
    "render/backends/triton_gpu.py",
    "tests/render/test_visibility.py",
    ("triton: strict edges", "(e0 == 0) & (tl.load(own) == 1)", "(e0 == 0) & (tl.load(own) == 9)"),
    ("triton: two owners", "(e1 == 0) & (tl.load(own + 1) == 1)", "e1 == 0"),
    ("triton: later wins", "depth < nearest", "depth <= nearest"),
    ("triton: last bits decide", "tl.floor(z / w * depth_steps + 0.5)", "z / w * depth_steps"),
    ("triton: tiles without columns", "tl.load(box + 1) > left", "tl.load(box + 1) > left + 3"),
    ("triton: frames read frame 0", "index = frame * count + face", "index = face"),
    ("triton: fused products", '{"enable_fp_fusion": False}', '{"enable_fp_fusion": True}'),
    ("triton: boxes behind", "(w > 0).all(-1)", "(w > 0).any(-1)"),
    ("triton: no culling", "torch.where(front_facing(corners)[..., None], box, 0)", "box"),
)
"""Only where Triton is installed is there a test that could notice."""

RENDERING_MUTANTS = (
    of_coverage("no slant", "gain = across / (across + along) *", "gain ="),
    of_coverage(
        "other slant", "gain = across / (across + along) *", "gain = along / (across + along) *"
    ),
    of_coverage("hard mask", "(shares + moved)", "(shares + 0 * moved)"),
    of_coverage(
        "no gradient", "clip = clip_positions.double()", "clip = clip_positions.detach().double()"
    ),
    of_coverage(
        "shares reversed",
        "torch.where(t > 0.5, outside, inside)",
        "torch.where(t > 0.5, inside, outside)",
    ),
    of_coverage(
        "inner outline",
        "torch.where(within, t, -torch.inf).max(1)",
        "torch.where(within, -t, -torch.inf).max(1)",
    ),
    of_coverage("edges of back faces", "return fronts == 1", "return fronts != 2"),
    of_coverage(
        "whole-number centres",
        "edge[..., 1] - (row + 0.5)[..., None]",
        "edge[..., 1] - row[..., None]",
    ),
    of_coverage("behind is before", "crosses & (point[..., 2] > 0)", "crosses"),
    of_coverage(
        "ends projected",
        "point = edge[..., 0, :] + step",
        "edge = edge / edge[..., 2:]\n    point = edge[..., 0, :] + step",
    ),
    of_coverage(
        "rows only",
        "        moved[frame] += moved_share(face.mT, outline[..., [1, 0, 2]]).mT\n",
        "",
    ),
    of_coverage("beyond one", ".clamp(0, 1)", ""),
    of_coverage(
        "frames share an outline",
        "pixels[frame, ends[silhouette[frame]]]",
        "pixels[0, ends[silhouette[0]]]",
    ),
    *of_file(
        "render/backends/nvdiffrast_gpu.py",
        "tests/render/test_adapters.py",
        ("nvdiffrast: upside down", ".flip(1).to(home)", ".to(home)"),
        ("nvdiffrast: ids from one", ".round().int() - 1)", ".round().int())"),
        (
            "nvdiffrast: both sides",
            "drawn = front_facing(corners)[",
            "drawn = (corners[..., 3].amax(-1) > -9)[",
        ),
        (
            "nvdiffrast: cut at the near plane",
            "    z = z / depth.flatten(1)",
            "    z = z + 0 * depth.flatten(1)",
        ),
        ("nvdiffrast: range of no numbers", ".nan_to_num(0, 0, 0)", ""),
    ),
    *of_file(
        "render/backends/pytorch3d.py",
        "tests/render/test_adapters.py",
        ("pytorch3d: x to the right", "[-column, row,", "[column, row,"),
        ("pytorch3d: square NDC", "x / w * width / short", "x / w"),
        ("pytorch3d: packed ids", "face_of_packed[seen.clamp_min(0)]", "seen.int()"),
        ("pytorch3d: depth is w", "+ up, z / w", "+ up, w"),
        ("pytorch3d: depth below zero", "depth - depth.amin() + 1", "depth"),
        ("pytorch3d: nobody's edges", "NUDGE_PIXELS = (2e-4, 2e-5)", "NUDGE_PIXELS = (0.0, 0.0)"),
        (
            "pytorch3d: right edges own",
            "NUDGE_PIXELS = (2e-4, 2e-5)",
            "NUDGE_PIXELS = (-2e-4, 2e-5)",
        ),
        (
            "pytorch3d: mirrored from behind",
            "front_facing(corners) & (corners[..., 3] > 0).all(-1)",
            "front_facing(corners)",
        ),
    ),
    *of_file(
        "render/visibility.py",
        "tests/render/test_visibility.py",
        ("variable unread", "os.environ.get(VARIABLE) or", ""),
        ("variable overrules", 'if name == "auto" else (name, "")', 'if True else (name, "")'),
        ("device unheard", 'AUTOMATIC.get(device, AUTOMATIC["cpu"])', 'AUTOMATIC["cpu"]'),
        ("causes untold", "lost.append(str(error))", "pass"),
    ),
    *(TRITON_MUTANTS if find_spec("triton") else ()),
)

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
    of_loops("spans cut", "floor((high + 1) * width / 2 + 0.5)", "floor((high + 1) * width / 2)"),
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
    *RENDERING_MUTANTS,
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
    *of_file(
        "core/rotation.py",
        "tests/core/test_rotation.py",
        ("turns the other way", "rows = [zero, -z, y, z, zero, -x, -y, x, zero]",
         "rows = [zero, z, -y, -z, zero, x, y, -x, zero]"),
        ("first-order series", "1 - squared / 6", "1 + 0 * squared"),
        ("sign lost near pi", "wxyz[..., :1] < 0, -wxyz", "wxyz[..., :1] < -2, -wxyz"),
        ("right Jacobian", "identity + turn * cross", "identity - turn * cross"),
    ),
    *of_file(
        "core/camera.py",
        "tests/core/test_camera.py",
        ("cut after enlarging", "(self.centre[0] - left) * scale", "self.centre[0] * scale - left"),
        ("y up in pixels", "self.centre[1] - self.focal * y", "self.centre[1] + self.focal * y"),
        ("principal point upside down", "1 - 2 * self.centre[1]", "-1 + 2 * self.centre[1]"),
    ),
    *of_file(
        "core/serial.py",
        "tests/core/test_serial.py",
        ("written in place", "        yield temporary\n", "        yield path\n"),
        ("litter stays", "        temporary.unlink(missing_ok=True)", "        pass"),
        ("newer is read", "if version != schema.version:", "if version < schema.version:"),
    ),
    *of_file(
        "core/progress.py",
        "tests/core/test_progress.py",
        ("eta is the whole time", "(1.0 / self.share - 1.0)", "(1.0 / self.share)"),
    ),
    *of_file(
        "face3d/topology.py",
        "tests/face3d/test_topology.py",
        ("cliques around a vertex", "combinations(t, 2)) < 3]", "combinations(t, 2)) < 4]"),
        ("neighbours run along", "(end, start, third)", "(start, end, third)"),
    ),
    *of_file(
        "face3d/anatomy.py",
        "tests/face3d/test_anatomy.py",
        ("a piece flipped", "(p, b, c), (p, c, q)]", "(p, c, b), (p, c, q)]"),
        ("cut half way", "share = height[a] / (height[a] - height[b])", "share = 0.5"),
        ("jaw hinged at the nose", "hinge = (face[234] + face[454]) / 2", "hinge = face[1]"),
    ),
    *of_file(
        "face3d/morphable.py",
        "tests/face3d/test_morphable.py",
        ("offset leaves the teeth", "self.attachment @ offset]", "0 * self.attachment @ offset]"),
        ("mouth inverted", '"tm,mvc->tvc", mouth,', '"tm,mvc->tvc", -mouth,'),
    ),
    *of_file(
        "face3d/solve.py",
        "tests/face3d/test_solve.py",
        ("y not flipped", "[zero, -across, across * y / z]", "[zero, across, -across * y / z]"),
        ("axis-angle is a vector", "@ left_jacobian(fit.motion.rotation)[:, None]", ""),
        ("turn about the camera", "linalg.cross(at.turned[", "linalg.cross(at.turned.flip(1)["),
        ("focal length among the pose", "left.roll((-1, -1), (1, 2)), right.roll(-1, 1)",
         "left, right"),
        ("linear focal length", "clamp(-0.3, 0.3).exp())", "clamp(-0.3, 0.3) + 1)"),
        ("prior forgotten", "prior * torch.cat([shape, shape.new_tensor(away)])",
         "torch.zeros_like(prior)"),
        ("one focal length for all clips", "len(shape) + clip]) for", "len(shape)]) for"),
        ("bend without gradient", "b_np[: frames - lag] += pull * v[lag:]", "pass"),
        ("stiffness not squared", "** -2", "** -1"),
        ("bent over cuts", "linked[1:-1] & linked[2:]", "linked[1:-1] | linked[2:]"),
        ("bands shifted", "inner + i, a * b", "inner + j, a * b"),
        ("nothing is anchored", "+= 1e12", "+= 0"),
        ("trust in outliers", "/ (1 + error)", "* (1 + error)"),
        ("offset in camera space", "lines.frame[..., 3:POSE] @ rotation[:, None]",
         "lines.frame[..., 3:POSE] @ rotation.mT[:, None]"),
    ),
    *of_file(
        "face3d/gram.py",
        "tests/face3d/test_solve.py",
        ("weights of rows only", "root * residual[", "residual["),
        ("bases of the head's y twice", "+ z * bases[point, 2,", "+ z * bases[point, 1,"),
    ),
    *of_file(
        "face3d/observed.py",
        "tests/face3d/test_tracker.py",
        ("absent faces are at 0", "np.where(found, landmark_weights(), 0.0)",
         "np.where(found, landmark_weights(), 1.0)"),
    ),
    *of_file(
        "face3d/tracker.py",
        "tests/face3d/test_tracker.py",
        ("a gap is valid", "valid=fits,", "valid=torch.ones_like(fits),"),
        ("crop of all shots", "landmarks.found & (shot == index)", "landmarks.found & (shot >= 0)"),
        ("identity fitted again", "if identity is None:\n        [fit] =",
         "if True:\n        [fit] ="),
    ),
    *of_file(
        "face3d/tracker.py",
        "tests/face3d/test_confidence.py",
        ("doubt is not heeded", "valid=sure >= config.min_confidence", "valid=track.valid"),
    ),
    *of_file(
        "face3d/follower.py",
        "tests/face3d/test_follower.py",
        ("anybody is within reach", "return near and box.grown", "return True or box.grown"),
        ("the largest after a cut", "int(np.argmin(strange))", "0"),
        ("looked at once", "LOOKS = 4", "LOOKS = 1"),
    ),
    *of_file(
        "media/frame.py",
        "tests/media/test_frame.py",
        ("a glimpse's own pixels", "+= (self.left, self.top)", "+= (0, 0)"),
        ("chroma beside luma", "left // cells[-1][0] * cells[-1][0]", "left"),
    ),
    *of_file(
        "media/pixels.py",
        "tests/media/test_frame.py",
        ("picked, not averaged", "interpolation=cv2.INTER_AREA", "interpolation=cv2.INTER_NEAREST"),
        ("black is zero", "black[0] = 16", "black[0] = 0"),
    ),
    *of_file(
        "core/ahead.py",
        "tests/core/test_ahead.py",
        ("all at once", "while len(waiting) < count", "while len(waiting) < 1000"),
        ("never closed", "thread.submit(items.close).result()", "pass"),
    ),
    *of_file(
        "face3d/evidence.py",
        "tests/face3d/test_confidence.py",
        ("left stays left", "seen[self._partner, :2]", "seen[:468, :2]"),
        ("a hand is usual", "(disagreement <= np.median(disagreement[found]))",
         "(disagreement < 99)"),
    ),
    *of_file(
        "face3d/lip_line.py",
        "tests/face3d/test_lip_line.py",
        ("lips: no line when shut", "(thickness**2 - shut**2)", "(thickness**2 + 0 * shut)"),
        ("lips: the line off every gap", "np.sqrt((thickness**2 - shut**2).clip(0))",
         "(thickness - shut).clip(0)"),
        ("lips: shut where a detector says so", "by_picture = (gap / error) ** 2",
         "by_picture = (gap / error) ** 2 * (meant > 0.5)"),
        ("lips: thin is shut", "by_picture = (gap / error) ** 2", "by_picture = error**-2 + 1e-9"),
        ("lips: landmarks never fall silent", "LANDMARK_TAIL = 4.5", "LANDMARK_TAIL = 99.0"),
        ("lips: borders anywhere", "STRAY_PRICE = 2.0", "STRAY_PRICE = 0.0"),
        ("lips: borders on the landmarks", "STRAY_PRICE = 2.0", "STRAY_PRICE = 40.0"),
        ("lips: no tongue", "TONGUE = 0.2", "TONGUE = 0.0"),
        ("lips: prices swapped", "(columns.upper, columns.lower))\n    start",
         "(columns.lower, columns.upper))\n    start"),
        ("lips: a line of all frames", "shut = meant.mean(1) < SHUT_PIXELS",
         "shut = meant.mean(1) < 99"),
    ),
    *of_file(
        "face3d/motion.py",
        "tests/face3d/test_tracker.py",
        ("cuts unknown", "shot[here][1:] == shot[here][:-1]", "shot[here][1:] >= shot[here][:-1]"),
        ("windows apart", "if known:\n            past", "if known > 99:\n            past"),
        ("overlap twice", "solved[-1][: len(solved[-1]) - known]", "solved[-1][: len(solved[-1])]"),
        ("smooth per frame", "slow = float(25 / fps) ** 2", "slow = 1.0"),
    ),
    *of_file(
        "face3d/mask.py",
        "tests/face3d/test_mask.py",
        ("mask knows the mouth", "        mouth.repeat(count, 1),",
         "        mouth.repeat(count, 1) + motion.mouth.repeat_interleave(len(sweep), 0),"),
        ("mask knows the brows",
         "motion.upper.new_zeros(count * len(sweep), motion.upper.shape[1])",
         "motion.upper.repeat_interleave(len(sweep), 0)"),
        ("grown too little", "reach <= 2 * pixels", "reach < 2 * pixels"),
        ("no sweep", "mouth.new_tensor(sweep)", "mouth.new_tensor(sweep)[:1]"),
        ("cheeks are seen", "return widened(swept, scale * BULGE_PIXELS, axis=2)", "return swept"),
        ("the nose is hidden", "return widened(swept, scale * BULGE_PIXELS, axis=2)",
         "return grown(swept, BULGE_PIXELS)"),
        ("one corner belongs", "vertices[model.triangles.long()].all(-1)",
         "vertices[model.triangles.long()].any(-1)"),
    ),
    *of_file(
        "face3d/view.py",
        "tests/face3d/test_view.py",
        ("window follows the mouth", "    mouth = torch.zeros_like(motion.mouth)\n",
         "    mouth = motion.mouth.clone()\n"),
        ("lips are their contours", "list(LIPS + LIPS_BETWEEN)", "list(LIPS)"),
        ("crop slides at the border", "top - crop.top : bottom - crop.top", "0 : bottom - top"),
        ("cut wraps", "np.clip(np.arange(top, top + height), 0, len(image) - 1)",
         "np.arange(top, top + height) % len(image)"),
    ),
    *of_file(
        "face3d/unwrap.py",
        "tests/face3d/test_unwrap.py",
        ("texels at whole numbers", "(at * size - 0.5).floor()", "(at * size).floor()"),
        ("u for v", "y * size + x, colours", "x * size + y, colours"),
        ("teeth in shadow", "* inside + 1 - inside", "* 0 + 1"),
        ("black holes", "    return fallback + result[0]", "    return result[0]"),
    ),
    *of_file(
        "face3d/embedding.py",
        "tests/face3d/test_embedding.py",
        ("beyond the edge", "along = along.clip(0, 1)", "along = along"),
        ("outside counts as inside", "(inside >= 0).all(-1)", "(inside > -9).all(-1)"),
        ("the mean of all drawings", "weight = trust / away", "weight = trust"),
        ("nobody is trusted less", "middle = (points * weight[..., None]).sum(0) / weight.sum(0)",
         "middle = points.mean(0) + 0 * weight.sum(0)"),
        ("the first triangle tried", "axis=-1).argmin(1)\n    rows",
         "axis=-1).argmin(1) * 0\n    rows"),
    ),
    *of_file(
        "face3d/models/obj.py",
        "tests/face3d/test_ict.py",
        ("counted from 1", "index - 1 if index > 0", "index if index > 0"),
        ("backwards from the end of nothing", "else count + index", "else index"),
        ("normals are vertices", 'line.startswith(b"v ")', 'line.startswith(b"v")'),
    ),
    *of_file(
        "face3d/models/ict.py",
        "tests/face3d/test_ict.py",
        ("centimetres", "_METRES = 0.01", "_METRES = 1.0"),
        ("whole meshes added", "return vertices - mean", "return vertices"),
        ("people are expressions", r'fullmatch(r"identity\d+", name)',
         r'fullmatch(r"identity0+", name)'),
    ),
    *of_file(
        "face3d/models/own.py",
        "tests/face3d/test_ict.py",
        ("an offset without teeth", "torch.cat([torch.eye(LANDMARKS), model.attachment])",
         "torch.cat([torch.eye(LANDMARKS), 0 * model.attachment])"),
    ),
    *of_file(
        "face3d/models/flame.py",
        "tests/face3d/test_flame.py",
        ("jaw shuts", "np.cross(axes[:, None], mean - joint)",
         "np.cross(mean - joint, axes[:, None])"),
        ("jaw turns about the origin", "mean - joint)", "mean)"),
        ("the neck opens", "JAW, EYES = 2, (3, 4)", "JAW, EYES = 1, (3, 4)"),
    ),
    *of_file(
        "face3d/retopology.py",
        "tests/face3d/test_flame.py",
        ("halves are whole on the mesh", "return moved * sides[..., None]", "return moved"),
        ("the upper half moves the mouth", "share if s.is_mouth else 1 - share", "share"),
        ("the jaw keeps its place", "return [scaled, *(s for s in shapes if s is not jaw)]",
         "return shapes"),
        ("offsets everywhere", "* weight[:, :1]\n", "\n"),
    ),
    *of_file(
        "face3d/models/shelf.py",
        "tests/face3d/test_flame.py",
        ("one embedding for all", '{digest[:24]}', '{len(digest)}'),
        ("never remembered", "        made.save(path)", "        pass"),
    ),
    *of_file(
        "face3d/export/gltf.py",
        "tests/face3d/test_export.py",
        ("weights in deviations", "motion.upper], -1) * units)", "motion.upper], -1))"),
        ("whole frames a second", "float(i / track.fps)", "i / round(track.fps)"),
        ("the long way round", ".sign()\n", ".sign().abs()\n"),
        ("w first", "[axis_angle / 2 * torch.sinc(half / math.pi), half.cos()]",
         "[half.cos(), axis_angle / 2 * torch.sinc(half / math.pi)]"),
        ("texture upside down", "[1.0, -1.0] + [0.0, 1.0]", "[1.0, 1.0] + [0.0, 0.0]"),
        ("seams welded", "np.stack([corners.ravel(), textured.ravel()], -1)",
         "np.stack([corners.ravel(), corners.ravel()], -1)"),
        ("fields exchanged", "yfov=2 * math.atan(camera.height / 2",
         "yfov=2 * math.atan(camera.width / 2"),
    ),
    *of_file(
        "face3d/export/usd.py",
        "tests/face3d/test_export.py",
        ("column vectors", "rotations[index].T", "rotations[index]"),
        ("lens shift mirrored", "(camera.width / 2 - camera.centre[0])",
         "(camera.centre[0] - camera.width / 2)"),
        ("lens shift upside down", "(camera.centre[1] - camera.height / 2)",
         "(camera.height / 2 - camera.centre[1])"),
        ("frames from 0", "code = Usd.TimeCode(track.start + index)", "code = Usd.TimeCode(index)"),
        ("always seen", "shown = bool(track.valid[index])\n", "shown = True\n"),
    ),
    *of_file(
        "face3d/export/obj_sequence.py",
        "tests/face3d/test_export.py",
        ("frames from 0", "frame_path(path, track.start + index)", "frame_path(path, index)"),
        ("quads cut", "count = 4 if polygon[3] >= 0 else 3", "count = 3"),
        ("counted from 0", '[f"{v + 1}/{t + 1}"', '[f"{v}/{t}"'),
        ("field across", "math.atan(camera.height / 2", "math.atan(camera.width / 2"),
    ),
    *of_file(
        "face3d/initialiser.py",
        "tests/face3d/test_initialiser.py",
        ("mirrored", "* [1.0, -1.0]", "* [1.0, 1.0]"),
        ("depth in metres", "better = scale[:, None] * turned", "better = turned"),
        ("the jaw is the head", '["pose"][:, :3]', '["pose"][:, 3:]'),
        ("last batch lost", "or (crops and index == len(seen) - 1)", "or False"),
        ("colours to 255", ".float() / 255", ".float()"),
    ),
    *of_file(
        "prior/painting/bank.py",
        "tests/prior/painting/test_bank.py",
        ("hidden is seen", "< HIDDEN_UV**2", "< 9"),
        ("an edge shows nothing", "found[batch, row, column] = any_of", "pass"),
        ("seen far away", "- 0.5).floor()", "- 1.5).floor()"),
        ("warped the wrong way", "bank.pixels[pick]", "bank.pixels[pick].flip(0) * 0.98"),
        ("greedy", "np.where(total <= jump, stay, best)", "stay"),
        ("switching is free", "_cheapest_path(cost, SWITCH_METRES)", "_cheapest_path(cost, 0.0)"),
        ("second is the first", "cost[np.arange(len(cost)), path] +=", "cost[:, :] +="),
        ("turns do not count", "(POSE_METRES * turn)", "(0 * turn)"),
    ),
    *of_file(
        "prior/painting/conditions.py",
        "tests/prior/painting/test_conditions.py",
        ("plate's mouth is seen", "plate=image * (1 - outer)", "plate=image"),
        ("inner beyond outer", "inner = view.inner[:, None].float() * outer",
         "inner = view.inner[:, None].float() * 0 + 1"),
        ("black is tinted", "(colours + shown) * by - shown", "(colours + 1) * by - 1"),
    ),
    *of_file(
        "prior/training/losses.py",
        "tests/prior/training/test_losses.py",
        ("mean over all pixels", "/ weight.flatten(1).sum(1).clamp_min(1.0)\n\n\ndef gradient",
         "/ weight[0].numel()\n\n\ndef gradient"),
        ("levels count", "across = (error[..., :, 1:] - error[..., :, :-1])",
         "across = (error[..., :, 1:])"),
        ("wrong constant", "0.02**2, 0.06**2", "0.02**2, 0.6**2"),
        ("detail has a place", "mean_box(bands.square(), 9)", "bands.square()"),
        ("finest band alone", "torch.cat([grey - middle, middle - mean_box(grey, 9)], 1)",
         "grey - middle"),
        ("seen beyond the matte", "judge(made * outer + true * (1 - outer), true)",
         "judge(made, true)"),
    ),
    *of_file(
        "prior/perception.py",
        "tests/prior/test_perception.py",
        ("weights are fetched", "if not path.is_file():", "if False:"),
        ("judge learns", "make().eval().requires_grad_(False)", "make()"),
        ("answers of any length", "normalize(x, dim=1).chunk(2)", "x.chunk(2)"),
        ("AlexNet teaches", 'return lpips("vgg", device)', 'return lpips("alex", device)'),
    ),
    *of_file(
        "evaluate/metrics/perceptual.py",
        "tests/evaluate/test_perceptual.py",
        ("colours from 0 to 2", "/ 127.5 - 1", "/ 127.5"),
        ("every frame counts", " & valid[:, None, None]", ""),
    ),
    *of_file(
        "prior/training/glances.py",
        "tests/prior/training/test_glances.py",
        ("cut does not follow", "uv=view.uv[..., rows, columns]",
         "uv=view.uv[..., 16:-16, 16:-16]"),
        ("another frame's warp", "return self.warps[index, pick]",
         "return next(iter(self.warps.values()))"),
        ("kept without end", "fits = size <= self.left", "fits = True"),
    ),
    *of_file(
        "prior/painting/texture_start.py",
        "tests/prior/painting/test_texture_start.py",
        ("noise at first", "nn.init.zeros_(self.head.weight)", "nn.init.ones_(self.head.weight)"),
        ("holes are footage", "(seen > KNOWN)", "(seen >= 0)"),
        ("blocks in another order", "pixel_shuffle(self.head(leaky_relu(x, 0.2)), BLOCK)",
         "pixel_shuffle(self.head(leaky_relu(x, 0.2)).flip(-1), BLOCK)"),
    ),
    *of_file(
        "prior/painting/composite.py",
        "tests/prior/painting/test_composite.py",
        ("feather outside", "np.pad((mask > 0)", "np.pad((mask >= 0)"),
        ("window edge cuts", "np.pad((mask > 0).astype(np.uint8), 1)",
         "np.pad((mask > 0).astype(np.uint8), 1, constant_values=1)"),
    ),
    *of_file(
        "prior/painting/enlargement.py",
        "tests/prior/painting/test_enlargement.py",
        ("half a pixel aside", "* scale - left - 0.5]", "* scale - left]"),
        ("averages of nothing", "return picture + enlarged(missing",
         "return picture + 0 * enlarged(missing"),
        ("shares of a whole pixel", "(overlap.clip(0) * scale)", "(overlap.clip(0) > 0)"),
    ),
    *of_file(
        "prior/weights.py",
        "tests/prior/test_weights.py",
        ("own weights unread", "(own := own_file(name)) is not None", "(own := None) is not None"),
        ("an empty folder will do", "    if not any(", "    if False and not any("),
        ("one's own give way", "error:\n            raise AssetError(\n                f\"{own},",
         "error:\n            error or AssetError(\n                f\"{own},"),
    ),
    *of_file(
        "prior/training/prepare_speech.py",
        "tests/prior/training/test_prepare_speech.py",
        ("done again", "if source.key not in examples and source", "if True or source"),
        ("a track that is gone", "for e in examples if e.track.exists()}", "for e in examples}"),
        ("who may be trained on", "source.split or TRAIN", "TRAIN"),
        ("a corpus of pictures", 'if document.get("kind") != "speech-corpus":', "if False:"),
    ),
    *of_file(
        "prior/sound/encoder.py",
        "tests/prior/sound/test_encoder.py",
        ("kernels at their first sample", "- self._first()) /", ") /"),
        ("rows of the block before", "rows[first - begin :]", "rows[: stop - first]"),
        ("zeros for silence", "silence = self.silence[None]", "silence = 0 * self.silence[None]"),
        ("any encoder", "if _digest(self.folder) != self.digest:", "if False:"),
    ),
    *of_file(
        "prior/training/checkpoint.py",
        "tests/prior/training/test_checkpoint.py",
        ("batches again", '    generator.set_state(tensors["generator"])\n', ""),
        ("moments forgotten", "    optimiser.load_state_dict(document)\n", ""),
    ),
    *of_file(
        "prior/training/train_renderer.py",
        "tests/prior/painting/test_renderer_prior.py",
        ("references copy", "distance[near] = torch.inf", "pass"),
        ("camera stays", "camera(drawn.index, drawn.dx, drawn.dy, margin)",
         "camera(drawn.index, 0, 0, margin)"),
        ("a corpus of the other size", "if library.index.size != size:", "if False:"),
        ("a start of the other size", "if found not in (None, size):", "if False:"),
        ("time counted anew", 'step, spent, average = header["step"], header["seconds"],',
         'step, spent, average = header["step"], 0.0,'),
        ("held clips forgotten", 'Place.of(header["place"]) if header else None', "None"),
        ("old moments", "optimiser.state.pop(changed, None)", "pass"),
        ("seconds decide", "if config.steps is None else step / config.steps", "if True else step"),
    ),
    *of_file(
        "prior/training/train_renderer.py",
        "tests/prior/training/test_ranks.py",
        ("own textures learn faster", "own.grad /= ranks.count", "pass"),
    ),
    *of_file(
        "prior/training/ranks.py",
        "tests/prior/training/test_ranks.py",
        ("nobody averages", "return DistributedDataParallel(module, device_ids=devices)",
         "return module"),
        ("own clock", "dist.broadcast(shared, 0)", "dist.barrier()"),
    ),
    *of_file(
        "core/device.py",
        "tests/core/test_device.py",
        ("tuples stay", "tuple | list):", "list):"),
    ),
    *of_file(
        "prior/training/shards.py",
        "tests/prior/training/test_shards.py",
        ("size is enough", " and sha256_of(path) == shard.sha256", ""),
        ("in its place at once", 'self.part = folder / f"{file}.part"',
         "self.part = folder / file"),
        ("from the shard's start", "file.seek(entry.offset)", "file.seek(0)"),
    ),
    *of_file(
        "prior/training/stream.py",
        "tests/prior/training/test_shards.py",
        ("held twice", "while (key := self._draw()) in self.keys:",
         "while (key := self._draw()) in ():"),
        ("everybody's shards", "self.index.shards[part::parts]", "self.index.shards[part:]"),
        ("one order for ever", "        while True:\n            for number",
         "        while True:\n            random.manual_seed(seed)\n            for number"),
        ("place without the next", "Place(self.drawn, self.place.exchanges + 1,",
         "Place(self.drawn - 1, self.place.exchanges + 1,"),
    ),
    *of_file(
        "prior/training/prepare.py",
        "tests/prior/training/test_corpus.py",
        ("broken is believed", "if is_whole(folder, shard)]", "]"),
        ("no bound", "> self.limit:", "> 10 * self.limit:"),
        ("tracked for every shard", "    if kept.exists():\n", "    if False:\n"),
    ),
    *of_file(
        "prior/training/corpus.py",
        "tests/prior/training/test_corpus.py",
        ("margin once", "left + margin + dx, top + margin + dy", "left + dx, top + dy"),
    ),
    *of_file(
        "prior/training/corpus.py",
        "tests/prior/training/test_shards.py",
        ("first shot's camera", "tuple(cameras[i] for i in header",
         "tuple(cameras[0] for i in header"),
        ("blue for red", "bgr[..., ::-1].transpose", "bgr.transpose"),
    ),
    *of_file(
        "prior/painting/person.py",
        "tests/prior/painting/test_person.py",
        ("the old mouth", "on_device(track.motion.with_mouth(mouth), device)",
         "on_device(track.motion, device)"),
        ("frames without a face", "        if track.valid[i]:\n", "        if True:\n"),
        ("cheeks are seen in dubs", "with_cheeks(swept, person.scale)[:, None]", "swept[:, None]"),
        ("more is laid than may be", "near & seen.swept",
         "near & (seen.conditions.outer[:, 0] > 0)"),
        ("the old mouth stays", "grown(old | seen.covered,", "grown(seen.covered,"),
    ),
    *of_file(
        "prior/painting/registration.py",
        "tests/prior/painting/test_registration.py",
        ("moved the other way", "column - (across @", "column + (across @"),
        ("x for y", "sampled(here, *to))", "sampled(here, *to[::-1]))"),
        ("a worse painting is kept", "(error < least)[:, None]", "(error < torch.inf)[:, None]"),
        ("a held mouth gives way", "held[:-POSE] = HELD", "held[:-POSE] = 1.0"),
        ("pose in the mouth's units", "MOUTH_ERROR * mouth,", "TURN_ERROR * mouth,"),
    ),
    *of_file(
        "prior/painting/track_registration.py",
        "tests/prior/painting/test_registration.py",
        ("a frame is its own reference", "near * FAR_METRES", "0 * near"),
        ("a bell across cuts", "inside = shot == one", "inside = shot >= 0"),
        ("nothing before the first", ".clamp_min(0)]", "]"),
        ("mouth and pose change places", "[*range(mouth, mouth + POSE), *range(mouth)]",
         "[*range(mouth + POSE)]"),
    ),
    *(
        Mutant(f"{name} of the light size", file, old, new, "tests/prior/painting/test_sizes.py")
        for name, file, old, new in (
            ("margin around the sweep", "face3d/mask.py", "scale * MARGIN_PIXELS", "MARGIN_PIXELS"),
            ("room for cheeks", "face3d/mask.py", "scale * BULGE_PIXELS", "BULGE_PIXELS"),
            ("least width", "prior/painting/window.py", "max(width, scale * WINDOW_WIDTH)",
             "max(width, WINDOW_WIDTH)"),
            ("strides", "prior/painting/window.py", "scale * ROOM_PIXELS, scale * STRIDE",
             "scale * ROOM_PIXELS, STRIDE"),
            ("feather", "prior/painting/composite.py", "(scale * FEATHER_PIXELS)",
             "FEATHER_PIXELS"),
            ("weights around lips", "prior/training/losses.py", "reach = 3 * scale", "reach = 3"),
            ("neighbourhoods", "prior/painting/detail.py", "2 * scale * reach + 1",
             "2 * reach + 1"),
            ("blur", "prior/painting/registration.py", "(0, 0), scale * blur)", "(0, 0), blur)"),
            ("lattice", "prior/painting/registration.py", "sight.scale * LATTICE", "LATTICE"),
            ("crop", "prior/painting/person.py", "track.crops[shot].finer(self.scale)",
             "track.crops[shot]"),
            ("reach of what is laid over", "prior/painting/person.py",
             "person.scale * (MARGIN_PIXELS + FEATHER_PIXELS)", "MARGIN_PIXELS + FEATHER_PIXELS"),
            ("margin of windows", "prior/training/corpus.py", "return self.scale * MARGIN",
             "return MARGIN"),
            ("close-ups", "prior/painting/close_up.py", "scale / (FINEST * crop.scale)",
             "1 / (FINEST * crop.scale)"),
            ("texels", "prior/training/train_renderer.py", "size = windows.scale * SIZE",
             "size = SIZE"),
        )
    ),
    *of_file(
        "prior/training/prepare.py",
        "tests/prior/training/test_corpus.py",
        ("sizes mixed in a folder", "if index.size != size:", "if False:"),
    ),
    *of_file(
        "adapt/actor.py",
        "tests/adapt/test_actor.py",
        ("lossless whatever the size", "if images[0].nbytes <= LOSSLESS_BYTES:", "if True:"),
    ),
    *of_file(
        "adapt/lessons.py",
        "tests/adapt/test_actor.py",
        ("as many of the full size", "REFERENCES // windows.scale", "REFERENCES"),
    ),
    *of_file(
        "prior/painting/window.py",
        "tests/prior/painting/test_window.py",
        ("one width for all", "max(width, scale * WINDOW_WIDTH)", "scale * WINDOW_WIDTH"),
        ("the plate's mouth cut off", "in (plate, line)", "in (line,)"),
        ("the line's mouth cut off", "in (plate, line)", "in (plate,)"),
        ("one height for all", "Window(left, top, width, height)",
         "Window(left, top, width, max(height, WINDOW_HEIGHT))"),
        ("around the crop's middle", "[(x + self.left, y", "[(self.left, y"),
    ),
    *of_file(
        "render/deferred.py",
        "tests/render/test_deferred.py",
        ("absent sources", ".exp() * present", ".exp()"),
        ("noisy start", "        nn.init.zeros_(self.head.weight)\n", ""),
    ),
    *of_file(
        "adapt/split.py",
        "tests/adapt/test_split.py",
        ("judge sits beside", "usable[: -held - GAP_FRAMES]", "usable[:-held]"),
        ("judge has seen", "Split(usable[: -held - GAP_FRAMES]", "Split(usable"),
    ),
    *of_file(
        "adapt/actor.py",
        "tests/adapt/test_actor.py",
        ("any prior will do", 'if about["prior"] != fingerprint(prior):', "if False:"),
        ("full precision print", "weights[name].half().numpy()", "weights[name].numpy()"),
        ("old close-ups stay", '("actor.json", "close_ups.safetensors")', '("actor.json",)'),
        ("difference taken for weights", "name: base + renderer", "name: 0 * base + renderer"),
    ),
    *of_file(
        "adapt/personalise.py",
        "tests/adapt/test_personalise.py",
        ("last instead of best", "if error < ALIKE * best_error:", "if True:"),
        ("best of a few frames", "ALIKE = 1.1\n", "ALIKE = 1.0\n"),
        ("measure creeps up", "min(error, best_error)", "error"),
        ("resumes from nothing", "    if checkpoint.exists():\n", "    if False:\n"),
    ),
    *of_file(
        "prior/sound/phonemes.py",
        "tests/prior/sound/test_phonemes.py",
        ("clock of another aligner", "STEPS_A_SECOND = 100", "STEPS_A_SECOND = 80"),
        ("sound counted from its first sample", "start = float(audio.start)", "start = 0.0"),
        ("best path through the lattice", "bestpath=False, ", ""),
        ("half a text is enough", "== words\n    if fitted:", "!= []\n    if fitted:"),
        ("pronunciations of another case", "add_word(word.lower(),", "add_word(word,"),
    ),
    *of_file(
        "prior/sound/throat.py",
        "tests/prior/sound/test_throat.py",
        ("least likely throat", "max(THROATS", "min(THROATS"),
        ("throat of silence", "len(places) < FEW_FRAMES", "len(places) < 1"),
    ),
    *of_file(
        "prior/sound/speech.py",
        "tests/prior/sound/test_throat.py",
        ("formants shifted the wrong way", "throat * hertz, high", "hertz / throat, high"),
        ("bands left unshifted", "mel_weights(throat).T", "mel_weights().T"),
    ),
    *of_file(
        "prior/sound/acoustics.py",
        "tests/prior/sound/test_throat.py",
        ("filters left unshifted", "edges = shifted(edges, throat)", "edges = edges * 1.0"),
    ),
    *of_file(
        "prior/motion/expression.py",
        "tests/prior/motion/test_expression.py",
        ("members summed", "torch.stack(mouths).mean(0)", "torch.stack(mouths).sum(0)"),
        ("stamp of shapes", "w.half().contiguous().numpy().tobytes()", "str(w.shape).encode()"),
    ),
    *of_file(
        "adapt/speaking_style.py",
        "tests/adapt/test_speaking_style.py",
        ("habit of another model", "if self.taught == model.stamp", "if self.habit"),
    ),
    *of_file(
        "prior/motion/repertoire.py",
        "tests/prior/motion/test_repertoire.py",
        ("whitened and coloured", "power(root @ after @ root, 0.5) @ inverse", "power(after, 0.5)"),
        ("nothing rests", "RESTING_VARIANCE = 0.2", "RESTING_VARIANCE = 1e-6"),
    ),
    *of_file(
        "prior/motion/manner.py",
        "tests/prior/motion/test_repertoire.py",
        ("stretch of closures", "opened = shut * (", "opened = 0 * shut * ("),
        ("stretch of heard mouths", "shown = own(heard)", "shown = 2 * own(heard)"),
    ),
    *of_file(
        "dub/closures.py",
        "tests/dub/test_closures.py",
        ("stops shut through their burst", "SHUT_SHARE if first in STOPS else 1", "1"),
        ("contact between two frames", "reach[away.argmin()] = 0", "pass"),
        ("widest gap last", "reverse=True", "reverse=False"),
        ("pressed lips opened", "- gap).clamp_min(0)", "- gap)"),
        ("contacts on the sound's clock", "Contact(float(speech.start) + first / CLOCK,",
         "Contact(first / CLOCK,"),
        ("lips that must be near", "< NEAR_MILLIMETRES + sure *", "< NEAR_MILLIMETRES + 0 *"),
    ),
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
    if unknown := set(names) - {mutant.name for mutant in MUTANTS}:
        print(f"no mutant is called {', '.join(sorted(unknown))}; give names that this file lists.")
        return 2
    mutants = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    files = sorted({mutant.tests for mutant in mutants})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for part in (*PACKAGES, "scripts", "tests"):
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
