"""Files appear whole or not at all, and what is not ours is refused with a sentence."""

import contextlib
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import InputError, ResourceError
from core.serial import Schema, atomic_path, load_tensors, save_json, save_tensors

TRACK = Schema("track", 2)


def test_tensors_and_header_come_back_bit_for_bit(tmp_path: Path) -> None:
    """Kills a cast, a lost header and a view saved without its strides."""
    tensors = {
        "half": torch.tensor([1 / 3, 6e-8]).half(),
        "turned": torch.arange(12, dtype=torch.int64).reshape(3, 4).T,
        "flags": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
    }
    path = tmp_path / "deep" / "a.track"
    save_tensors(path, TRACK, tensors, {"fps": "30000/1001"})
    back, header = load_tensors(path, TRACK)
    assert header == {"kind": "track", "schema": 2, "fps": "30000/1001"}
    for name, value in tensors.items():
        assert back[name].dtype == value.dtype
        assert torch.equal(back[name], value)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (Schema("track", 1), ("schema 2", "reads schema 1", "update redub")),
        (Schema("track", 3), ("schema 2", "reads schema 3", "make it again")),
        (Schema("actor", 2), ("holds track", "not a redub actor")),
    ],
)
def test_another_schema_is_refused(tmp_path: Path, schema: Schema, words: tuple[str, ...]) -> None:
    """Kills a reader that takes a newer layout, an older one or another kind for its own."""
    path = tmp_path / "a.track"
    save_tensors(path, TRACK, {"x": torch.zeros(1)}, {})
    with pytest.raises(InputError) as caught:
        load_tensors(path, schema)
    assert all(word in str(caught.value) for word in (str(path), *words))


def test_a_foreign_a_broken_and_a_missing_file_are_input_errors(tmp_path: Path) -> None:
    """Kills a stack trace of safetensors or JSON that reaches the user."""
    foreign, broken, headless = (tmp_path / name for name in ("foreign", "broken", "headless"))
    save_file({"x": torch.zeros(1)}, foreign)
    broken.write_bytes(b"\x00" * 40)
    save_file({"x": torch.zeros(1)}, headless, metadata={"redub": "{"})
    for path in (foreign, broken, headless, tmp_path / "missing", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            load_tensors(path, TRACK)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    """Kills writing in place, and temporary files that stay after an exception."""
    path = tmp_path / "a.json"
    path.write_text("old")
    with contextlib.suppress(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_an_infinite_number_is_no_json_and_spoils_nothing(tmp_path: Path) -> None:
    """Kills `Infinity` in JSON, which no other program reads."""
    path = tmp_path / "a.json"
    save_json(path, {"x": 1})
    with pytest.raises(ValueError, match="JSON"):
        save_json(path, {"x": float("inf")})
    assert json.loads(path.read_text()) == {"x": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_place_that_cannot_be_written_is_a_resource_error(tmp_path: Path) -> None:
    """Kills a bare OSError: a file stands where the folder should, and a folder where the file."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "a.json", tmp_path / "folder"):
        with pytest.raises(ResourceError, match="cannot be written") as caught:
            save_json(path, {})
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == 6
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_what_is_written_can_be_read_by_others(tmp_path: Path) -> None:
    """Kills mkstemp's private permissions on the finished file."""
    save_json(tmp_path / "a.json", {})
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644
