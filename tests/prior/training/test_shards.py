"""Shards and streams: what is written is read, bounded, whole or not there, in a random order that
can be taken up again."""

import io
import tarfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from moving_head import speaking
from painted_head import painted_windows

from core.errors import InputError, UsageError
from prior.training.corpus import LOSSLESS, MARGIN, Sample, decode_sample, encode_sample
from prior.training.shards import Index, Shard, ShardWriter, is_whole, read_sample, sample_bytes
from prior.training.stream import Library, Stream


@pytest.fixture(scope="module")
def sample() -> Sample:
    motion = speaking(12)
    frames = torch.tensor([102, 105, 109])
    windows = painted_windows(motion[frames - 100], MARGIN, frames)
    other = windows.crop_cameras[0].cropped(3, 4, 0.5, 200, 100)
    cameras = (*windows.crop_cameras[:2], other)
    windows = type(windows)(**{**vars(windows), "crop_cameras": cameras})
    sound = np.array([0, 1, -32768, 32767], np.int16)
    return Sample(windows, sound, {"person": "p", "rights": "signed", "source": "a.mov"})


def test_a_sample_survives_its_files(sample: Sample) -> None:
    """Kills another window's camera, colours exchanged, a lossy codec and a field forgotten."""
    again = decode_sample(encode_sample(sample))
    assert again.about == sample.about
    assert again.sound is not None
    assert again.sound.tolist() == [0, 1, -32768, 32767]
    one, two = again.windows, sample.windows
    for name in ("images", "corner", "frame"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
    for a, b in ((one.motion, two.motion), (one.identity, two.identity)):
        told = {name: v for name, v in vars(a).items() if isinstance(v, torch.Tensor)}
        assert all(torch.equal(value, getattr(b, name)) for name, value in told.items())
    assert one.crop_cameras == two.crop_cameras
    silent = decode_sample(encode_sample(Sample(two, None, {})))
    assert silent.sound is None


def test_lossy_pictures_are_a_fifth_and_close(sample: Sample) -> None:
    """Kills a quality that is not heard: q95 is much smaller and within a few code values."""
    whole, lossy = (encode_sample(sample, q) for q in (LOSSLESS, 95))
    assert sample_bytes(lossy) < 0.7 * sample_bytes(whole)
    error = decode_sample(lossy).windows.images.float() - sample.windows.images.float()
    assert 0 < float(error.square().mean().sqrt()) < 4


def test_some_windows_of_a_sample_keep_their_cameras(sample: Sample) -> None:
    """Kills windows picked without what belongs to them."""
    some = sample[[0, 2]]
    assert some.windows.frame.tolist() == [102, 109]
    assert some.windows.crop_cameras[1] == sample.windows.crop_cameras[2]
    assert torch.equal(some.windows.motion.mouth[1], sample.windows.motion.mouth[2])


def written(folder: Path, keys: str, file: str = "shard-0.tar") -> Shard:
    writer = ShardWriter(folder, file)
    for key in keys:
        writer.add(key, key, 1, {"json": b"{}", "wav": 700 * key.encode()})
    return writer.close()


def test_any_sample_is_one_read(tmp_path: Path) -> None:
    """Kills offsets off by a block, a neighbour's files, and shards that tar cannot read."""
    shard = written(tmp_path, "abc")
    for entry in shard.samples:
        files = read_sample(tmp_path, shard, entry)
        assert files == {"json": b"{}", "wav": 700 * entry.key.encode()}
        assert entry.bytes == sample_bytes(files)
    with tarfile.open(tmp_path / shard.file) as tar:
        names = [member.name for member in tar]
    assert names == [f"{key}.{rest}" for key in "abc" for rest in ("json", "wav")]
    long = "k" * 150
    writer = ShardWriter(tmp_path, "long.tar")
    writer.add(long, "k", 1, {"json": b"1"})
    writer.add("z", "z", 1, {"json": b"2"})
    shard = writer.close()
    assert [read_sample(tmp_path, shard, e)["json"] for e in shard.samples] == [b"1", b"2"]


def test_a_shard_is_whole_or_not_there(tmp_path: Path) -> None:
    """Kills a shard that appears before it is finished, and damage that its size does not show."""
    writer = ShardWriter(tmp_path, "shard-0.tar")
    writer.add("a", "a", 1, {"json": b"{}"})
    assert not (tmp_path / "shard-0.tar").exists()
    shard = writer.close()
    path = tmp_path / "shard-0.tar"
    assert is_whole(tmp_path, shard)
    content = bytearray(path.read_bytes())
    content[600] ^= 1
    path.write_bytes(content)
    assert not is_whole(tmp_path, shard)
    path.write_bytes(content[:700])
    with pytest.raises(InputError, match="prior prepare"):
        read_sample(tmp_path, shard, shard.samples[0])


def test_the_same_samples_make_the_same_bytes(tmp_path: Path) -> None:
    """Kills clocks and user names in shards: a hash tells contents, not when they were made."""
    one, two = (written(tmp_path, "ab", file) for file in ("x.tar", "y.tar"))
    assert one.sha256 == two.sha256
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "x.tar").read_bytes())) as tar:
        assert {(m.mtime, m.uname, m.uid) for m in tar} == {(0, "", 0)}


