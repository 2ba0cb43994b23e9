"""Tracked people speaking: what the speech model is trained on, and how it is varied.

`corpus.json` lists the examples of a folder; sound and truth then lie on one clock of 100 frames a
second, frame k heard k / 100 seconds after the example's sound begins.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from core.errors import InputError
from core.progress import Reporter, Silent, reported
from core.serial import save_json
from face3d.track import Track
from media.audio import Audio, load_audio
from prior.sound.encoder import Enriched, SpeechEncoder
from prior.sound.hearing import Hearing, hear
from prior.sound.soundscape import hiss, music, varied
from prior.sound.speech import FRAME_RATE, RATE, SpeechFeatures, speech_features

HELD_OUT, TRAIN = "held-out", "train"

NOBODY = -1
"""The person of sounds in which nobody speaks and whose mouth rests."""


@dataclass(frozen=True)
class SpeechExample:
    """A sound or video file, the track of who speaks, and by how many of the track's frames the
    sound is late (see `alignment.Lag`). Only examples of `split` "train" are trained on."""

    sound: Path
    track: Path
    person: str
    lag_frames: float = 0.0
    split: str = TRAIN
    rights: str = ""


@dataclass(frozen=True, eq=False)
class Utterance:
    """Sound and truth of one example on the clock; `mouth` holds where `known`."""

    features: SpeechFeatures | Hearing | Enriched
    mouth: Float[Tensor, "K M"]
    known: Bool[Tensor, "K"]
    person: int
    example: SpeechExample
    weight: float = 1.0
    """How often it is drawn, beside others of its length."""


@dataclass(frozen=True, eq=False)
class SpeechCorpus:
    """Utterances and the names of the people who say them, each name once."""

    utterances: tuple[Utterance, ...]
    people: tuple[str, ...]

    def recorded(self) -> tuple[Utterance, ...]:
        """Each example as it was recorded, which is the first of its takes."""
        first = {u.example: u for u in reversed(self.utterances) if u.person != NOBODY}
        return tuple(u for u in self.utterances if first.get(u.example) is u)

    def part(self, split: str) -> "SpeechCorpus":
        kept = tuple(u for u in self.utterances if u.example.split == split)
        return SpeechCorpus(kept, self.people)


def save_examples(
    path: Path, examples: Sequence[SpeechExample], left_out: Mapping[str, str] | None = None
) -> None:
    """Write corpus.json; paths below its folder are stored relative to it. `left_out` names clips
    that teach nothing, and why."""
    root = path.parent.resolve()

    def stored(file: Path) -> str:
        full = file.resolve()
        return str(full.relative_to(root) if full.is_relative_to(root) else full)

    rows = [asdict(e) | {"sound": stored(e.sound), "track": stored(e.track)} for e in examples]
    document = {"kind": "speech-corpus", "schema": 1, "examples": rows}
    save_json(path, document | {"left_out": dict(left_out or {})})


def load_examples(path: Path) -> list[SpeechExample]:
    """Read corpus.json. Raises InputError where it cannot be read or lists nothing."""
    try:
        document = json.loads(path.read_text())
        rows = [
            SpeechExample(**row | {k: path.parent / row[k] for k in ("sound", "track")})
            for row in document["examples"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a speech corpus ({error}); "
            "make one with `redub prior prepare --speech`."
        ) from error
    if not rows:
        raise InputError(f"{path} lists no examples; a speech corpus needs at least one.")
    return rows


def training_examples(folder: Path) -> list[SpeechExample]:
    """Those of a corpus that are trained on. Raises InputError where there are none."""
    examples = load_examples(folder / "corpus.json")
    taught = [e for e in examples if e.split == TRAIN]
    if not taught:
        splits = ", ".join(sorted({repr(e.split) for e in examples}))
        raise InputError(
            f"{folder} has no example to train on: its {len(examples)} are of the split {splits}; "
            f"prepare clips whose split is {TRAIN!r}, or a folder without a manifest."
        )
    return taught


def taught_by(examples: Sequence[SpeechExample]) -> dict[str, Any]:
    """What a model card says of its examples: their names, and which of them under which rights."""
    under: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        under[example.rights or "unknown"].append(example.track.stem)
    rights = [{"rights": kind, "clips": ", ".join(names)} for kind, names in under.items()]
    return {"trained_on": [e.track.stem for e in examples], "rights": rights}


Ear = Callable[[Audio], SpeechFeatures | Hearing | Enriched]


def prepare_expression(
    examples: Sequence[SpeechExample],
    reporter: Reporter | None = None,
    ear: Ear = speech_features,
) -> SpeechCorpus:
    """Load every example. Raises InputError for a sound or a track that cannot be read."""
    people = tuple(sorted({e.person for e in examples}))
    numbers = {person: number for number, person in enumerate(people)}
    watched = reported(examples, reporter or Silent(), "hear the corpus", len(examples))
    return SpeechCorpus(tuple(utterance(e, numbers[e.person], ear) for e in watched), people)


def utterance(example: SpeechExample, person: int, ear: Ear = speech_features) -> Utterance:
    """One example on the clock."""
    audio = load_audio(example.sound, mono=True)
    return on_clock(example, person, Track.load(example.track), audio.start, 1.0, ear(audio))


def on_clock(
    example: SpeechExample,
    person: int,
    track: Track,
    start: Fraction,
    speed: float,
    features: SpeechFeatures | Hearing | Enriched,
) -> Utterance:
    """The track's frames stand at their middles, moved by the lag; all `speed` times as fast.

    Between frames coefficients follow a monotone cubic, which overshoots no closure.
    """
    frames = track.start + np.arange(len(track)) + 0.5 + example.lag_frames
    seen = (frames / float(track.fps) - float(start)) / speed
    clock = np.arange(len(features)) / FRAME_RATE
    mouth = PchipInterpolator(seen, track.motion.mouth.numpy())(clock.clip(seen[0], seen[-1]))
    place = np.searchsorted(seen, clock).clip(1, len(seen) - 1)
    valid = track.valid.numpy()
    known = valid[place - 1] & valid[place] & (clock >= seen[0]) & (clock <= seen[-1])
    return Utterance(
        features, torch.from_numpy(mouth).float(), torch.from_numpy(known), person, example
    )


def heard_corpus(
    examples: Sequence[SpeechExample],
    takes: int,
    seed: int,
    reporter: Reporter | None = None,
    encoder: SpeechEncoder | None = None,
) -> SpeechCorpus:
    """Every example as it is, and other takes of it (see `soundscape`): `takes` of a minute or less
    of a person, one of each line of somebody who speaks for long; and rooms in which nobody speaks.
    All are heard through an `encoder` as well, if there is one.

    Raises InputError for a sound or a track that cannot be read.
    """
    random, ear = np.random.default_rng(seed), encoder.hear if encoder else hear
    people = tuple(sorted({e.person for e in examples}))
    numbers = {person: number for number, person in enumerate(people)}
    sounds = [load_audio(e.sound, mono=True).mono16k() for e in examples]
    voices = [sound.samples[0] for sound in sounds]
    seconds: dict[str, float] = defaultdict(float)
    for example, sound in zip(examples, sounds, strict=True):
        seconds[example.person] += sound.seconds
    made = []
    watched = reported(examples, reporter or Silent(), "hear the corpus", len(examples))
    for example, sound in zip(watched, sounds, strict=True):
        track, person = Track.load(example.track), numbers[example.person]
        share = min(1.0, MANY_SECONDS / seconds[example.person])
        count = max(1, round(takes * share)) if takes else 0
        own = on_clock(example, person, track, sound.start, 1.0, ear(sound))
        made.append(replace(own, weight=max(1.0, UNTOUCHED_WEIGHT * count)))
        for _ in range(count):
            samples, speed = varied(sound.samples[0], voices, random)
            heard = ear(_sound(samples))
            made.append(on_clock(example, person, track, sound.start, speed, heard))
    made += [_nobody(kind, random, ear) for kind in range(QUIET_ROOMS)]
    return SpeechCorpus(tuple(made), people)


UNTOUCHED_WEIGHT = 0.5
"""The example as it was recorded is drawn as often as this share of its takes together."""
MANY_SECONDS = 60.0
QUIET_ROOMS = 36


def _sound(samples: Float[np.ndarray, " N"]) -> Audio:
    return Audio(samples[None].astype(np.float32), RATE)


def _nobody(kind: int, random: np.random.Generator, ear: Ear) -> Utterance:
    """Four seconds without speech: digital silence, a room's hiss, or music of any level."""
    count = 4 * RATE
    if kind % 6 == 0:
        samples = np.zeros(count)
    else:
        samples = hiss(count, random) if kind % 2 else music(count, random)
        samples *= 10 ** (random.uniform(-75, -25) / 20) / samples.std()
    features = ear(_sound(samples))
    frames = len(features)
    example = SpeechExample(Path(), Path(), "nobody")
    known = torch.ones(frames, dtype=torch.bool)
    return Utterance(features, torch.zeros(frames, 20), known, NOBODY, example)


