"""The networks that judge: how surely they tell lips in sync from lips 0.2 s off."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.speaking.place import Place, regressed_lag
from benchmarks.tracking.table import figure, table
from core.progress import reported
from evaluate.metrics.loudness import loudness_sync
from evaluate.metrics.sync import measure_sync
from face3d.track import Track
from media.audio import load_audio
from prior.sync.evidence import CLOCK, HOP, REACH, SyncClip, SyncNetwork, clip_codes, clip_evidence
from prior.sync.expert import expert_clips, load_expert
from prior.sync.judge import judge_clip, load_judge
from prior.training.speech_corpus import HELD_OUT, SpeechExample, prepare_expression

WINDOWS_SECONDS = (0.2, 0.4, 0.64, 1.0, 2.0)
OFF = CLOCK // 5
"""Moments of 0.2 s."""
STEP = 5
"""Moments from one window to the next."""
LEAST_SPEECH = 0.5
TEST = "test"
SPOKEN_UNITS = -0.75
"""Loudness of a moment that counts as speech: 15 dB below the speech level."""
EXCERPTS_SECONDS = (1.0, 2.0, 3.0, 5.0)
APART_SECONDS = 10
"""From one excerpt of a line to the next."""
BELIEVED = 0.2
"""Confidence of `alignment.Lag` below which a test clip's lag is not known."""


def section(place: Place) -> str:
    return "\n\n".join(["## Sync", ACCURACY, accuracies(place), OFFSETS, offsets(place)])


ACCURACY = """Windows of speech against the same windows with their sound 0.2 s early and late, mean
over people. *pairs*: share of pairs in which the one in sync has more evidence. *alone*: balanced
accuracy of judging windows one by one, by a threshold set on training people. *cut*: pairs of
windows outside of which nothing is seen or heard; elsewhere a code looks 0.18 s (sound: 0.2 to
0.33 s) beyond. Windows hold speech in at least half of their moments. Strangers' lags are told by
the shipped regressor, which neither network had part in; clips whose lag it cannot tell are left
out."""

OFFSETS = """Share of excerpts, pauses included, in which the offset is found to one frame (truth as
above), by the judge as `evaluate` uses it and by the correlation with loudness that it replaced."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A line as one network takes it, and where in it there is speech."""

    clip: SyncClip
    spoken: Bool[Tensor, "N"]

    @property
    def counted(self) -> Float[Tensor, "N"]:
        return (self.spoken & self.clip.known).float()


def told_lag(example: SpeechExample) -> float | None:
    """By how many frames the regressor finds the sound late; None where it cannot tell."""
    if example.split != TEST:
        return example.lag_frames
    lag = regressed_lag(Track.load(example.track), load_audio(example.sound, mono=True))
    return lag.frames if lag.confidence >= BELIEVED else None


def judged(place: Place, examples: Sequence[SpeechExample]) -> dict[str, list[Judged]]:
    """The examples as each network takes them, their sound in step."""
    told = [replace(e, lag_frames=lag) for e in examples if (lag := told_lag(e)) is not None]
    corpus = prepare_expression(told, place.reporter)
    result: dict[str, list[Judged]] = {"expert": [], "judge": []}
    for u, heard in zip(corpus.utterances, expert_clips(corpus), strict=True):
        loudness = torch.log10((100.0**heard.sound).sum(1))[::HOP] / 2
        spoken = loudness > SPOKEN_UNITS
        result["expert"].append(Judged(heard, spoken))
        e = u.example
        audio = load_audio(e.sound, mono=True)
        fps = Track.load(e.track).fps
        seen = judge_clip(place.landmarks(e).xy, fps, audio, e.person, e.lag_frames)
        result["judge"].append(Judged(seen, spoken))
    return result


@torch.no_grad()
def window_evidence(network: SyncNetwork, line: Judged, moments: int) -> Float[Tensor, "W S"]:
    """Summed evidence of every fifth window that is mostly speech."""
    if len(line.clip.lips) < moments:
        return torch.zeros(0, 2 * REACH + 1)
    each = clip_evidence(*clip_codes(network, line.clip))
    total = each.unfold(0, moments, STEP).sum(-1)
    return total[line.counted.unfold(0, moments, STEP).mean(-1) >= LEAST_SPEECH]


@torch.no_grad()
def cut_pairs(network: SyncNetwork, line: Judged, moments: int) -> Bool[Tensor, "W"]:
    """Whether windows in sync beat the same lips with sound 0.2 s off, nothing else being given."""
    first, last = OFF, len(line.clip.lips) - OFF - moments
    starts = [
        t for t in range(first, last, STEP) if line.counted[t : t + moments].mean() >= LEAST_SPEECH
    ]
    if not starts:
        return torch.zeros(0, dtype=torch.bool)
    seen = network.see(torch.stack([line.clip.lips[t : t + moments] for t in starts]))

    def score(late: int) -> Float[Tensor, "W"]:
        begins = [HOP * (t + late) for t in starts]
        heard = network.hear(torch.stack([line.clip.sound[b : b + HOP * moments] for b in begins]))
        return (heard * seen).sum((1, 2))

    return torch.cat([score(0) > score(OFF), score(0) > score(-OFF)])


