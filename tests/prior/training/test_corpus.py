"""Corpora: windows as they were cut, sources as they were named, shards made once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from moving_head import speaking
from painted_head import painted_windows

import prior.training.prepare as preparing
from core.errors import UsageError
from face3d.morphable import MorphableModel, default_model
from face3d.topology import LIPS
from face3d.track import Track, camera_vertices
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH, crop_image
from media.clip import Clip
from prior.training.corpus import (
    MARGIN,
    Sample,
    decode_sample,
    encode_sample,
    gather_windows,
)
from prior.training.prepare import Source, clip_keys, is_done, list_sources, prepare, stretches_of
from prior.training.shards import Index
from prior.training.stream import Library

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


def test_full_windows_are_cut_from_finer_crops(
    performer_clip: Clip, performer_track: Track, tmp_path: Path
) -> None:
    """Kills light windows enlarged, cameras of the crop before it was made finer, a size lost on
    the way to disk, and a folder that mixes sizes."""
    windows = gather_windows(
        performer_clip, performer_track, MODEL, np.array([3]), 2 * MARGIN, scale=2
    )
    assert windows.margin == 2 * MARGIN
    size = (2 * (WINDOW_HEIGHT + 2 * MARGIN), 2 * (WINDOW_WIDTH + 2 * MARGIN))
    assert windows.images.shape[-2:] == size
    frame = next(f for f in performer_clip.frames(range(4)) if f.index == 3)
    crop = crop_image(frame.rgb, performer_track.crop(3).finer(2))
    left, top = windows.corner[0].tolist()
    expected = crop[top : top + size[0], left : left + size[1]].transpose(2, 0, 1)
    assert np.array_equal(windows.images[0, :, : expected.shape[1]].numpy(), expected)
    lips = camera_vertices(MODEL, windows.identity, windows.motion)[:, list(LIPS)]
    off = windows.camera(0).pixels_from_camera(lips)[0].mean(0) - torch.tensor(size[::-1]) / 2
    assert float(off.abs().max()) < 60
    assert decode_sample(encode_sample(Sample(windows, None, {}))).windows.scale == 2
    Index(95, size="full").save(tmp_path)
    assert Index.load(tmp_path).size == "full"
    with pytest.raises(UsageError, match="full size, not light"):
        next(prepare([], tmp_path, quality=95))


def test_a_shifted_camera_sees_the_shifted_window() -> None:
    """Kills a margin counted once, or a shift of the wrong sign."""
    windows = painted_windows(speaking(2), margin=MARGIN)
    points = camera_vertices(MODEL, windows.identity, windows.motion)[1]
    whole, part = windows.camera(1), windows.camera(1, dx=5, dy=-7, margin=MARGIN)
    moved = whole.pixels_from_camera(points) - torch.tensor([MARGIN + 5.0, MARGIN - 7.0])
    torch.testing.assert_close(part.pixels_from_camera(points), moved, atol=1e-3, rtol=0)
    assert (part.width, part.height) == (WINDOW_WIDTH, WINDOW_HEIGHT)


def test_sources_come_from_the_manifest_or_the_folder(tmp_path: Path) -> None:
    """Kills a test clip that is trained on, a person counted as two, and notes taken for clips."""
    (tmp_path / "clips").mkdir()
    for name in ("one.mp4", "two.MOV", "notes.txt"):
        (tmp_path / "clips" / name).write_text("")
    assert [(s.key, s.person) for s in list_sources(tmp_path, None)] == [
        ("clips_one", "clips_one"), ("clips_two", "clips_two"),
    ]  # fmt: skip
    assert [s.path.stem for s in list_sources(tmp_path, None, ("one",))] == ["two"]
    (tmp_path / "manifest.csv").write_text(
        "file,person,rights,split\none.mp4,ann,cc0,train\ntwo.MOV,ann,cc0,test\n"
    )
    (only,) = list_sources(tmp_path, "train")
    assert (only.path, only.person, only.rights) == (tmp_path / "clips" / "one.mp4", "ann", "cc0")
    with pytest.raises(UsageError, match="holds no clip"):
        list_sources(tmp_path, "train", ("one",))
    (tmp_path / "manifest.csv").write_text("clip,person\none.mp4,ann\n")
    with pytest.raises(UsageError, match="no column `file`"):
        list_sources(tmp_path, None)


def test_two_takes_of_one_name_stay_two() -> None:
    """Kills a second `take1` that is taken for the first, and keys that a tar reader would cut."""
    keys = clip_keys(["a/take1.mov", "a_take1.mov", "b/take.1.mov"])
    assert len(set(keys)) == 3
    assert all("." not in key and "/" not in key for key in keys)
    assert clip_keys(["a_take1.mov", "a/take1.mov"]) == [keys[1], keys[0]]


def test_stretches_tile_the_clip() -> None:
    """Kills a lost end, a stub of a few frames, and an empty clip's division by zero."""
    assert stretches_of(250, 25.0) == [range(250)]
    assert stretches_of(3500, 25.0) == [range(1500), range(1500, 3500)]
    assert stretches_of(3800, 25.0) == [range(1500), range(1500, 3000), range(3000, 3800)]
    assert stretches_of(10, 0.001) == [range(i, i + 1) for i in range(10)]