def library_of(folder: Path, *shards: str) -> Path:
    index = Index(LOSSLESS)
    for number, keys in enumerate(shards):
        index.shards.append(written(folder, keys, f"shard-{number}.tar"))
        index.clips |= {k: {"source": k, "person": k, "rights": "", "stretches": 1} for k in keys}
    index.save(folder)
    return folder


def names_only(library: Library) -> Library:
    """A library whose samples are their names: nothing is decoded."""
    library.read = lambda key: key  # pyright: ignore[reportAttributeAccessIssue]
    return library


def test_every_process_sees_its_own_part_once_a_round(tmp_path: Path) -> None:
    """Kills samples seen twice, never, or by two processes, and an order that is not shuffled."""
    folder = library_of(tmp_path, "abcd", "efgh", "ijkl")
    parts = [set(Library(folder, part, 2).places) for part in (0, 1)]
    assert parts == [set("abcdijkl"), set("efgh")]
    first, second = ("".join(islice(Library(folder).order(seed), 24)) for seed in (1, 2))
    assert sorted(first[:12]) == sorted(first[12:]) == list("abcdefghijkl")
    assert first[:12] != first[12:] != second[12:]
    assert {frozenset(first[i : i + 4]) for i in (0, 4, 8)} == {
        frozenset(keys) for keys in ("abcd", "efgh", "ijkl")
    }
    with pytest.raises(UsageError, match="3 shards for 4 processes"):
        Library(folder, 0, 4)


def test_a_stream_holds_few_and_goes_on_where_it_stood(tmp_path: Path) -> None:
    """Kills a buffer that grows, a clip held twice, a newcomer in the wrong slot, and a place that
    forgets the sample on its way."""
    folder = library_of(tmp_path, "abcd", "efg")

    def stream(place=None) -> Stream:
        return Stream(names_only(Library(folder)), str.upper, 3, 7, place)

    whole, history = stream(), []
    for exchange in range(20):
        slot = whole.advance()
        assert slot == exchange % 3
        assert len(set(whole.keys)) == len(whole.held) == 3
        assert [key.upper() for key in whole.keys] == whole.held
        history.append(list(whole.held))
    assert len({name for held in history for name in held}) == 7
    parts, again = stream(), []
    for _ in range(20):
        parts.advance()
        again.append(list(parts.held))
        parts.close()
        parts = stream(parts.place)
        assert parts.held == again[-1]
    assert again == history
    whole.close()
    parts.close()


def test_a_corpus_that_fits_is_held_whole(tmp_path: Path) -> None:
    """Kills exchanges without need."""
    stream = Stream(names_only(Library(library_of(tmp_path, "abc"))), str, 40, 0)
    assert sorted(stream.held) == list("abc")
    assert stream.advance() is None
    stream.close()


def test_an_index_is_of_this_schema(tmp_path: Path) -> None:
    """Kills an empty corpus that trains on nothing; the sentences say how to make one."""
    with pytest.raises(InputError, match="redub prior prepare"):
        Index.load(tmp_path)
    (tmp_path / "corpus.json").write_text("{")
    with pytest.raises(InputError, match="redub prior prepare"):
        Index.load(tmp_path)
    (tmp_path / "corpus.json").write_text('{"kind": "corpus", "schema": 1, "clips": []}')
    with pytest.raises(InputError, match="schema 1"):
        Index.load(tmp_path)
    Index(LOSSLESS).save(tmp_path)
    with pytest.raises(InputError, match="holds no sample"):
        Library(tmp_path)
