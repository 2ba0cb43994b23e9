"""Learn the morphable model from footage of many people speaking.

    python scripts/learn_face_model.py CLIP... [-o face3d/morphable.safetensors]

Give clips, `PERSON=CLIP` to say that several show one person. Anyone can rerun it on footage of
their own. Landmarks are aligned to a common head by its stable points; each person's closed-mouth
face gives the identity basis, what moves around it the two expression bases.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from core.progress import Console, reported
from face3d.assembly import completed, mouth_share
from face3d.landmarks import Landmarks, detect_landmarks, mouth_gap
from face3d.morphable import MorphableModel
from face3d.topology import (
    CHIN,
    EYE_OUTER_LEFT,
    EYE_OUTER_RIGHT,
    INNER_PAIRS,
    LANDMARKS,
    LIPS,
    NOSE_BASE,
    STABLE,
)
from media.clip import Clip

EYE_CORNERS_METRES = 0.090
FRAMES_A_PERSON = 240
FRAMES_A_CLIP = 60


def procrustes(points: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`points` [T N 3] moved onto `target` [N 3] by the best weighted similarity (Umeyama 1991)."""
    w = weights / weights.sum()
    a = points - (w[:, None] * points).sum(-2, keepdims=True)
    middle = (w[:, None] * target).sum(0)
    b = target - middle
    u, s, vt = np.linalg.svd(np.einsum("n,nc,tnd->tcd", w, b, a))
    flip = np.ones_like(s)
    flip[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * flip[:, None]) @ vt
    scale = (s * flip).sum(-1) / np.einsum("n,tnc->t", w, a**2)
    return scale[:, None, None] * np.einsum("tcd,tnd->tnc", rotation, a) + middle


def mirror_partner(face: np.ndarray) -> np.ndarray:
    """For each vertex the one across the face, found on a nearly symmetric mean."""
    mirrored = face * np.array([-1, 1, 1])
    return np.linalg.norm(mirrored[:, None] - face[None], axis=-1).argmin(1)


def upright(landmarks: Landmarks) -> np.ndarray:
    """Landmarks as points [T 468 3] with y up and z towards the viewer."""
    found = landmarks[landmarks.found]
    points = np.concatenate([found.xy, found.depth[..., None]], -1)[:, :LANDMARKS]
    return points.astype(np.float64) * np.array([1, -1, 1])


def thinned(points: np.ndarray, count: int) -> np.ndarray:
    return points[np.unique(np.linspace(0, len(points) - 1, min(count, len(points))).astype(int))]


def common_head(people: dict[str, np.ndarray]) -> np.ndarray:
    """The mean head [468 3] in metres: symmetric, facing +z, eyes level, nose base at 0."""
    stable = np.zeros(LANDMARKS)
    stable[list(STABLE)] = 1.0
    everyone = np.concatenate([thinned(points, 40) for points in people.values()])
    extent = np.linalg.norm(everyone[:, EYE_OUTER_LEFT] - everyone[:, EYE_OUTER_RIGHT], axis=-1)
    everyone /= extent[:, None, None]
    mean = everyone[np.abs(everyone[:, 1, 0] - everyone[:, STABLE].mean(1)[:, 0]).argmin()]
    for _ in range(5):
        mean = procrustes(everyone, mean, stable).mean(0)
    partner = None
    for _ in range(3):
        mean = mean - mean[NOSE_BASE]
        right = mean[EYE_OUTER_RIGHT] - mean[EYE_OUTER_LEFT]
        x = -right / np.linalg.norm(right)
        brow = (mean[10] + mean[151]) / 2 - mean[152]
        y = brow - x * (brow @ x)
        y /= np.linalg.norm(y)
        mean = mean @ np.stack([x, y, np.cross(x, y)], -1)
        partner = mirror_partner(mean)
        mean = (mean + mean[partner] * np.array([-1, 1, 1])) / 2
    scale = EYE_CORNERS_METRES / np.linalg.norm(mean[EYE_OUTER_LEFT] - mean[EYE_OUTER_RIGHT])
    return mean * scale