def surprise(total: Float[Tensor, "W S"], off: int) -> Float[Tensor, "W"]:
    """Log-probability of the shift `off` among those within 0.4 s of it."""
    near = total[:, REACH + off - 2 * OFF : REACH + off + 2 * OFF + 1]
    return near.log_softmax(1)[:, 2 * OFF]


def threshold_of(totals: Sequence[Float[Tensor, "W S"]]) -> float:
    """What best parts windows in sync from windows off, both kinds counting the same."""
    total = torch.cat(list(totals))
    right, wrong = surprise(total, 0), torch.cat([surprise(total, s * OFF) for s in (-1, 1)])
    candidates = torch.cat([right, wrong]).quantile(torch.linspace(0, 1, 201))
    scores = [(right > c).float().mean() + (wrong <= c).float().mean() for c in candidates]
    return float(candidates[int(torch.stack(scores).argmax())])


def accuracies(place: Place) -> str:
    networks = {"expert": load_expert().network, "judge": load_judge().network}
    unseen = [line.example for line in place.lines]
    tested = judged(place, unseen)
    several = [e for e in place.training if not e.person.startswith("grid_s1")]
    taught = judged(place, several)
    rows = []
    for name, network in networks.items():
        for group, wanted in (("s1, held out", True), ("strangers", False)):
            held = {e.person for e in unseen if (e.split == HELD_OUT) == wanted}
            lines = [line for line in tested[name] if line.clip.person in held]
            for seconds in WINDOWS_SECONDS:
                moments = round(seconds * CLOCK)
                bar = threshold_of([window_evidence(network, x, moments) for x in taught[name]])
                figures = by_person(network, lines, moments, bar)
                rates = np.nanmean(list(figures.values()), 0)
                shown = [figure(100 * float(rate), 1) for rate in rates]
                rows.append([f"{name}, {group}", f"{seconds} s", str(len(figures)), *shown])
    return table(("network", "window", "people", "pairs %", "alone %", "cut %"), rows)


def by_person(
    network: SyncNetwork, lines: Sequence[Judged], moments: int, threshold: float
) -> dict[str, tuple[float, float, float]]:
    """Accuracies in pairs, alone and cut, for each person with windows of this length."""
    totals: dict[str, list[Tensor]] = defaultdict(list)
    cut: dict[str, list[Tensor]] = defaultdict(list)
    for line in lines:
        totals[line.clip.person].append(window_evidence(network, line, moments))
        cut[line.clip.person].append(cut_pairs(network, line, moments))
    result = {}
    for person in totals:
        total = torch.cat(totals[person])
        if len(total):
            middle = total[:, REACH]
            pairs = torch.cat([middle > total[:, REACH + s * OFF] for s in (-1, 1)])
            right = (surprise(total, 0) > threshold).float().mean()
            wrong = torch.cat([surprise(total, s * OFF) <= threshold for s in (-1, 1)])
            alone = (right + wrong.float().mean()) / 2
            strict = torch.cat(cut[person]).float().mean()
            result[person] = (float(pairs.float().mean()), float(alone), float(strict))
    return result


def offsets(place: Place) -> str:
    """Excerpts of every length from every line whose lag is known."""
    hits: dict[tuple[str, float], list[bool]] = defaultdict(list)
    for line in reported(place.lines, place.reporter, "find offsets", len(place.lines)):
        lag = told_lag(line.example)
        if lag is None:
            continue
        sound = line.audio.mono16k()
        xy, fps = place.landmarks(line.example).xy, line.track.fps
        for seconds in EXCERPTS_SECONDS:
            frames = round(seconds * fps)
            for first in range(0, len(xy) - frames + 1, max(frames, round(APART_SECONDS * fps))):
                begin, end = first / fps, (first + frames) / fps
                samples = sound.section(begin, end).samples[0]
                for name, measure in (("judge", measure_sync), ("loudness", loudness_sync)):
                    found = measure(xy[first : first + frames], fps, samples, sound.rate)
                    hit = abs(found.offset_frames - lag) <= 1.0
                    hits[f"{name}, {'strangers' if line.stranger else 's1'}", seconds].append(hit)
    names = sorted({name for name, _ in hits})
    headings = ("measure", *(f"{s} s" for s in EXCERPTS_SECONDS))
    return table(
        headings,
        [
            [name, *(share(hits.get((name, seconds), [])) for seconds in EXCERPTS_SECONDS)]
            for name in names
        ],
    )


def share(hits: Sequence[bool]) -> str:
    return f"{100 * np.mean(hits):.0f} % of {len(hits)}" if hits else "–"
