"""What landmarks cannot see: a skirt under the chin, two dental arcs and the oral cavity.

Each part is attached to the 468 landmark vertices by a linear rule, so that it joins every basis
of the morphable model. The upper arc is fixed to the skull, the lower one turns with the jaw: a
polygon stretched between the lips would let the teeth slide with them.
"""

from dataclasses import dataclass

import numpy as np

from face3d.topology import (
    CHIN,
    JAW_LINE,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    NOSE_BASE,
    lip_ring_inner,
)

# Metres. Adult averages: the arch is about 58 mm wide at the molars and 30 mm deep, the incisors'
# crowns are 10 mm high and show 2 mm under a relaxed upper lip.
ARCH_HALF_WIDTH = 0.027
ARCH_DEPTH = 0.030
ARCH_BEHIND_LIPS = 0.007
ARCH_COLUMNS = 15
UPPER_ROWS = (0.012, 0.004, -0.002)
LOWER_ROWS = (0.0, -0.008, -0.016)
SKIRT_ROWS = (((0.0, -0.012, -0.014), 0.7), ((0.0, -0.034, -0.040), 0.25))
CAVITY_RINGS = ((0.004, 0.012, 1.10), (0.022, 0.020, 0.95))
CAVITY_BACK = 0.036

FACE_V = 0.76
"""Share of the texture's height that the face's chart takes; teeth and cavity lie below it."""


UPPER_ARC_V = (FACE_V + 0.01, 0.87)
"""Where the upper arc's chart begins and ends."""


@dataclass(frozen=True)
class Part:
    """Vertices `rest` [N 3] of a mean head, triangles into them, uv, and two linear rules.

    `shape_rule` and `motion_rule` [N·3, 468·3] carry the landmarks' identity and mouth
    displacements over to the part. Triangles index the part's own vertices.
    """

    rest: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    shape_rule: np.ndarray
    motion_rule: np.ndarray


def _follow(weights: np.ndarray) -> np.ndarray:
    """The rule by which vertex n moves with the weighted mean of landmarks, weights [N 468]."""
    return np.kron(weights, np.eye(3))


def _mean_of(count: int, landmarks: tuple[int, ...]) -> np.ndarray:
    weights = np.zeros((count, 468))
    weights[:, list(landmarks)] = 1 / len(landmarks)
    return weights


