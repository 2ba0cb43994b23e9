"""Train the ear for contacts, on lines of which it is known when lips meet.

`redub prior train --model contact-ear` on a speech corpus. Lines with words in an .align file
beside them (GRID's) are aligned; of others lips that are seen shut within speech count.
Voices in a folder `spoken` beside corpus.json need no picture: a .txt beside each sound has a line
for each of its phones, start and end in seconds and a symbol.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import maximum_filter1d
from torch import Tensor, nn

from core.errors import InputError
from core.progress import Reporter, reported
from face3d.lips import mouth_opening
from face3d.morphable import default_model
from face3d.track import Track
from media.audio import Audio, load_audio
from prior.sound.acoustics import SILENCE
from prior.sound.contact_ear import REACH, ContactEar, ContactNetwork, ContactShape
from prior.sound.hearing import LOUDNESS_AT, STATES_AT, Hearing, hear
from prior.sound.phonemes import BILABIAL, SHUT_SHARE, STOPS, Phoneme, align
from prior.sound.phones import STATES
from prior.sound.soundscape import music, varied
from prior.sound.speech import FRAME_RATE, RATE
from prior.training.fitting import Fitting, fit
from prior.training.speech_corpus import SpeechExample, on_clock, training_examples

STEPS, BATCH, OUTPUTS = 1500, 32, 160
TAKES = 3
"""Other takes of each line, see `soundscape.varied`; of who speaks for minutes one in three."""
ROOMS = 24
"""Four seconds each in which music plays and nobody speaks."""
MARGIN_SECONDS = 0.01
SHUT_MILLIMETRES = 0.8
SPOKEN_SECONDS = 0.2
"""Lips that are seen shut count where speech is so near; elsewhere nobody knows what they do."""
KINDS = {"told": 0.8, "seen": 0.2}
"""Shares of windows of lines whose phones are known, and of those whose lips are."""
BLUR, TILT = 0.3, 0.12
"""Deviations of what is added to each number heard, and of curves over the loudness of bands."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """A line, when its lips meet where that is `known`, and how it is known."""

    heard: Hearing
    meets: Bool[np.ndarray, " K"]
    known: Bool[np.ndarray, " K"]
    kind: str


def told(sounds: Sequence[Phoneme], count: int, speed: float = 1.0) -> Bool[np.ndarray, " K"]:
    """Frames in which lips meet for these sounds, played `speed` times as fast."""
    meets = np.zeros(count, bool)
    for sound in sounds:
        first = sound.symbol[:1].upper()
        if first in BILABIAL:
            shut = (SHUT_SHARE if first in STOPS else 1) * sound.length
            ends = sound.start - MARGIN_SECONDS, sound.start + shut + MARGIN_SECONDS
            begin, stop = (max(round(FRAME_RATE * end / speed), 0) for end in ends)
            meets[begin : max(stop, begin + 1)] = True
    return meets


def seen(
    heard: Hearing, opening: Float[np.ndarray, " K"], tracked: Bool[np.ndarray, " K"]
) -> Lesson:
    """A line of which the lips are known, in millimetres, and not the phones."""
    shut = opening < SHUT_MILLIMETRES
    silent = slice(STATES_AT.start + STATES * SILENCE, STATES_AT.start + STATES * (SILENCE + 1))
    speech = 1 - heard.values[:, silent].exp().sum(1).clamp(0, 1).numpy()
    near = maximum_filter1d(speech, 2 * round(SPOKEN_SECONDS * FRAME_RATE) + 1) > 0.5
    return Lesson(heard, shut, tracked & (near | ~shut), "seen")


Line = SpeechExample | Path
"""Somebody who was tracked, or a voice by itself."""


def gathered(corpus: Path, seed: int, reporter: Reporter) -> list[Lesson]:
    """Every training line and spoken voice, as recorded and in other takes; and music alone."""
    random = np.random.default_rng(seed)
    examples = training_examples(corpus)
    spoken = [path for path in sorted((corpus / "spoken").glob("*")) if path.suffix != ".txt"]
    lines: list[Line] = [*examples, *spoken]
    others = [load_audio(e.sound, mono=True).mono16k().samples[0] for e in examples[:60]]
    talks = Counter(e.person for e in examples)
    lessons = []
    for line in reported(lines, reporter, "hear the corpus", len(lines)):
        rare = isinstance(line, Path) or talks[line.person] <= TAKES
        audio = load_audio(line if isinstance(line, Path) else line.sound, mono=True).mono16k()
        takes = [(audio.samples[0].astype(np.float64), 1.0)]
        for _ in range(TAKES if rare else random.integers(2)):
            takes.append(varied(takes[0][0], others, random))
        lessons += lessons_of(line, audio, takes)
    for _ in range(ROOMS):
        heard = heard_in(music(4 * RATE, random) * 10 ** (random.uniform(-3, -1)))
        lessons.append(Lesson(heard, np.zeros(len(heard), bool), np.ones(len(heard), bool), "told"))
    return lessons


def heard_in(samples: Float[np.ndarray, " N"]) -> Hearing:
    return hear(Audio(samples[None].astype(np.float32), RATE))


def lessons_of(
    line: Line, audio: Audio, takes: Sequence[tuple[Float[np.ndarray, "_"], float]]
) -> Iterator[Lesson]:
    """A line's takes, each with how many times as fast it is, and what is known of them."""
    if isinstance(line, Path):
        sounds = written(line.with_suffix(".txt"))
    else:
        sounds = aligned(audio, line.sound.with_suffix(".align"))
    for samples, speed in takes:
        heard = heard_in(samples)
        if sounds is not None:
            yield Lesson(heard, told(sounds, len(heard), speed), np.ones(len(heard), bool), "told")
        elif isinstance(line, SpeechExample):
            clock = on_clock(line, 0, Track.load(line.track), audio.start, speed, heard)
            opening = mouth_opening(default_model(), clock.mouth).numpy()
            yield seen(heard, opening, clock.known.numpy())


