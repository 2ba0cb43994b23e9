"""Section: are the lips shut where m, b and p are spoken?"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks.tracking.findings import STAGES
from benchmarks.tracking.known_truth import px256
from benchmarks.tracking.lip_gap import lip_gap
from benchmarks.tracking.table import figure, table
from benchmarks.tracking.workplace import Workplace
from core.errors import InputError
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from face3d.sighting import sight
from face3d.track import camera_vertices
from face3d.tracker import face_height, track_sighting
from media.audio import load_audio
from media.clip import Clip
from prior.motion.alignment import estimate_lag
from prior.motion.expression import load_driver
from prior.sound.phonemes import BILABIAL, Phoneme, align

SHUT_PX256 = 1.0
GRID_STEP = 8
"""Every so manieth utterance of the GRID speaker s1 is taken."""
BELIEVED = 0.3
BEFORE_SECONDS = 0.04
OPEN_VOWELS = frozenset({"AA", "AE", "AO", "AW", "AY", "EH", "EY", "OW"})
TIMIT = {
    "sa1": "She had your dark suit in greasy wash water all year.",
    "sa2": "Don't ask me to carry an oily rag like that.",
    "si1279": "Bricks are an alternative.",
}


@dataclass(frozen=True)
class Utterance:
    """A clip whose words are known; `group` shares one lag of sound against picture."""

    clip: Path
    text: str
    group: str


@dataclass(frozen=True)
class Spoken:
    """An utterance's sounds and lips: gaps in px256 of every frame by stage and of the detector."""

    phonemes: tuple[Phoneme, ...]
    gaps: dict[str, Float[np.ndarray, " T"]]
    lag_frames: float
    lag_confidence: float
    fps: float


def utterances(place: Workplace) -> Iterator[Utterance]:
    """GRID's own speakers by their word timings' words, and three TIMIT sentences."""
    grid = place.material("footage", "grid")
    for folder, step in (("s1", GRID_STEP), ("others", 1)):
        for words in sorted((grid / folder).glob("*.align"))[::step]:
            said = [line.split()[2] for line in words.read_text().splitlines() if line.strip()]
            text = " ".join(word for word in said if word not in ("sil", "sp"))
            yield Utterance(words.with_suffix(".mp4"), text, f"GRID {folder}")
    for name, text in TIMIT.items():
        yield Utterance(place.clip(f"vidtimit_fadg0_{name}"), text, "VidTIMIT")


def section(place: Workplace) -> str:
    """Shares of closures, by corpus and stage."""
    spoken = [(u.group, s) for u in utterances(place) if (s := listened(place, u)) is not None]
    rows = []
    for group in ("GRID s1", "GRID others", "VidTIMIT"):
        lines = [line for name, line in spoken if name == group]
        late = group_lag(lines)
        for system in lines[0].gaps:
            rows.append(row(f"{group}, {system}", lines, system, late))
    return "\n\n".join([INTRODUCTION, table(HEADINGS, rows)])


INTRODUCTION = f"""## Closed lips

GRID (every {GRID_STEP}th utterance of s1, and the other speakers) and three VidTIMIT sentences,
aligned by `prior/sound/phonemes.py`, the sound put in step by the median of the clips'
believable lags.
The gap is the mean of nine inner-lip pairs; it counts as shut below {SHUT_PX256:g} px256, in the
frame that shows the middle of m, b or p, or in some frame from 40 ms before the sound to its middle
(lips meet before a stop is heard). Vowels are a control: a tracker that shuts every mouth fails
there. `detector` is the landmarks themselves."""

HEADINGS = (
    "", "closures", "shut in the middle frame", "or just before", "median gap px256",
    "95th percentile", "open vowels shut", "sound late by frames",
)  # fmt: skip


def listened(place: Workplace, utterance: Utterance) -> Spoken | None:
    """Sounds and lips of an utterance; None where its sound does not fit its text."""
    kept = place.work / "closures" / f"{utterance.clip.stem}.{place.version}.npz"
    audio = load_audio(utterance.clip)
    try:
        phonemes = align(audio, utterance.text).phonemes
    except InputError as error:
        place.reporter.say(str(error))
        return None
    clip = Clip.open(utterance.clip)
    if not kept.exists():
        place.reporter.say(f"lips of {utterance.clip.stem}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, **lips_of(clip))
    with np.load(kept) as found:
        lag, confidence = found["lag"]
        gaps = {name: found[name] for name in found.files if name != "lag"}
    return Spoken(phonemes, gaps, float(lag), float(confidence), float(clip.fps))


def lips_of(clip: Clip) -> dict[str, np.ndarray]:
    """Gaps by stage and of the detector, and the lag with its confidence."""
    model, seen = default_model(), sight(clip, range(len(clip)))
    scale = px256(face_height(seen.landmarks))
    gaps: dict[str, np.ndarray] = {"detector": lip_gap(seen.landmarks.xy, scale)}
    opening = np.zeros(len(clip))
    for stage, config in STAGES.items():
        track = track_sighting(clip, seen, model, config)
        vertices = camera_vertices(model, track.identity, track.motion)
        points = track.camera.pixels_from_camera(vertices[:, :468]).numpy()
        gaps[stage] = np.where(track.valid.numpy(), lip_gap(points, scale), np.nan)
        opening = mouth_opening(model, track.motion.mouth).numpy()
    heard = load_driver().mouth(load_audio(clip.path), clip.fps, len(clip))
    lag = estimate_lag(mouth_opening(model, heard).numpy(), opening, clip.fps)
    return {**gaps, "lag": np.array([lag.frames, lag.confidence])}


def group_lag(lines: list[Spoken]) -> float:
    """The median lag of the clips whose lag can be believed."""
    known = [line.lag_frames for line in lines if line.lag_confidence >= BELIEVED]
    return float(np.median(known)) if known else 0.0


def row(name: str, lines: list[Spoken], system: str, late: float) -> list[str]:
    closed = np.concatenate([around(line, system, late, BILABIAL) for line in lines])
    vowels = np.concatenate([around(line, system, late, OPEN_VOWELS) for line in lines])
    closed, vowels = (values[np.isfinite(values).all(1)] for values in (closed, vowels))
    return [
        name,
        str(len(closed)),
        share(closed[:, 0] < SHUT_PX256),
        share(closed[:, 1] < SHUT_PX256),
        figure(float(np.median(closed[:, 0]))),
        figure(float(np.percentile(closed[:, 0], 95))),
        share(vowels[:, 0] < SHUT_PX256),
        figure(late, 1),
    ]


def around(line: Spoken, system: str, late: float, symbols: frozenset[str]) -> np.ndarray:
    """Gaps [N 2] in the frame that shows each sound's middle, and the least from `BEFORE` on."""
    gaps = line.gaps[system]

    def frame(seconds: float) -> int:
        return int(np.floor(seconds * line.fps - late))

    found = []
    for sound in (p for p in line.phonemes if p.symbol in symbols):
        first, middle = frame(sound.start - BEFORE_SECONDS), frame(sound.middle)
        if 0 <= middle < len(gaps):
            found.append((gaps[middle], gaps[max(first, 0) : middle + 1].min()))
    return np.array(found).reshape(-1, 2)


def share(flags: np.ndarray) -> str:
    return f"{flags.mean():.0%}" if len(flags) else "–"