def jaw_rule(face: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How `points` [N 3] move if they ride on the jaw bone, as a linear rule of the landmarks.

    Least squares over the chin's landmarks for a small rotation about the hinge between the ears
    and a translation, with a ridge that prefers the rotation (the joint glides only a little).
    """
    hinge = (face[234] + face[454]) / 2
    chin = list(CHIN)

    def lever(at: np.ndarray) -> np.ndarray:
        x, y, z = (at - hinge).T
        o = np.zeros_like(x)
        turn = np.stack([o, z, -y, -z, o, x, y, -x, o], -1).reshape(-1, 3, 3)
        return np.concatenate([turn, np.broadcast_to(np.eye(3), turn.shape)], -1).reshape(-1, 6)

    design = lever(face[chin])
    arm = float(np.linalg.norm(face[CHIN[0]] - hinge))
    ridge = np.diag(np.repeat([arm**2, 4.0], 3)) * 0.02 * len(chin)
    solve = np.linalg.solve(design.T @ design + ridge, design.T)
    pick = _follow(np.eye(468)[chin])
    return lever(points) @ solve @ pick


def _grid_triangles(rows: int, columns: int, closed: bool = False) -> np.ndarray:
    """Triangles of a grid, row-major, counter-clockwise if rows run down and columns to the left.

    In the image of a facing head, the subject's left is to the right.
    """
    faces = []
    for r in range(rows - 1):
        for c in range(columns if closed else columns - 1):
            a, b = r * columns + c, r * columns + (c + 1) % columns
            faces += [(a, a + columns, b), (b, a + columns, b + columns)]
    return np.array(faces, np.int32)


def cut_along(
    face: np.ndarray, face_uv: np.ndarray, triangles: np.ndarray, height: np.ndarray
) -> tuple[np.ndarray, Part]:
    """Split triangles where `height` [468] changes sign: a smooth line bounds what a dub repaints.

    Returns the new triangles [F 3], and the line's vertices, numbered from 468 on, as a part
    without triangles of its own.
    """
    ends: dict[tuple[int, int], int] = {}

    def crossing(a: int, b: int) -> int:
        return 468 + ends.setdefault((min(a, b), max(a, b)), len(ends))

    result = []
    for a, b, c in triangles.tolist():
        for _ in range(3):  # turn the triangle until its lone corner comes first
            if (height[a] < 0) != (height[b] < 0) and (height[a] < 0) != (height[c] < 0):
                break
            a, b, c = b, c, a
        else:
            result.append((a, b, c))
            continue
        p, q = crossing(a, b), crossing(a, c)
        result += [(a, p, q), (p, b, c), (p, c, q)]
    weights = np.zeros((len(ends), 468))
    for row, (a, b) in enumerate(ends):
        share = height[a] / (height[a] - height[b])
        weights[row, a], weights[row, b] = 1 - share, share
    nothing = np.empty((0, 3), np.int32)
    rule = _follow(weights)
    return np.array(result, np.int32), Part(weights @ face, nothing, weights @ face_uv, rule, rule)


def skirt(face: np.ndarray, face_uv: np.ndarray) -> Part:
    """Two rows below and behind the jaw line, following it less and less."""
    jaw = list(JAW_LINE)
    rows, rules, uvs = [face[jaw]], [np.eye(468)[jaw]], [face_uv[jaw]]
    inward = np.array([0.93, 1.0, 1.0])
    for (step, follow), v_step in zip(SKIRT_ROWS, (0.04, 0.08), strict=True):
        rows.append(face[jaw] * inward + np.array(step))
        rules.append(np.eye(468)[jaw] * follow)
        uvs.append(face_uv[jaw] + np.array([0.0, v_step]))
    weights = np.concatenate(rules)
    identity = np.concatenate([np.eye(468)[jaw]] * len(rows))
    return Part(
        np.concatenate(rows),
        _grid_triangles(len(rows), len(jaw)),
        np.concatenate(uvs).clip(0.001, [0.999, FACE_V]),
        _follow(identity),
        _follow(weights),
    )


def _arch(front: np.ndarray, rows: tuple[float, ...]) -> np.ndarray:
    """A parabolic strip of teeth [rows·columns 3] whose middle incisor edge would be at `front`."""
    along = np.linspace(-1, 1, ARCH_COLUMNS)
    x = ARCH_HALF_WIDTH * np.sin(along * np.pi / 2)
    z = -ARCH_DEPTH * (1 - np.cos(along * np.pi / 2)) ** 0.9
    return np.concatenate([front + np.stack([x, np.full_like(x, dy), z], -1) for dy in rows])


def _arch_uv(rows: int, top: float, bottom: float) -> np.ndarray:
    u = np.linspace(0.01, 0.49, ARCH_COLUMNS)
    return np.concatenate(
        [np.stack([u, np.full_like(u, v)], -1) for v in np.linspace(top, bottom, rows)]
    )


def upper_teeth(face: np.ndarray) -> Part:
    """The upper arc: placed by the person's mouth, moved by nothing but the head."""
    lip = face[list(LIPS_INNER_UPPER[3:-3])].mean(0)
    front = np.array([0.0, lip[1], face[13, 2] - ARCH_BEHIND_LIPS])
    rest = _arch(front, UPPER_ROWS)
    place = _mean_of(len(rest), (NOSE_BASE, 164, *LIPS_INNER_UPPER))
    return Part(
        rest,
        _grid_triangles(len(UPPER_ROWS), ARCH_COLUMNS),
        _arch_uv(len(UPPER_ROWS), *UPPER_ARC_V),
        _follow(place),
        np.zeros((len(rest) * 3, 468 * 3)),
    )


def lower_teeth(face: np.ndarray) -> Part:
    """The lower arc: placed by the person's mouth, moved by the jaw; it bites behind the upper."""
    lip = face[list(LIPS_INNER_LOWER[3:-3])].mean(0)
    front = np.array([0.0, lip[1], face[14, 2] - ARCH_BEHIND_LIPS - 0.002])
    rest = _arch(front, LOWER_ROWS)
    place = _mean_of(len(rest), LIPS_INNER_LOWER)
    return Part(
        rest,
        _grid_triangles(len(LOWER_ROWS), ARCH_COLUMNS),
        _arch_uv(len(LOWER_ROWS), 0.89, 0.99),
        _follow(place),
        jaw_rule(face, rest),
    )


def cavity(face: np.ndarray) -> Part:
    """A bag hung from the inner lips: its rings widen behind them, a cap closes it at the back."""
    ring = list(lip_ring_inner())
    half = len(LIPS_INNER_UPPER)
    lips = face[ring]
    centre = lips.mean(0)
    upward = np.where(np.arange(len(ring)) < half, 1.0, -1.0)
    taper = np.sqrt(np.clip(1 - ((lips[:, 0] - centre[0]) / np.ptp(lips[:, 0]) * 2) ** 2, 0, 1))
    rows, motions = [lips], [_follow(np.eye(468)[ring])]
    for depth, spread, width in CAVITY_RINGS:
        row = lips.copy()
        row[:, 0] = centre[0] + (row[:, 0] - centre[0]) * width
        row[:, 1] += upward * taper * spread
        row[:, 2] -= depth
        rows.append(row)
        with_jaw = jaw_rule(face, row).reshape(len(ring), 3, -1)
        with_lips = _follow(np.eye(468)[ring]).reshape(len(ring), 3, -1)
        still = np.zeros_like(with_lips)
        bone = np.where(upward[:, None, None] > 0, still, with_jaw)
        share = 0.5 if depth < CAVITY_BACK / 2 else 0.0
        motions.append((share * with_lips + (1 - share) * bone).reshape(len(ring) * 3, -1))
    back = centre - np.array([0.0, 0.0, CAVITY_BACK])
    rest = np.concatenate([*rows, back[None]])
    motion = np.concatenate([*motions, 0.5 * jaw_rule(face, back[None])])
    cap = len(rest) - 1
    last = cap - len(ring)
    around = [(last + i, cap, last + (i + 1) % len(ring)) for i in range(len(ring))]
    triangles = np.concatenate([_grid_triangles(len(rows), len(ring), True), around])
    angle = np.linspace(0, 2 * np.pi, len(ring), endpoint=False)
    spokes = np.stack([-np.cos(angle), -np.sin(angle)], -1)
    radii = np.linspace(1.0, 0.0, len(rows) + 1)[:-1]
    middle, extent = np.array([0.75, (FACE_V + 1) / 2]), np.array([0.24, (1 - FACE_V) / 2 - 0.01])
    uv = np.concatenate([*(middle + spokes * r * extent for r in radii), middle[None]])
    place = np.concatenate([np.eye(468)[ring]] * len(rows) + [_mean_of(1, tuple(ring))])
    return Part(rest, triangles.astype(np.int32), uv, _follow(place), motion)


def face_uv(face: np.ndarray) -> np.ndarray:
    """A cylindrical chart [468 2] that gives the lower face four fifths of its height."""
    axis_z = (face[234, 2] + face[454, 2]) / 2
    angle = np.arctan2(face[:, 0], face[:, 2] - axis_z + 0.012)
    marks = [face[10, 1], face[6, 1], face[NOSE_BASE, 1], face[152, 1], face[152, 1] - 0.03]
    v = np.interp(-face[:, 1], [-m for m in marks], [0.0, 0.08, 0.25, 0.68, FACE_V])
    return np.stack([0.5 + angle / np.pi * 0.98, v], -1).clip(0.001, 0.999)
