"""Section: is what the tracker mistrusts what it gets wrong?"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from benchmarks.tracking.findings import STAGES, Finding, ours, timed
from benchmarks.tracking.known_truth import angles, mean_turn, px256
from benchmarks.tracking.performers import FPS, Performer, performer
from benchmarks.tracking.table import figure, table
from benchmarks.tracking.workplace import Workplace
from core.errors import InputError
from core.rotation import matrix_from_axis_angle
from face3d.confidence import TOLERATED_PX256
from face3d.landmarks import detect_landmarks
from face3d.tracker import face_height
from media.clip import Clip
from scripts.acting.cast import CAST, PROFILE
from scripts.hardships import HARDSHIPS, Hardship, hardened, write_pictures

LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)
ROLES = ("soft light",)
FILMED = (
    Hardship("three times as fast", every=3),
    Hardship("face 800 px in 4K", face_pixels=800, canvas=(3840, 2160), every=4),
)
"""Hard without being spoilt: not among what confidence was learned from. Of 4K every fourth frame,
because it is slow to write."""
PLOT = Path(__file__).parents[1] / "tracker_confidence.png"
HEADINGS = (
    "", "frames", "kept %", "lips of kept px256", "95 % of kept", "lips of rejected px256",
    "rotation of kept °", "of rejected °",
)  # fmt: skip

INTRODUCTION = f"""## Confidence