@pytest.fixture
def tracked(
    performer_clip: Clip, performer_track: Track, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The tracker's answer is known; the names of the clips it was asked for are kept."""
    asked: list[str] = []

    def known(clip: Clip, frames: range, model: MorphableModel) -> Track:
        asked.append(clip.path.stem)
        return performer_track

    monkeypatch.setattr(preparing, "track_clip", known)
    monkeypatch.setattr(preparing, "WINDOWS_A_STRETCH", 4)
    return asked


def test_what_stands_is_not_made_again_and_what_broke_is(
    performer_clip: Clip, tmp_path: Path, tracked: list[str]
) -> None:
    """Kills clips tracked twice, a damaged shard that is believed, shards without a bound, an
    unreadable clip tried for ever, and sound or rights that do not travel."""
    folder = tmp_path / "corpus"
    sources = [Source(performer_clip.path, f"p{i}", f"r{i}", f"take{i}") for i in range(3)]
    (tmp_path / "no.mov").write_text("no video")
    sources.append(Source(tmp_path / "no.mov", "nobody", "", "no"))

    def made() -> Index:
        jobs = [step.job for step in prepare(sources, folder, shard_bytes=900_000)]
        assert jobs[3].startswith("left out no:") or jobs[3] == "prepare no"
        return Index.load(folder)

    index = made()
    assert [[e.clip for e in shard.samples] for shard in index.shards] == [
        ["take0"], ["take1"], ["take2"],
    ]  # fmt: skip
    assert all(shard.bytes < 900_000 for shard in index.shards)
    assert index.rights()[1] == {
        "source": performer_clip.path.name, "person": "p1", "rights": "r1",
    }  # fmt: skip
    assert len(tracked) == 3
    assert not list((folder / "tracks").iterdir())
    sample = Library(folder).read("take1-000")
    assert len(sample.windows) == 4
    assert sample.about["rights"] == "r1"
    seconds = len(performer_clip) / float(performer_clip.fps)
    assert sample.sound is not None
    assert abs(len(sample.sound) - 16000 * seconds) < 2
    assert sample.sound.std() > 100

    made()
    assert len(tracked) == 3
    broken = folder / index.shards[1].file
    content = bytearray(broken.read_bytes())
    content[5000] ^= 255
    broken.write_bytes(content)
    (folder / "shard-00009.tar.part").write_text("interrupted")
    again = made()
    assert len(tracked) == 4
    assert {s.file: s.sha256 for s in again.shards} == {s.file: s.sha256 for s in index.shards}
    assert not list(folder.glob("*.part"))
    with pytest.raises(UsageError, match="of quality 101, not 95"):
        next(prepare(sources, folder, quality=95))


def test_an_interruption_costs_the_open_shard_only(
    performer_clip: Clip, tmp_path: Path, tracked: list[str]
) -> None:
    """Kills an index written at the end only, and a track that is made again for its shard."""
    sources = [Source(performer_clip.path, "p", "r", f"take{i}") for i in range(3)]
    run = prepare(sources, tmp_path, shard_bytes=900_000)
    next(run), next(run)
    run.close()  # pyright: ignore[reportAttributeAccessIssue]
    index = Index.load(tmp_path)
    assert [is_done(index, f"take{i}") for i in range(3)] == [True, False, False]
    list(prepare(sources, tmp_path, shard_bytes=900_000))
    index = Index.load(tmp_path)
    assert all(is_done(index, f"take{i}") for i in range(3))
    assert len(tracked) == 3


def test_a_clip_of_two_minutes_is_two_samples(
    performer_clip: Clip, tmp_path: Path, tracked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a stretch that shows another's frames, and one without a face tried for ever."""
    monkeypatch.setattr(preparing, "STRETCH_SECONDS", len(performer_clip) / performer_clip.fps / 2)
    monkeypatch.setattr(preparing, "FEWEST_WINDOWS", 1)
    source = Source(performer_clip.path, "p", "r", "take")
    list(prepare([source], tmp_path))
    library, half = Library(tmp_path), len(performer_clip) / 2
    first, second = (library.read(f"take-{i:03d}").windows.frame for i in (0, 1))
    assert int(first.max()) < half <= int(second.min())
    monkeypatch.setattr(preparing, "FEWEST_WINDOWS", 10_000)
    list(prepare([source], tmp_path / "none"))
    index = Index.load(tmp_path / "none")
    assert set(index.left_out) == {"take-000", "take-001"}
    assert is_done(index, "take")
