"""Face models and exports at the command line: what is asked for, what is said of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.serial import load_tensors
from dub.cli import main
from dub.doctor import exports, face_models
from face3d.models.shelf import FOLDER
from face3d.track import SCHEMA

PERFORMER = Path(__file__).parents[2] / "scripts" / "performer" / "clip.mp4"
TWO_FRAMES = [str(PERFORMER), "--range", "7:9", "-q"]


def test_a_track_says_whose_face_it_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills a track without its model's licence, and an option that writes nothing."""
    out, mesh = tmp_path / "a.track", tmp_path / "a.obj"
    assert main(["track", *TWO_FRAMES, "-o", str(out), "--export", str(mesh), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 2
    _, header = load_tensors(out, SCHEMA)
    assert header["about"]["face_model"] == {"name": "redub", "licence": "Apache-2.0"}
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.0007.obj", "a.0008.obj", "a.chan", "a.track"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--export", "a.fbx"], 2, "a.fbx does not end in one of"),
        (["--face-model", "nobody"], 5, "'nobody' is neither a path nor one of redub"),
        (["--face-model", "model.pkl"], 3, "never reads, because a pickle can run code"),
    ],
)
def test_a_wrong_wish_ends_before_the_work(
    options: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Kills a clip that is tracked before the mistake is found, and a track left behind."""
    monkeypatch.chdir(tmp_path)
    Path("model.pkl").write_bytes(b"\x80\x02}.")
    monkeypatch.setattr("dub.tracking.track_measured", None)
    assert main(["track", *TWO_FRAMES, "-o", "a.track", *options]) == code
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model.pkl"]


def test_the_doctor_shows_licences_of_kept_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a licence that is looked for in the wrong place, and files that are no models."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    np.savez(tmp_path / "studio.npz", x=np.zeros(1))
    (tmp_path / "studio.LICENSE").write_text("Studio Licence\n")
    (tmp_path / "notes.txt").write_text("nothing")
    found = face_models()
    assert list(found) == ["redub", "studio"]
    assert found["redub"]["licence"] == "Apache-2.0"
    assert found["studio"]["licence"] == "Studio Licence"
    assert exports()[".obj"] == "works"