Computed performers made hard by known operations (`scripts/hardships.py`: how hard swells and ebbs
over the clip) and a performer who turns to {max(PROFILE.reach_degrees)}°. Lips are compared where
they really are, hidden or not; rotation as above, with the constant turn of the better half of the
frames. Kept frames are those that the tracker marks valid; confidence is meant as the probability
of lips within {TOLERATED_PX256:g} px256, and was learned from real clips, not from these.
Four rows say little of rotation: a face shrunk into 1080p is seen through a lens of 0.27 sides (100
pixels) or 0.13 (50), a seventh and a fifteenth of what the tracker expects and shorter than real
ones; beard and sunglasses are painted where the detector sees the skin and turn as it thinks."""


@dataclass(frozen=True)
class Hard:
    """Frames of one hard clip: confidence, validity, lip error px256, rotation error degrees."""

    name: str
    confidence: Float[np.ndarray, " T"]
    valid: np.ndarray
    lips: Float[np.ndarray, " T"]
    turned: Float[np.ndarray, " T"]


def section(place: Workplace) -> str:
    """Tables of kept and rejected frames, of error by confidence, and the plot."""
    stage = list(STAGES)[-1]
    cases = list(hard_cases(place, stage))
    names = list(dict.fromkeys(case.name for case in cases))
    groups = [joined(name, [case for case in cases if case.name == name]) for name in names]
    everything = joined("all", groups)
    wrong = everything.lips > TOLERATED_PX256
    order = np.corrcoef(rankdata(everything.confidence), rankdata(everything.lips))[0, 1]
    wrongly_kept = (wrong & everything.valid).sum() / max(everything.valid.sum(), 1)
    told = (
        f"Stage: {stage}. Rank correlation of confidence and lip error: {order:.2f}. Area under "
        f"the ROC curve for finding frames with more than {TOLERATED_PX256:g} px256: "
        f"{roc_area(-everything.confidence, wrong):.3f}; {wrong.mean():.0%} of all frames are "
        f"such, and {wrongly_kept:.1%} of the kept ones."
    )
    plot(everything, PLOT)
    return "\n\n".join(
        [
            INTRODUCTION,
            table(HEADINGS, [row(group) for group in (everything, *groups)]),
            told,
            by_level(everything),
            f"![Error of the frames kept, the surest first]({PLOT.name})",
        ]
    )


def hard_cases(place: Workplace, stage: str) -> Iterator[Hard]:
    """Every hardship on every role, then the profile."""
    for role in (*(role for role in CAST if role.name in ROLES), PROFILE):
        actor = performer(role, place.ict, place.clip(role.driver), place.work, place.reporter)
        for hardship in (*HARDSHIPS, *FILMED) if role is not PROFILE else HARDSHIPS[:1]:
            name = role.name if role is PROFILE else hardship.name
            yield hard_case(place, actor, hardship, stage, name)


def hard_case(
    place: Workplace, actor: Performer, hardship: Hardship, stage: str, name: str
) -> Hard:
    """Track one hardened clip, or read what was found."""
    stem = hardship.name.replace(" ", "_")
    folder = actor.clip.parent / "hard"
    easy = Clip.open(actor.clip)
    seen = detect_landmarks(frame.rgb for frame in easy.frames())
    points = np.concatenate([seen.xy, seen.depth[..., None]], -1)
    # A face that turns away is lost now and then; its neighbours' points will do for painting.
    points = points[np.maximum.accumulate(np.where(seen.found, np.arange(len(points)), 0))]
    path, kept = folder / f"{stem}.mp4", folder / f"{stem}.{stage}.{place.version}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pictures = hardened((frame.rgb for frame in easy.frames()), points, hardship)
        write_pictures(path, pictures, FPS, hardship.crf)
    if not kept.exists():
        place.reporter.say(f"{actor.name}, {hardship.name}: {stage}")
        try:
            found = timed(ours(STAGES[stage]), Clip.open(path), actor.truth.camera)
        except InputError:
            found = nothing(len(points[:: hardship.every]))
        found.save(kept)
    tall = face_height(seen)
    return judged(name, Finding.load(kept), actor, hardship, tall)


def nothing(frames: int) -> Finding:
    """A clip that was refused: no frame is trusted."""
    return Finding(
        np.full((frames, 3, 3), np.nan),
        np.full((frames, 40, 2), np.nan),
        np.full(frames, np.nan),
        np.zeros(frames),
        np.zeros(frames, bool),
    )


def judged(name: str, found: Finding, actor: Performer, hardship: Hardship, tall: float) -> Hard:
    """Errors of a hard clip; the truth's points are moved as the picture was, from a face of a
    height."""
    placed, shown = hardship.placed(tall, (512, 512)), slice(None, None, hardship.every)
    true = actor.truth.lips_pixels[shown].double().numpy() @ placed[:, :2].T + placed[:, 2]
    apart = np.linalg.norm(found.lips - true, axis=-1).mean(-1) / (px256(tall) * placed[0, 0])
    rotation = matrix_from_axis_angle(actor.truth.rotation[shown].double()).numpy()
    turns = rotation.swapaxes(1, 2) @ found.rotation
    easy = apart <= np.nanmedian(apart) if np.isfinite(apart).any() else np.zeros(len(apart), bool)
    return Hard(
        name, found.confidence, found.valid, apart, angles(turns @ mean_turn(turns[easy]).T)
    )


def joined(name: str, cases: list[Hard]) -> Hard:
    return Hard(
        name,
        *(
            np.concatenate([getattr(case, field) for case in cases])
            for field in ("confidence", "valid", "lips", "turned")
        ),
    )


def row(case: Hard) -> list[str]:
    kept, dropped = case.valid, ~case.valid
    lips = case.lips[kept]
    return [
        case.name,
        str(len(kept)),
        figure(100 * kept.mean(), 0),
        figure(middle(lips)),
        figure(float(np.nanpercentile(lips, 95)) if len(lips) else None),
        figure(middle(case.lips[dropped])),
        figure(middle(case.turned[kept])),
        figure(middle(case.turned[dropped])),
    ]


def middle(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def by_level(case: Hard) -> str:
    """Errors of the frames between two levels of confidence."""
    rows = []
    for low, high in pairwise(LEVELS):
        inside = (case.confidence >= low) & ((case.confidence < high) | (high == LEVELS[-1]))
        lips = case.lips[inside]
        rows.append(
            [
                f"{low:g} to {high:g}",
                str(int(inside.sum())),
                figure(middle(case.confidence[inside])),
                figure(float((lips < TOLERATED_PX256).mean()) if len(lips) else None),
                figure(middle(lips)),
                figure(middle(case.turned[inside])),
            ]
        )
    headings = ("confidence", "frames", "mean", "lips truly right", "lips px256", "rotation °")
    return table(headings, rows)


def roc_area(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve (Mann-Whitney); NaN where all frames are of one kind."""
    if positive.all() or not positive.any():
        return np.nan
    ranks = rankdata(score)
    count = positive.sum()
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(score) - count)))


def plot(case: Hard, path: Path) -> None:
    """Mean lip error of the share of frames trusted most, beside the best possible order."""
    known = np.isfinite(case.lips)
    lips, confidence = case.lips[known], case.confidence[known]
    share = np.arange(1, len(lips) + 1) / len(lips)
    figure_, axes = plt.subplots(figsize=(6, 3.5), dpi=110)
    for label, order in (
        ("by confidence", np.argsort(-confidence, kind="stable")),
        ("by true error", np.argsort(lips)),
    ):
        axes.plot(100 * share, np.cumsum(lips[order]) / np.arange(1, len(lips) + 1), label=label)
    axes.axhline(lips.mean(), color="grey", linewidth=0.8, label="at random")
    axes.axvline(100 * case.valid[known].mean(), color="grey", linestyle=":", label="marked valid")
    axes.set_xlabel("frames kept, %")
    axes.set_ylabel("mean lip error, px256")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    figure_.tight_layout()
    figure_.savefig(path)
    plt.close(figure_)
