"""The commands at their edges: a bad input gets its sentence and exit code, and leaves nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from adapt.actor import Actor
from adapt.cli import Adapt, check_folder, without_prior
from adapt.cli import main as adapt_main
from adapt.speaking_style import SpeakingStyle
from core.command import Verb, run_command
from core.duration import parse_seconds
from core.errors import UsageError
from core.progress import Silent
from dub import doctor
from dub.cli import main
from face3d.morphable import default_model
from face3d.tracker import track_clip
from media.clip import Clip
from prior.motion.expression import load_driver
from prior.painting.renderer import untrained
from prior.painting.skin import skin_of
from prior.training.corpus import gather_windows
from prior.training.train_renderer import training_clip

ROOT = Path(__file__).parents[1]
PERFORMER = ROOT / "scripts" / "performer" / "clip.mp4"
LINE = PERFORMER.with_name("line.flac")


def noise_clip(path: Path, frames: int) -> Path:
    """A video that shows nothing but noise."""
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(frames):
            picture = random.integers(0, 255, (120, 160, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def bad_files(tmp_path: Path) -> dict[str, Path]:
    files = {name: tmp_path / f"{name}.mp4" for name in ("missing", "empty", "text", "corrupt")}
    files["empty"].write_bytes(b"")
    files["text"].write_text("not a video\n" * 50)
    files["corrupt"].write_bytes(np.random.default_rng(1).bytes(4000))
    files["sound"] = LINE
    files["noise"] = noise_clip(tmp_path / "noise.mp4", 12)
    files["folder"] = tmp_path / "a folder"
    files["folder"].mkdir()
    return files


SENTENCES = {
    "missing": "does not exist; give the path",
    "empty": "is empty; copy or export it again",
    "text": "is not a media file",
    "corrupt": "export it again",
    "sound": "holds sound but no picture; give the path of a video",
    "noise": "shows no face in 12 frames; give a range",
    "folder": "is a folder; give the path of one media file",
}


@pytest.mark.parametrize("kind", SENTENCES)
@pytest.mark.parametrize("verb", ["adapt", "track"])
def test_unsuitable_media_exits_3_with_a_sentence_and_leaves_nothing(
    kind: str,
    verb: str,
    bad_files: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Kills: a traceback, exit 0 or 1, a folder or file left behind by a job that cannot be."""
    out = tmp_path / "out"
    clip = str(bad_files[kind])
    arguments = ["--actor", clip] if verb == "adapt" else [clip]
    assert main([verb, *arguments, "-o", str(out), "-q"]) == 3
    said = capsys.readouterr()
    assert SENTENCES[kind] in said.err
    assert "Traceback" not in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert not out.exists()


