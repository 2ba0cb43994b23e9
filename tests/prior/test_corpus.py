"""Corpora: windows as they were cut, indices and clips that can be told from other files."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from moving_head import CAMERA, speaking
from painted_head import CROP, painted_windows

from core.errors import InputError, UsageError
from face3d.morphable import default_model
from face3d.topology import LIPS
from face3d.track import Crop, Track, camera_vertices
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH, crop_image
from media.clip import Clip
from prior.corpus import (
    MARGIN,
    corpus_files,
    gather_windows,
    load_windows,
    read_index,
    save_windows,
    write_index,
)
from prior.prepare import list_sources

MODEL = default_model()


def test_gathered_windows_are_the_clips(performer_clip: Clip, performer_track: Track) -> None:
    """Kills frames off by one or in another order, and a camera that does not see its window: the
    pixels are the crop's, the lips' vertices lie in the middle."""
    frames = np.array([7, 3, 11])
    windows = gather_windows(performer_clip, performer_track, MODEL, frames, MARGIN)
    assert windows.frame.tolist() == [3, 7, 11]
    assert windows.images.shape == (3, 3, WINDOW_HEIGHT + 2 * MARGIN, WINDOW_WIDTH + 2 * MARGIN)
    pictures = {f.index: f.rgb for f in performer_clip.frames(range(12))}
    for i, frame in enumerate(windows.frame.tolist()):
        crop = crop_image(pictures[frame], performer_track.crop(frame))
        left, top = windows.corner[i].tolist()
        rows, columns = windows.images.shape[-2:]
        expected = crop[top : top + rows, left : left + columns]
        actual = windows.images[i].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(actual[: len(expected), : expected.shape[1]], expected)
        motion = windows.motion[i : i + 1]
        assert torch.equal(motion.mouth, performer_track.motion.mouth[frame : frame + 1])
        vertices = camera_vertices(MODEL, windows.identity, motion)
        lips = windows.camera(i).pixels_from_camera(vertices)[0, list(LIPS)].mean(0)
        off = lips - torch.tensor([columns / 2, rows / 2])
        assert float(off.abs().max()) < 30


def test_a_shifted_camera_sees_the_shifted_window() -> None:
    """Kills a margin counted once, or a shift of the wrong sign."""
    windows = painted_windows(speaking(2), margin=MARGIN)
    points = camera_vertices(MODEL, windows.identity, windows.motion)[1]
    whole, part = windows.camera(1), windows.camera(1, dx=5, dy=-7, margin=MARGIN)
    moved = whole.pixels_from_camera(points) - torch.tensor([MARGIN + 5.0, MARGIN - 7.0])
    torch.testing.assert_close(part.pixels_from_camera(points), moved, atol=1e-3, rtol=0)
    assert (part.width, part.height) == (WINDOW_WIDTH, WINDOW_HEIGHT)


def test_windows_survive_their_file(tmp_path: Path) -> None:
    """Kills a camera taken from another shot's crop, and a field forgotten in save or load."""
    motion = speaking(12)
    frames = torch.tensor([102, 105, 109])
    windows = painted_windows(motion[frames - 100], frames=frames)
    other = Crop(0, 0, 500, 250)
    shot = torch.zeros(12, dtype=torch.int64)
    shot[8:] = 1
    track = Track(
        Fraction(25), 100, CAMERA, (CROP, other), shot, windows.identity, motion,
        torch.ones(12, dtype=torch.bool), torch.zeros(12), torch.ones(12),
    )  # fmt: skip
    save_windows(tmp_path / "a.safetensors", track, windows, {"person": "p", "rights": "r"})
    again, about = load_windows(tmp_path / "a.safetensors")
    assert about == {"person": "p", "rights": "r"}
    for name in ("images", "corner", "frame"):
        assert torch.equal(getattr(again, name), getattr(windows, name)), name
    for one, two in ((again.motion, windows.motion), (again.identity, windows.identity)):
        assert all(torch.equal(v, getattr(two, k)) for k, v in vars(one).items())
    assert again.crop_cameras == (*[CROP.camera(CAMERA)] * 2, other.camera(CAMERA))


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    """Kills an empty corpus that trains on nothing; the sentence says how to make one."""
    with pytest.raises(InputError, match="redub prior prepare"):
        read_index(tmp_path)
    write_index(tmp_path, [{"file": "a.safetensors"}, {"file": "b.safetensors"}])
    assert list(corpus_files(tmp_path)) == [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    (tmp_path / "corpus.json").write_text("{")
    with pytest.raises(InputError, match="corpus"):
        read_index(tmp_path)


def test_sources_come_from_the_manifest_or_the_folder(tmp_path: Path) -> None:
    """Kills a test clip that is trained on, a person counted as two, and notes taken for clips."""
    (tmp_path / "clips").mkdir()
    for name in ("one.mp4", "two.MOV", "notes.txt"):
        (tmp_path / "clips" / name).write_text("")
    assert [(s.name, s.person) for s in list_sources(tmp_path, None)] == [
        ("one", "one"), ("two", "two"),
    ]  # fmt: skip
    assert [s.name for s in list_sources(tmp_path, None, ("one",))] == ["two"]
    (tmp_path / "manifest.csv").write_text(
        "file,person,rights,split\none.mp4,ann,cc0,train\ntwo.MOV,ann,cc0,test\n"
    )
    (only,) = list_sources(tmp_path, "train")
    assert (only.path, only.person, only.rights) == (tmp_path / "clips" / "one.mp4", "ann", "cc0")
    with pytest.raises(UsageError, match="holds no clip"):
        list_sources(tmp_path, "train", ("one",))
