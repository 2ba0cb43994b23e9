"""`redub VERB`: the umbrella command. Each verb is a dataclass whose fields are its options."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional, subcommand

from adapt.cli import Adapt
from core.command import Verb, run_command
from core.errors import AssetError, UsageError
from prior.cli import Card, Prepare, Train

Frames = Annotated[str | None, tyro.conf.arg(name="range", metavar="A:B")]
Output = Annotated[Path, tyro.conf.arg(aliases=["-o"])]


@dataclass(frozen=True, kw_only=True)
class Doctor(Verb):
    """Say what this machine can do: devices, backends, codecs, weights, memory, disk."""

    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from dub.doctor import examine, printed

        found = examine()
        print_result(found, self.json, printed)
        return AssetError.exit_code if found["missing"] else 0


@dataclass(frozen=True, kw_only=True)
class Inspect(Verb):
    """Look at a clip: shots, faces, pose, sound offset, what stays untouched, estimated time."""

    clip: Positional[Path]
    """The clip."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from dub.inspection import inspect_clip, printed
        from media.clip import Clip

        print_result(inspect_clip(Clip.open(self.clip), self.reporter), self.json, printed)
        return 0


@dataclass(frozen=True, kw_only=True)
class Track(Verb):
    """Follow the face through a clip in 3D and write the track."""

    clip: Positional[Path]
    """The clip."""
    output: Output
    """The track file."""
    overlay: Path | None = None
    """Also write this video, with the fitted mesh drawn over the face (.mkv, .mp4, .mov)."""
    lit: Path | None = None
    """Also write this video, with the model in the fitted skin and light in the face's place."""
    face_model: Annotated[str, tyro.conf.arg(metavar="NAME|PATH")] = "redub"
    """The face that is fitted: `redub`, or a model of your own, by its path (ICT-FaceKit, FLAME) or
    by its name in the folder that REDUB_FACE_MODELS names."""
    export: Path | None = None
    """Also write the moving mesh and the camera for other programs: FILE.usd, .usda or .usdc,
    FILE.glb, or FILE.obj (one numbered file a frame, and FILE.chan)."""
    start: Literal["landmarks", "deca"] = "landmarks"
    """Where the fit starts: the landmarks' own depth, or the head poses of DECA, if you have
    deca-pytorch and its weights (non-commercial)."""
    stage: Literal["landmarks", "photometric"] = "photometric"
    """How far the fit goes: landmarks alone, or on to where the pictures agree with it."""
    frames: Frames = None
    """Frames to track, A:B in seconds (0s:4s), frames (0:100) or timecode (tc:...)."""
    json: bool = False
    """Print the figures as JSON."""

    def run(self) -> int:
        from core.serial import check_apart
        from dub.overlay import write_lit, write_overlay
        from dub.tracking import printed, track_measured
        from face3d.export.take import Take, writer_for
        from face3d.initialiser import Deca
        from face3d.models.shelf import open_face_model
        from media.clip import Clip
        from media.writer import check_video

        writes = writer_for(self.export) if self.export else None
        if self.lit and self.stage == "landmarks":
            raise UsageError(
                "--lit shows the fitted skin and light, which --stage landmarks does not fit; "
                "leave out one of the two."
            )
        check_apart(self.output, self.clip)
        for video in filter(None, (self.overlay, self.lit)):
            check_video(video, self.clip)
        clip = Clip.open(self.clip)
        face = open_face_model(self.face_model)
        frames = frames_of(clip, self.frames)
        start = Deca() if self.start == "deca" else None
        track, figures = track_measured(clip, frames, self.reporter, face.model, start, self.stage)
        track.save(self.output, {"source": clip.path.name, "face_model": face.facts})
        if self.overlay:
            write_overlay(clip, track, self.overlay, self.reporter, face.model)
        if self.lit:
            write_lit(clip, track, self.lit, self.reporter, face.model)
        if self.export and writes:
            writes(Take(face, track), self.export)
        print_result(figures, self.json, printed)
        return 0


MOST_TAKES = 9


