"""Rendered dubs, looked at afresh: in step, shut for m, b and p, still where nobody speaks."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from benchmarks.speaking.closures_section import (
    EARLY_SECONDS,
    LATE_SECONDS,
    SHUT_MILLIMETRES,
)
from benchmarks.speaking.place import Place
from benchmarks.speaking.spoken_lines import (
    OPEN,
    SHUT,
    TEETH,
    Sound,
    SpokenLine,
    english_line,
    espeak_lines,
    grid_part,
    within,
)
from benchmarks.speaking.stage import Dubbed, Stage, performed, rendered, room_tone, silent, stages
from benchmarks.speaking.strip import line_strip
from benchmarks.tracking.table import figure, table
from core.errors import AssetError
from core.progress import reported
from dub.performance import Performance, Said
from evaluate.metrics.lips import leak_share, lip_gap, mouth_opening
from evaluate.metrics.sync import Sync, measure_sync
from evaluate.sheet import save_png
from face3d.lips import mouth_opening as meant_opening
from face3d.morphable import default_model
from media.audio import load_audio
from prior.sound.speech import RATE

SHUT_PX256 = 1.0
GRID_LINE = ("bbbmzn", "pbbp3s")
"""Held-out utterances of GRID s1 with most closures, one after the other."""
LONGEST_SECONDS = 8.0
"""Plates are shorter."""


@dataclass
class Tally:
    """Lowest gaps during sounds, as rendered (px256) and as meant (mm) with closures told and by
    ear, and each line's offset."""

    seen: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    meant: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    by_ear: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    offsets: list[Sync] = field(default_factory=list)


def section(place: Place) -> str:
    assert place.actors is not None
    assert place.footage is not None
    lines = lines_of(place)
    stills: list[tuple[str, float]] = []
    by_line, by_actor = defaultdict(Tally), defaultdict(Tally)
    work = place.work / "rendered"
    everyone = list(stages(place.actors, place.footage / "clips", work))
    for stage in reported(everyone, place.reporter, "dub", len(everyone)):
        quiet = silent(stage, room_tone(stage.seconds, RATE), work)
        stills.append((stage.name, leak_share(mouth_opening(quiet.landmarks), stage.track.fps)))
        for line in lines:
            short = within(line, stage.seconds)
            said = Said(short.audio)
            made = rendered(stage, performed(stage, said, short.told), work)
            by_ear = performed(stage, said)
            for tally in (by_line[line.name], by_actor[stage.name]):
                count(tally, stage, short, made, by_ear)
            save_png(work / f"{stage.name}, {line.name}.png", line_strip(short, made, stage))
    rows = [row(name, tally) for name, tally in {**by_line, **by_actor}.items()]
    leaks = [f"{name} {figure(100 * share, 1)}" for name, share in stills]
    return "\n\n".join(
        [
            "## Rendered dubs",
            explained(len(everyone), len(lines)),
            table(HEADINGS, [*rows, row("all", pooled(list(by_line.values())))]),
            f"Room tone (−60 dBFS): frames judged speaking, %: {', '.join(leaks)}.",
        ]
    )


HEADINGS = (
    "", "lines", "within 1 frame %", "m, b, p", "shut %", "95th, px256", "meant shut %", "by ear %",
    "f, v", "gap px256", "open vowels", "shut %", "by ear %",
)  # fmt: skip


def explained(actors: int, lines: int) -> str:
    return (
        f"{actors} actors of `benchmarks/six_clips.py` speak {lines} lines on their plates "
        "(3 s of each), lips shut before and after; landmarks are detected in the rendered frames. "
        "*within 1 frame*: the judge's offset between these lips and the line. *shut*: the mean "
        f"gap of nine inner-lip pairs falls below {SHUT_PX256:g} px256 from 40 ms before the sound "
        "to 20 ms after it, the dub being told when its sounds are spoken (`--words`); *meant*: "
        f"the same of the mesh, {SHUT_MILLIMETRES:g} mm; *by ear*: of the mesh where the dub is "
        "not told. f and v: median gap. Vowels are the control, in their middle frame. Sounds of "
        "GRID are aligned by pocketsphinx, those of espeak-ng told by itself; the German "
        "newsreader's line is real speech whose sounds are not known."
    )