def aligned(audio: Audio, words: Path) -> list[Phoneme] | None:
    """Phones from the sound's beginning on; none where nobody wrote the words down, or others."""
    if not words.exists():
        return None
    said = [row.split()[2] for row in words.read_text().splitlines() if row.strip()]
    start = float(audio.start)
    try:
        found = align(audio, " ".join(word for word in said if word not in ("sil", "sp")))
    except InputError:
        return None
    return [Phoneme(p.symbol, p.start - start, p.end - start) for p in found.phonemes]


def written(phones: Path) -> list[Phoneme]:
    """Phones of a .txt. Raises InputError for one that is missing or reads otherwise."""
    try:
        rows = [row.split() for row in phones.read_text().splitlines() if row.strip()]
        return [Phoneme(symbol, float(start), float(end)) for start, end, symbol in rows]
    except (OSError, ValueError) as error:
        raise InputError(
            f"{phones} does not list phones ({error}); write start, end and symbol in each line."
        ) from error


class ContactLoss:
    """Surprise, in nats, of what is known of windows."""

    def __init__(self, network: ContactNetwork, lessons: Sequence[Lesson], batch: int) -> None:
        self.network, self.batch = network, batch
        self.lessons = {k: [x for x in lessons if x.kind == k] for k in KINDS}
        self.kinds = [kind for kind in KINDS if self.lessons[kind]]
        shares = np.array([KINDS[kind] for kind in self.kinds])
        self.share = shares / shares.sum()

    def __call__(self, seed: int) -> Mapping[str, Tensor]:
        random = np.random.default_rng(seed)
        heard, meets, known = map(
            torch.stack, zip(*(self.window(random) for _ in range(self.batch)), strict=True)
        )
        logits = self.network(blurred(heard, self.network.scale))
        surprise = nn.functional.binary_cross_entropy_with_logits(logits, meets, reduction="none")
        return {"contact": (surprise * known).sum() / known.sum().clamp_min(1)}

    def window(self, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        lessons = self.lessons[self.kinds[random.choice(len(self.kinds), p=self.share)]]
        lesson = lessons[random.integers(len(lessons))]
        begin = int(random.integers(max(len(lesson.meets) - OUTPUTS // 2, 1)))
        part = slice(begin, begin + OUTPUTS)
        heard = lesson.heard.section(begin - REACH, begin + OUTPUTS + REACH)
        # After the sound there is silence, and lips need not meet in it.
        meets, known = (
            torch.from_numpy(np.pad(x[part], (0, OUTPUTS - len(x[part])), constant_values=end))
            for x, end in ((lesson.meets, False), (lesson.known, True))
        )
        return heard, meets.float(), known.float()


def blurred(heard: Float[Tensor, "B K 208"], scale: Float[Tensor, "D"]) -> Float[Tensor, "B K 208"]:
    """Other voices and microphones, on the plane of what is heard."""
    heard = heard + BLUR * scale * torch.randn_like(heard)
    place = torch.linspace(0, torch.pi, LOUDNESS_AT.stop - LOUDNESS_AT.start)
    curves = torch.cos(torch.arange(4)[:, None] * place)
    heard[..., LOUDNESS_AT] += (TILT * torch.randn(len(heard), 4) @ curves)[:, None]
    return heard


def set_scales(network: ContactNetwork, lessons: Sequence[Lesson]) -> None:
    values = torch.cat([lesson.heard.values for lesson in lessons])
    network.mean.copy_(values.mean(0))
    network.scale.copy_(values.std(0).clamp_min(0.1))


def train_contact_ear(corpus: Path, output: Path, seed: int, reporter: Reporter) -> Path:
    """Weights in `output`, which holds the checkpoint too; an interrupted training goes on."""
    lessons = gathered(corpus, seed, reporter)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ContactNetwork(ContactShape(), dropout=0.3)
    set_scales(network, lessons)
    fitting = Fitting(steps=STEPS, seed=seed)
    loss, training = ContactLoss(network, lessons, BATCH), {"fitting": asdict(fitting)}
    kept = output / "contact_ear.checkpoint"
    for step in fit("train contact ear", network, loss, fitting, kept, training):
        reporter.step(step)
    path = output / "contact_ear.safetensors"
    ContactEar(network.eval(), {"lines": len(lessons), "seed": seed}).save(path)
    return path