@dataclass(frozen=True)
class Batch:
    """Windows of what is heard with the truth at every second frame within their context."""

    heard: Float[Tensor, "B K D"]
    mouth: Float[Tensor, "B T M"]
    known: Bool[Tensor, "B T"]
    person: Int[Tensor, "B"]


SILENT_SHARE = 0.08
"""Share of windows in which nobody speaks, where the corpus has such."""


def draw_batch(
    corpus: SpeechCorpus, size: int, outputs: int, context: int, stride: int, seed: int
) -> Batch:
    """Random windows. People are drawn by the root of the seconds recorded of them, so that one who
    has spoken for half an hour does not drown the others."""
    random = np.random.default_rng(seed)
    by_person: dict[int, list[Utterance]] = defaultdict(list)
    for u in corpus.utterances:
        by_person[u.person].append(u)
    people = sorted(by_person)
    recorded = {p: {u.example: len(u.mouth) for u in by_person[p]} for p in people}
    roots = np.sqrt([sum(recorded[p].values()) for p in people])
    share = roots / roots.sum()
    if NOBODY in by_person:
        speaking = roots[1:] / roots[1:].sum()
        share = np.concatenate([[SILENT_SHARE], (1 - SILENT_SHARE) * speaking])
    weights = {p: np.array([u.weight * len(u.mouth) for u in by_person[p]]) for p in people}
    rows = []
    for person in random.choice(people, size, p=share):
        pick = random.choice(len(weights[person]), p=weights[person] / weights[person].sum())
        rows.append(_window(by_person[person][pick], outputs, context, stride, random))
    heard, mouth, known = (
        torch.stack(part) for part in zip(*(row[:3] for row in rows), strict=True)
    )
    return Batch(heard, mouth, known, torch.tensor([row[3] for row in rows]))