@dataclass(frozen=True, kw_only=True)
class Dub(Verb):
    """Give a shot of a learned actor a new line; everything outside the matte stays the plate's."""

    actor: Path
    """The actor folder that `adapt` made."""
    plate: Path
    """The shot."""
    speech: Path
    """The new line, as a sound file or a video with sound; it starts with the first frame."""
    output: Output
    """The dubbed shot; .mkv is lossless (FFV1), .mp4 and .mov are H.264."""
    frames: Frames = None
    """Frames to dub, A:B in seconds (0s:4s), frames (0:100) or timecode (tc:...)."""
    strength: str = "1"
    """How far the mouth moves, 0 to 3; 1 is how this actor speaks. Or a file with a moment and a
    strength in each line (`1.5s 0.8`), between which it changes evenly."""
    silence: Literal["original", "closed"] = "original"
    """Before the first and after the last word: the plate's own mouth, or a closed one."""
    keep: Annotated[tuple[str, ...], tyro.conf.arg(metavar="A:B ...")] = ()
    """Ranges whose frames stay the plate's own, written as --range is."""
    words: Annotated[str | None, tyro.conf.arg(metavar="TEXT|FILE")] = None
    """What the line says, in English, so that lips meet on its m, b and p to the frame; or a file
    of its sounds in any language, start, end and sound in each line (`0.12s 0.20s m`). Unless told,
    they are listened for."""
    style: Path | None = None
    """A clip of someone speaking, whose range and posture the line is spoken with; the actor's own
    footage unless told."""
    takes: int = 1
    """How many takes of the line: the expected one, and drawn ones beside it (OUT.take2 ...)."""
    seed: int = 0
    """Seed of the drawn takes; the same one gives the same takes."""
    quality: Literal["draft", "final"] = "final"
    """`draft` is faster: the plate's motion stays as it is tracked, and large faces are enlarged
    without the detail of their close-ups."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the mouth is rendered; tracking stays on the CPU."""
    json: bool = False
    """Print the sidecar on stdout."""

    def run(self) -> int:
        if not 1 <= self.takes <= MOST_TAKES:
            raise UsageError(f"--takes {self.takes} is not between 1 and {MOST_TAKES}; try 3.")
        return shot(
            self,
            self.speech,
            strength=self.strength,
            silence=self.silence,
            keep=self.keep,
            words=self.words,
            style=self.style,
            takes=self.takes,
            seed=self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class Reenact(Verb):
    """Render the plate's own tracked mouth through the actor: the renderer's ceiling."""

    actor: Path
    """The actor folder that `adapt` made."""
    plate: Path
    """The shot."""
    output: Output
    """The reenacted shot; .mkv is lossless (FFV1), .mp4 and .mov are H.264."""
    frames: Frames = None
    """Frames to reenact, A:B in seconds (0s:4s), frames (0:100) or timecode (tc:...)."""
    quality: Literal["draft", "final"] = "final"
    """`draft` is faster: the plate's motion stays as it is tracked, and large faces are enlarged
    without the detail of their close-ups."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the mouth is rendered; tracking stays on the CPU."""
    json: bool = False
    """Print the sidecar on stdout."""

    def run(self) -> int:
        return shot(self, None)


@dataclass(frozen=True, kw_only=True)
class Review(Verb):
    """Show a dubbed shot beside its plate on one page: wipe, difference, sound, what to look at."""

    dub: Positional[Path]
    """What `redub dub` or `redub reenact` wrote, with its sidecar beside it."""
    plate: Path | None = None
    """The shot that was dubbed; looked for beside the dub and in this folder unless told."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The page; DUB.review.html unless told."""
    strict: bool = False
    """End with exit code 4 when a check fails; the page is written all the same."""
    json: bool = False
    """Print the findings as JSON."""

    def run(self) -> int:
        from dub.review import Review as Job
        from dub.review import printed, review_shot

        job = Job(self.dub, self.plate, self.output, self.strict)
        print_result(review_shot(job, self.reporter), self.json, printed)
        return 0


@dataclass(frozen=True, kw_only=True)
class Evaluate(Verb):
    """Measure an actor on a shot against its true frames, beside baselines."""

    actor: Path
    """The actor folder; what `adapt --baseline` left beside it is measured too."""
    plate: Path
    """A shot, or seconds of one, that the actor was not adapted on."""
    frames: Frames = None
    """Frames to measure, A:B in seconds (0s:4s), frames (0:100) or timecode (tc:...)."""
    speech: str | None = None
    """What drives the mouth: `own` is the plate's own sound, a file another's speech (then there
    are no true frames); the plate's own tracked mouth unless told."""
    json: Path | None = None
    """Write all figures here; - prints them."""
    sheet: Path | None = None
    """Write a contact sheet (PNG) here."""

    def run(self) -> int:
        from adapt.report import comparison_sheet
        from dub.evaluation import Evaluation, evaluate_actor
        from evaluate.sheet import save_png
        from media.clip import Clip

        clip = Clip.open(self.plate)
        driver = "tracked" if self.speech is None else self.speech
        job = Evaluation(
            self.actor,
            self.plate,
            frames_of(clip, self.frames),
            driver if driver in ("tracked", "own") else Path(driver),  # pyright: ignore
        )
        pictures, figures = evaluate_actor(job, self.reporter)
        keep_json(figures, self.json, figures_printed)
        if self.sheet:
            save_png(self.sheet, comparison_sheet(pictures, clip.path.stem))
        return 0


@dataclass(frozen=True, kw_only=True)
class Bench(Verb):
    """Measure speed and memory of every stage on this machine."""

    clip: Path | None = None
    """A clip of a face; the bundled performer unless told."""
    repeats: int = 3
    """How often each stage is timed; the median counts."""
    json: Path | None = None
    """Write the figures here; - prints them."""

    def run(self) -> int:
        from dub.bench import bench, printed

        keep_json(bench(self.clip, self.repeats, self.reporter), self.json, printed)
        return 0


Prior = (
    Annotated[Prepare, subcommand("prepare")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Card, subcommand("card")]
)


@dataclass(frozen=True)
class PriorVerb:
    """Make the generic weights, and say what they know: prepare, train, card."""

    verb: tyro.conf.OmitSubcommandPrefixes[Prior]

    @property
    def verbose(self) -> bool:
        return self.verb.verbose

    def run(self) -> int:
        return self.verb.run()


Verbs = (
    Annotated[Doctor, subcommand("doctor")]
    | Annotated[Inspect, subcommand("inspect")]
    | Annotated[Track, subcommand("track")]
    | Annotated[Adapt, subcommand("adapt")]
    | Annotated[Dub, subcommand("dub")]
    | Annotated[Reenact, subcommand("reenact")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Review, subcommand("review")]
    | Annotated[Bench, subcommand("bench")]
    | Annotated[PriorVerb, subcommand("prior")]
)


def main(argv: Sequence[str] | None = None) -> int:
    """The `redub` command."""
    return run_command(Verbs, "redub", "Person-specific neural dubbing.", argv)


def frames_of(clip: Any, text: str | None) -> range:
    """The frames of a clip that --range names."""
    from media.timeline import parse_range

    return parse_range(text, clip.fps, len(clip), clip.timecode)


def shot(verb: Dub | Reenact, speech: Path | None, **settings: Any) -> int:
    """Dub or reenact one shot and say where it lies, every take of it."""
    from core.device import resolve_device
    from dub.shot import Dubbing, dub_shot, take_path
    from dub.sidecar import sidecar_path
    from media.clip import Clip

    frames = frames_of(Clip.open(verb.plate), verb.frames)
    settings |= {"device": resolve_device(verb.device).torch, "quality": verb.quality}
    job = Dubbing(verb.actor, verb.plate, verb.output, frames, speech, **settings)
    for take, document in enumerate(dub_shot(job, verb.reporter), 1):
        output = take_path(verb.output, take)
        where = f"{output}\n{sidecar_path(output)}"
        for run in document["passed_through"]:
            span = f"frames {run['start']} to {run['stop']}"
            verb.reporter.say(f"untouched: {span} ({run['reason']})")
        print_result(document, verb.json, lambda _, where=where: where)
    return 0


def print_result(result: Mapping[str, Any], as_json: bool, printed: Any) -> None:
    """A result on stdout, as JSON or in words."""
    from evaluate.report import plain

    print(json.dumps(plain(result), indent=2) if as_json else printed(result))


def keep_json(result: Mapping[str, Any], path: Path | None, printed: Any) -> None:
    """A result into a file, or on stdout: as JSON for `-`, else in words."""
    from core.serial import save_json
    from evaluate.report import plain

    if path is not None and str(path) != "-":
        save_json(path, plain(result))
    print_result(result, str(path) == "-", printed)


def figures_printed(figures: Mapping[str, Any]) -> str:
    """Figures as a text table: a row a system, the columns that are known."""
    rows = {"redub": figures, **{k: v for k, v in figures["baselines"].items() if v}}
    columns = [
        (group, name)
        for group in ("lower_face", "mouth", "open_mouth", "landmarks", "sync")
        for name, value in figures[group].items()
        if value is not None
    ]
    lines = [f"{figures['frames']} frames of {figures['plate']}, driver {figures['driver']}"]
    for group, name in columns:
        cells = "  ".join(f"{row} {shown(f[group][name])}" for row, f in rows.items())
        lines.append(f"{group:<11} {name:<18} {cells}")
    for name in ("leak", "flicker_ratio", "seam_ratio", "outside_max_diff"):
        lines.append(f"{'shot':<11} {name:<18} redub {shown(figures[name])}")
    return "\n".join(lines)


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