@pytest.mark.parametrize(("frames", "shown"), [("0:1", 1), ("0s:0.48s", 12)])
def test_footage_too_short_to_learn_from_is_refused(
    frames: str, shown: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: a crash of fit or split on one frame; learning from next to nothing."""
    out = tmp_path / "short.actor"
    job = ["--actor", str(PERFORMER), "--range", frames, "-o", str(out), "-q"]
    assert adapt_main(job) == 3
    assert f"shows the face in {shown} frames" in capsys.readouterr().err
    assert not out.exists()


def test_a_single_frame_is_tracked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kills: NaN in JSON, and a fit that needs neighbours."""
    out = tmp_path / "one.track"
    assert main(["track", str(PERFORMER), "-o", str(out), "--range", "7:8", "--json", "-q"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["frames"] == 1
    assert figures["valid_share"] == 1.0
    assert figures["jitter_px256"] is None
    assert figures["lip_error_px256"] < 3
    assert out.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-o", "clip.mp4"], "is also an input"),
        (["-o", "t.track", "--overlay", "mesh.avi"], "redub writes .mkv, .mp4, .mov"),
        (["-o", "t.track", "--lit", "clip.mp4"], "is also an input"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_the_clip_is_tracked(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kills a clip replaced by its own track, and minutes of work lost to a wrong suffix."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(PERFORMER.read_bytes())
    assert main(["track", "clip.mp4", *arguments, "-q"]) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert (tmp_path / "clip.mp4").read_bytes() == PERFORMER.read_bytes()


def test_a_lit_model_of_landmarks_alone_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: a clip tracked for nothing, and a video of skin that nobody fitted."""
    job = ["track", str(PERFORMER), "-o", str(tmp_path / "t.track"), "-q"]
    assert main([*job, "--stage", "landmarks", "--lit", str(tmp_path / "lit.mkv")]) == 2
    assert "leave out one of the two" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--range", "4s-8s"], 2, "is not A:B"),
        (["--range", "90s:95s"], 2, "starts at frame 2250 and the clip has frames 0 to"),
        (["--budget", "soon"], 2, "--budget soon is not a time"),
        (["--budget", "0s"], 2, "--budget 0s is not a time"),
        (["--device", "cuda"], 5, "use --device cpu"),
        (["--refine", "ann.actor", "--baseline"], 2, "leave it out with --refine"),
        (["--refine", "ann.actor", "--size", "full"], 2, "cannot change the size of ann.actor"),
        (["--size", "full"], 5, "redub prior train --size full -o FOLDER"),
        (["-o", str(ROOT / "tests")], 2, "holds other files; choose a new folder"),
    ],
)
def test_a_command_line_that_makes_no_sense(
    arguments: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: work begun before the arguments were looked at, and other exit codes."""
    assert adapt_main(["--actor", str(PERFORMER), *arguments, "-q"]) == code
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["adpat"], ["adapt"], ["track", "a.mp4"], ["dub", "-x"]])
def test_usage_errors_exit_2(arguments: list[str]) -> None:
    """Kills: usage errors that look like success or like an internal error."""
    assert main(arguments) == 2


def test_an_output_below_a_file_is_a_resource_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: exit 1 with a traceback where a folder cannot be made."""
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / "below.track"
    assert main(["track", str(PERFORMER), "-o", str(out), "--range", "0:2", "-q"]) == 6
    assert "cannot be written" in capsys.readouterr().err


@contextmanager
def largest_file(limit: int) -> Iterator[None]:
    """Every file that grows beyond `limit` bytes meets an error, as on a full disk."""
    resource = pytest.importorskip("resource")
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, kept[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)


def test_a_full_disk_exits_6_and_leaves_no_part_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: half a track under its final name."""
    out = tmp_path / "full" / "x.track"
    with largest_file(2048):
        code = main(["track", str(PERFORMER), "-o", str(out), "--range", "0:2", "-q"])
    assert code == 6
    assert "cannot be written" in capsys.readouterr().err
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (None, "is not an actor folder"),
        ('{"kind": "actor", "schema": 99}', "update redub"),
        ('{"kind": "track", "schema": 1}', "holds track, not a redub actor"),
        ("{broken", "cannot be read"),
    ],
)
def test_a_folder_that_is_no_actor_of_this_version_is_refused(
    document: str | None,
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kills: a KeyError deep inside, and a shot begun with an actor that cannot be read."""
    monkeypatch.setattr("dub.shot.default_prior", lambda size: untrained(0))
    actor, out = tmp_path / "who.actor", tmp_path / "shot.mkv"
    actor.mkdir()
    if document is not None:
        (actor / "actor.json").write_text(document)
    job = ["--actor", str(actor), "--plate", str(PERFORMER), "-o", str(out), "-q"]
    assert main(["dub", *job, "--speech", str(LINE)]) == 3
    assert sentence in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["who.actor"]


@pytest.fixture(scope="module")
def unlearned_actor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The performer's face and references with a network that has learned nothing."""
    folder = tmp_path_factory.mktemp("actors") / "performer.actor"
    clip, model, prior = Clip.open(PERFORMER), default_model(), untrained(0)
    track = track_clip(clip, range(0, 26), model)
    windows = gather_windows(clip, track, model, np.arange(0, 26, 3))
    known = training_clip(windows, model, "performer")
    texture = prior.texture(known.colours, known.seen).features.detach()
    style = SpeakingStyle(load_driver().manner, "nothing")
    about = {"with_prior": False, "seed": 0}
    skin = skin_of(model, clip, track, np.arange(26), hidden=False)
    actor = Actor(track.identity, texture, prior.weights, windows, skin, style, about)
    actor.save(folder, prior)
    return folder


def test_reenact_writes_as_many_frames_and_a_sidecar(
    unlearned_actor: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kills: lost or doubled frames, --range ignored, JSON mixed with progress on stdout."""
    monkeypatch.setattr("dub.shot.default_prior", lambda size: untrained(0))
    out = tmp_path / "again.mkv"
    job = ["--actor", str(unlearned_actor), "--plate", str(PERFORMER), "--range", "4:10"]
    assert main(["reenact", *job, "-o", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((tmp_path / "again.mkv.redub.json").read_text())
    assert document["frames"] == 6
    assert document["range"] == [4, 10]
    assert len(Clip.open(out)) == 6
    assert Clip.open(out).fps == 25


def test_dub_says_what_it_left_untouched(
    unlearned_actor: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kills: speech that drives nothing, a strength that does nothing, warnings that get lost."""
    monkeypatch.setattr("dub.shot.default_prior", lambda size: untrained(0))
    out = tmp_path / "line.mkv"
    job = ["--actor", str(unlearned_actor), "--plate", str(PERFORMER), "--range", "0:20"]
    job += ["--speech", str(LINE), "-o", str(out), "--json", "-q"]
    # A line without m, b or p: half a closure would be none, so lips that meet are not halved.
    vowels = tmp_path / "vowels.txt"
    vowels.write_text("0.1s 0.5s AA\n")
    job += ["--words", str(vowels)]
    openings = {}
    for strength in ("1", "0.5"):
        assert main(["dub", *job, "--strength", strength]) == 0
        document = json.loads(capsys.readouterr().out)
        openings[strength] = np.array(document["intent_opening_millimetres"])
    assert np.ptp(openings["1"]) > 1
    assert np.ptp(openings["0.5"]) == pytest.approx(np.ptp(openings["1"]) / 2, abs=0.02)
    assert document["speech"]["file"] == "line.flac"
    assert any("drive nothing" in warning for warning in document["warnings"])
    assert main(["dub", *job, "--strength", "-1"]) == 2
    assert main(["dub", *job, "--takes", "0"]) == 2
    assert main(["dub", *job, "--takes", "2", "--seed", "5"]) == 0
    first, second = (
        json.loads((tmp_path / f"line{name}.mkv.redub.json").read_text()) for name in ("", ".take2")
    )
    assert (first["settings"]["take"], second["settings"]["take"]) == (1, 2)
    # One tracking serves all takes.
    assert first["seconds"]["track"] == second["seconds"]["track"]
    assert second["intent_opening_millimetres"] != document["intent_opening_millimetres"]
    capsys.readouterr()
    assert main(["dub", *job[:-6], "-o", str(PERFORMER)]) == 2


def test_evaluate_carries_every_number_of_the_contract(
    unlearned_actor: Path, tmp_path: Path
) -> None:
    """Kills: missing figures, NaN instead of null, an output that differs outside the matte."""
    kept = tmp_path / "figures.json"
    job = ["--actor", str(unlearned_actor), "--plate", str(PERFORMER), "--range", "28:34", "-q"]
    assert main(["evaluate", *job, "--json", str(kept)]) == 0
    figures = json.loads(kept.read_text())
    pictures = {"psnr", "ssim", "gmsd", "sharpness_ratio"}
    looked = set(figures["lower_face"]) - {"lpips"}  # where the user has that
    assert looked == set(figures["mouth"]) - {"lpips"} == pictures
    assert set(figures["landmarks"]) == {"lmd_px256", "opening_corr", "opening_mae_px256"}
    assert set(figures["sync"]) == {"offset_frames", "confidence", "margin"}
    assert {"leak", "flicker_ratio", "seam_ratio", "time", "peak_rss_mb"} <= set(figures)
    assert figures["frames"] == 6
    assert figures["outside_max_diff"] == 0
    assert figures["baselines"]["nearest_frame"]["lower_face"]["psnr"] > 15
    assert figures["baselines"]["no_prior"] is None


@dataclass(frozen=True, kw_only=True)
class Failing(Verb):
    """Fails as told."""

    how: str

    def run(self) -> int:
        kinds = {
            "interrupt": KeyboardInterrupt(),
            "memory": MemoryError(),
            "disk": OSError(28, "No space left on device", "out.mkv"),
            "library": ImportError("libGL.so.1: cannot open"),
            "bug": KeyError("x"),
        }
        raise kinds[self.how]


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("interrupt", 130, "run the same command again"),
        ("memory", 6, "memory ran out"),
        ("disk", 6, "No space left on device (out.mkv)"),
        ("library", 5, "a library cannot be loaded (libGL.so.1: cannot open); see `redub doctor`"),
        ("bug", 1, "internal error: KeyError: 'x' (run with -v for the traceback)"),
    ],
)
def test_failures_end_with_their_exit_code(
    how: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: a bug reported as the user's mistake, and a full disk reported as a bug."""
    assert run_command(Failing, "failing", "Fails.", ["--how", how]) == code
    assert said in capsys.readouterr().err


def test_the_traceback_comes_with_v_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Kills: -v that does nothing."""
    run_command(Failing, "failing", "Fails.", ["--how", "bug"])
    assert "Traceback" not in capsys.readouterr().err
    run_command(Failing, "failing", "Fails.", ["--how", "bug", "-v"])
    assert "Traceback" in capsys.readouterr().err


def test_help_answers_without_loading_anything_heavy() -> None:
    """Kills: seconds of imports before a word of help, and environment set after torch read it."""
    probe = (
        "import sys\nfrom dub.cli import main\ncode = main(['--help'])\n"
        "heavy = {'torch', 'cv2', 'mediapipe', 'numba', 'librosa', 'av'} & set(sys.modules)\n"
        "sys.exit(code or bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    verbs = ["doctor", "inspect", "track", "adapt", "dub", "reenact", "evaluate", "bench", "prior"]
    assert all(f"• {verb}" in done.stdout for verb in verbs)


def test_a_broken_pipe_is_silent() -> None:
    """Kills: a traceback or an exit code 1 when the reader stops (`redub ... | head`)."""
    probe = "from dub.cli import main; import sys; sys.exit(main(['prior', 'card', '--help']))"
    command = f'"{sys.executable}" -c "{probe}" | true'
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("3m", 180), ("1.5m", 90), ("45", 45)])
def test_budgets_as_people_write_them(text: str, seconds: float) -> None:
    """Kills: minutes read as seconds."""
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-3s", "3h", "0", "1e3s"])
def test_other_budgets_are_refused(text: str) -> None:
    """Kills: a budget of nothing, or one guessed from nonsense."""
    with pytest.raises(UsageError, match="is not a time"):
        parse_seconds(text)


def test_only_folders_of_ours_are_written_into(tmp_path: Path) -> None:
    """Kills a user's own `work` taken for an interrupted job's, which is removed in the end."""
    films = tmp_path / "films"
    (films / "work").mkdir(parents=True)
    check_folder(films)
    check_folder(tmp_path / "new.actor")
    (films / "work" / "take.mov").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        check_folder(films)
    for name in ("work/ticket.json", "actor.json"):
        (films / name).write_text("{}")
        check_folder(films)
        (films / name).unlink()


def test_the_baseline_lies_beside_the_actor_whatever_its_name() -> None:
    """Kills: replacing the suffix, by which two actors would share a baseline."""
    assert without_prior(Path("a/b.c.actor")) == Path("a/b.c.actor.no_prior")


def test_quiet_reports_nothing() -> None:
    """Kills: -q that does nothing."""
    assert isinstance(Adapt(actor=(str(PERFORMER),), quiet=True).reporter, Silent)


def test_the_doctor_names_a_missing_system_library_and_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: a doctor that dies of the illness it is asked about."""
    real = doctor.import_module

    def without_gl(name: str) -> object:
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file")
        return real(name)

    monkeypatch.setattr(doctor, "import_module", without_gl)
    assert main(["doctor", "--json"]) == 5
    found = json.loads(capsys.readouterr().out)
    assert any("cv2" in text and "libgl1" in text for text in found["missing"])
    assert found["codecs"]["writes"]["ffv1 (.mkv picture)"] is True