SPEED = 0.2
"""Utterances are played up to this share slower or faster."""


def _window(
    u: Utterance, outputs: int, context: int, stride: int, random: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, int]:
    speed = random.uniform(1 - SPEED, 1 + SPEED)
    span = outputs * stride * speed
    start = random.uniform(-0.1 * span, max(len(u.mouth) - 0.9 * span, 0))
    count = stride * (outputs - 1) + 1 + 2 * context
    places = start + speed * (np.arange(count) - context)
    # One row more than needed: in float32 the last place may round up to its next row.
    first, last = int(np.floor(places[0])), int(np.floor(places[-1])) + 3
    share = torch.from_numpy(places - first).float()
    heard = _between(u.features.section(first, last), share)
    at = share[context : count - context : stride]
    inside = (at + first >= 0) & (at + first <= len(u.mouth) - 1)
    clamped = (at + first).clamp(0, len(u.mouth) - 1)
    known = inside & u.known[clamped.floor().long()] & u.known[clamped.ceil().long()]
    padded = torch.cat([u.mouth, u.mouth[-1:]])
    return heard, _between(padded, clamped), known, u.person


def _between(rows: Float[Tensor, "N D"], places: Float[Tensor, "T"]) -> Float[Tensor, "T D"]:
    below = places.floor().long()
    return torch.lerp(rows[below], rows[below + 1], (places - below)[:, None])


def vary(mel: Float[Tensor, "B K 80"], random: np.random.Generator) -> Float[Tensor, "B K 80"]:
    """The same words by other throats in other rooms: vocal tract, microphone, room, noise, gain.

    All on the mel's own plane: a filter adds a curve over the bands, a room smears power over time,
    a noise adds to it.
    """
    count, frames, bands = mel.shape
    floor = float(mel.min())
    mel = torch.stack([_stretched_bands(m, random.uniform(0.82, 1.22)) for m in mel])
    phase = torch.linspace(0, np.pi, bands)
    curve = sum(
        torch.from_numpy(random.normal(0, 0.22 / order**0.5, (count, 1, 1)))
        * torch.cos(order * phase)
        for order in range(1, 5)
    )
    gain = torch.from_numpy(random.uniform(-0.2, 0.2, (count, 1, 1)))
    mel = mel + (curve + gain).float()
    power = 100.0**mel
    decay = torch.from_numpy(10 ** (-0.06 / random.uniform(0.15, 0.7, count))).float()
    wet = torch.from_numpy(random.uniform(0, 0.15, count) * (random.random(count) < 0.4)).float()
    power = power + wet[:, None, None] * _smeared(power, decay)
    level = random.uniform(-3.2, -0.9, (count, 1, 1))
    colour = random.normal(0, 0.3, (count, 1, 1)) * np.linspace(-1, 1, bands)
    hiss = random.standard_gamma(4.0, (count, frames, bands)) / 4
    noise = torch.from_numpy(100 ** (level + colour - 0.9) * hiss).float()
    mel = (power + noise).log10() / 2
    masked = torch.from_numpy(random.integers(0, bands - 8, count))
    width = torch.from_numpy(random.integers(0, 9, count) * (random.random(count) < 0.5))
    band = torch.arange(bands)
    hidden = (band >= masked[:, None]) & (band < (masked + width)[:, None])
    return torch.where(hidden[:, None], mel.mean(1, keepdim=True), mel).clamp_min(floor)


def _stretched_bands(mel: Float[Tensor, "K 80"], factor: float) -> Float[Tensor, "K 80"]:
    bands = mel.shape[1]
    place = (torch.arange(bands) * factor).clamp(0, bands - 1.001)
    below = place.floor().long()
    return torch.lerp(mel[:, below], mel[:, below + 1], place - below)


def _smeared(power: Float[Tensor, "B K 80"], decay: Float[Tensor, "B"]) -> Float[Tensor, "B K 80"]:
    """Each frame's past, fading by `decay` a frame, over a quarter of a second."""
    tail = torch.zeros_like(power)
    for _ in range(25):
        tail[:, 1:] = decay[:, None, None] * (tail[:, :-1] + power[:, :-1])
    return tail