def lines_of(place: Place) -> list[SpokenLine]:
    """GRID's, espeak-ng's where it is installed, and a German newsreader's."""
    assert place.footage is not None
    grid = place.footage / "grid" / "s1"
    parts = [
        grid_part(load_audio(grid / f"{n}.mp4", mono=True), grid / f"{n}.align") for n in GRID_LINE
    ]
    lines = [english_line(f"GRID {', '.join(GRID_LINE)}", parts)]
    try:
        lines += espeak_lines()
    except AssetError as error:
        place.reporter.say(str(error))
    news = load_audio(place.footage / "clips" / "german_mt.mp4", mono=True)
    lines.append(SpokenLine("German newsreader", news.mono16k().section(0, LONGEST_SECONDS), ()))
    return lines


def count(tally: Tally, stage: Stage, line: SpokenLine, made: Dubbed, by_ear: Performance) -> None:
    """Add a dub's offset and its lips in every known sound."""
    fps = stage.track.fps
    samples = line.audio.mono16k().samples[0]
    tally.offsets.append(measure_sync(made.landmarks, fps, samples, RATE))
    gap = np.where(made.spoken, lip_gap(made.landmarks), np.nan)
    meant, heard = (
        np.where(made.spoken, meant_opening(default_model(), p.mouth).double().numpy(), np.nan)
        for p in (made.performance, by_ear)
    )
    for curve, into in ((gap, tally.seen), (meant, tally.meant), (heard, tally.by_ear)):
        for sound in line.sounds:
            found = in_sound(curve, sound, float(fps))
            if np.isfinite(found):
                into[sound.kind].append(found)


def in_sound(curve: Float[np.ndarray, " T"], sound: Sound, fps: float) -> float:
    """The lowest value during the sound, or its middle for a vowel; NaN where none is known."""
    middles = (np.arange(len(curve)) + 0.5) / fps
    if sound.kind == OPEN:
        return float(curve[np.abs(middles - (sound.start + sound.end) / 2).argmin()])
    during = (middles >= sound.start - EARLY_SECONDS) & (middles < sound.end + LATE_SECONDS)
    known = curve[during & np.isfinite(curve)]
    return float(known.min()) if known.size else np.nan


def pooled(tallies: Sequence[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.offsets += tally.offsets
        pairs = zip(
            (total.seen, total.meant, total.by_ear),
            (tally.seen, tally.meant, tally.by_ear),
            strict=True,
        )
        for ours, theirs in pairs:
            for kind, values in theirs.items():
                ours[kind] += values
    return total


def row(name: str, tally: Tally) -> list[str]:
    shut, teeth, vowels = (np.array(tally.seen[kind]) for kind in (SHUT, TEETH, OPEN))
    meant, by_ear = np.array(tally.meant[SHUT]), np.array(tally.by_ear[SHUT])
    offsets = np.array([sync.offset_frames for sync in tally.offsets])
    return [
        name,
        str(len(offsets)),
        percent(np.abs(offsets) <= 1),
        str(len(shut)),
        percent(shut < SHUT_PX256),
        figure(float(np.percentile(shut, 95)) if shut.size else None),
        percent(meant < SHUT_MILLIMETRES),
        percent(by_ear < SHUT_MILLIMETRES),
        str(len(teeth)),
        figure(float(np.median(teeth)) if teeth.size else None),
        str(len(vowels)),
        percent(vowels < SHUT_PX256),
        percent(np.array(tally.by_ear[OPEN]) < SHUT_MILLIMETRES),
    ]


def percent(flags: np.ndarray) -> str:
    return figure(100 * float(flags.mean()) if flags.size else None, 1)