def components(samples: np.ndarray, weights: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """Principal components [count N 3] in a vertex-weighted metric, each one deviation long."""
    root = np.sqrt(weights)[None, :, None]
    flat = (samples * root).reshape(len(samples), -1)
    _, s, vt = np.linalg.svd(flat, full_matrices=False)
    deviation = s[:count] / np.sqrt(len(samples))
    basis = vt[:count].reshape(count, *samples.shape[1:]) / root * deviation[:, None, None]
    return basis, float((s[:count] ** 2).sum() / (s**2).sum())


def with_mirror(samples: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Samples and their mirror images: no basis should lean to one side."""
    return np.concatenate([samples, samples[:, partner] * np.array([-1, 1, 1])])


def learn(people: dict[str, np.ndarray], identity: int, mouth: int, upper: int) -> MorphableModel:
    """The model of `people`, points [T 468 3] of each. Data may limit the basis sizes asked for."""
    mean = common_head(people)
    partner = mirror_partner(mean)
    stable = np.zeros(LANDMARKS)
    stable[list(STABLE)] = 1.0
    share = mouth_share(mean[:, 1] - mean[NOSE_BASE, 1])
    neutrals, motions = [], []
    for points in people.values():
        aligned = procrustes(points, mean, stable)
        gap = np.linalg.norm(
            aligned[:, [a for a, _ in INNER_PAIRS]] - aligned[:, [b for _, b in INNER_PAIRS]],
            axis=-1,
        ).mean(1)
        closed = aligned[gap <= np.quantile(gap, 0.15)].mean(0)
        neutrals.append(closed)
        motions.append(procrustes(aligned, closed, stable) - closed)
    neutral = np.stack(neutrals)
    motion = with_mirror(np.concatenate(motions), partner)
    centre = with_mirror(neutral, partner).mean(0)
    lips = np.ones(LANDMARKS)
    lips[list(LIPS)] = 4.0
    bases = {
        "identity": components(with_mirror(neutral - centre, partner), lips, identity),
        "mouth": components(motion * share[:, None], lips, mouth),
        "upper": components(motion * (1 - share)[:, None], np.ones(LANDMARKS), upper),
    }
    # A component's sign is arbitrary, but the first of the mouth is the jaw: it opens as it grows.
    jaw = bases["mouth"][0][0]
    jaw *= -np.sign(jaw[list(CHIN), 1].sum())
    explained = {name: round(part, 4) for name, (_, part) in bases.items()}
    return completed(centre, *(basis for basis, _ in bases.values()), about={
        "people": sorted(people), "explained_variance": explained,
    })  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", nargs="+", metavar="[PERSON=]CLIP")
    parser.add_argument("-o", "--output", type=Path, default=Path("face3d/morphable.safetensors"))
    parser.add_argument("--identity", type=int, default=28)
    parser.add_argument("--mouth", type=int, default=20)
    parser.add_argument("--upper", type=int, default=12)
    options = parser.parse_args()
    gathered: dict[str, list[np.ndarray]] = defaultdict(list)
    for entry in reported(options.clips, Console(), "landmarks", len(options.clips)):
        person, _, path = entry.rpartition("=")
        clip = Clip.open(Path(path))
        landmarks = detect_landmarks(frame.rgb for frame in clip.frames())
        if landmarks.found.any():
            clear = landmarks[landmarks.found & (mouth_gap(landmarks.xy) < 1)]
            gathered[person or Path(path).stem].append(thinned(upright(clear), FRAMES_A_CLIP))
    people = {p: thinned(np.concatenate(c), FRAMES_A_PERSON) for p, c in gathered.items()}
    model = learn(people, options.identity, options.mouth, options.upper)
    model.save(options.output)
    print(f"{options.output}: {len(people)} people, explained variance {model.about}")


if __name__ == "__main__":
    main()
