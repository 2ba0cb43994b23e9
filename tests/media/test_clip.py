from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from random_planes import NTSC, random_planes

from core.errors import InputError
from media.clip import Clip
from media.pixels import Colour

INTER = {"g": "12", "bf": "3", "qp": "0", "preset": "ultrafast"}


def number_of(frame) -> int:
    return round((float(frame.planes[0].mean()) - 17) / 4)


def test_stamps_rate_and_tags(make_clip: Callable, numbered: Callable) -> None:
    """Kills float rates, stamps in decoding order, and dropped tags."""
    path = make_clip(
        numbered(30), options=INTER, colour=Colour(1, 1, 1, 1), metadata={"timecode": "01:00:00:00"}
    )
    clip = Clip.open(path)
    assert (clip.fps, clip.time_base, len(clip)) == (NTSC, Fraction(1, 30000), 30)
    np.testing.assert_array_equal(clip.pts, 1001 * np.arange(30))
    assert (clip.width, clip.height, clip.rotation, clip.has_audio) == (64, 48, 0, False)
    assert clip.colour == Colour(1, 1, 1, 1)
    assert clip.pix_fmt == "yuv420p"
    assert clip.seconds == pytest.approx(30 * 1001 / 30000, abs=1e-12)


@pytest.mark.parametrize("name", ["plate.mp4", "plate.mkv", "plate.mov", "plate.ts", "plate.avi"])
def test_seeking_is_exact_to_the_frame(make_clip: Callable, numbered: Callable, name: str) -> None:
    """Kills a seek that lands on a key frame and counts from it, or loses B frames after it."""
    clip = Clip.open(make_clip(numbered(40), name=name, options=INTER))
    assert len(clip) == 40
    for start in (0, 1, 11, 12, 13, 23, 24, 37, 39):
        stop = min(start + 3, 40)
        frames = list(clip.frames(range(start, stop)))
        assert [frame.index for frame in frames] == list(range(start, stop))
        assert [number_of(frame) for frame in frames] == list(range(start, stop)), start
        assert [frame.pts for frame in frames] == list(clip.pts[start:stop])
    assert list(clip.frames(range(7, 7))) == []


def test_variable_rate_keeps_every_stamp(make_clip: Callable, numbered: Callable) -> None:
    """Kills stamps recomputed from a rate, and sample edges that ignore them."""
    stamps = [0, 1001, 4003, 4500, 9007, 30001]
    clip = Clip.open(make_clip(numbered(6), stamps=stamps, options=INTER))
    np.testing.assert_array_equal(clip.pts, stamps)
    assert [frame.pts for frame in clip.frames()] == stamps
    edges = clip.sample_edges(44100)
    np.testing.assert_array_equal(edges[:6], np.ceil(np.array(stamps) * 1.47 - 1e-9))
    assert len(edges) == 7
    assert clip.fps < 10
    shown = (np.array(stamps) - 1001) / 30000 - np.arange(-1, 5) / float(clip.fps)
    assert clip.unevenness(range(1, 4)) == pytest.approx(np.abs(shown[1:4]).max())
    middle = (1001 + 4003) / 2 - 1001, (4003 + 4500) / 2 - 1001
    np.testing.assert_allclose(clip.middles(range(1, 3)) * 30000, middle)
    last = clip.middles(range(4, 6))[1] * 30000 + 9007
    assert last == pytest.approx((30001 + clip.stamps.end) / 2)
    assert Clip.open(make_clip(numbered(6), name="even.mp4")).unevenness(range(1, 6)) < 1e-4


def test_stamps_that_do_not_start_at_zero(make_clip: Callable, numbered: Callable) -> None:
    """Kills a seek to zero and edges measured from the file's clock."""
    stamps = [5000 + 1001 * index for index in range(20)]
    clip = Clip.open(make_clip(numbered(20), stamps=stamps, name="plate.ts", options=INTER))
    assert [number_of(frame) for frame in clip.frames()] == list(range(20))
    assert clip.sample_edges(48000)[0] == 0


def test_a_lead_in_that_is_never_shown(make_clip: Callable, numbered: Callable) -> None:
    """Kills promising the frames an edit list hides, and losing those that lean on them."""
    stamps = [1001 * (index - 3) for index in range(20)]
    path = make_clip(numbered(20), stamps=stamps, options={**INTER, "bf": "0"})
    clip = Clip.open(path)
    assert clip.pts[0] == 0
    assert [number_of(frame) for frame in clip.frames()] == list(range(3, 20))
    assert number_of(next(clip.frames(range(10, 11)))) == 13


@pytest.mark.parametrize("degrees", [90, 180, -90])
@pytest.mark.parametrize(("fmt", "size"), [("yuv444p", (6, 4)), ("yuv420p", (8, 6))])
def test_rotation_is_applied(make_clip: Callable, degrees: int, fmt: str, size: tuple) -> None:
    """Kills the wrong sense of turning (checked on a corner), and a size that is not turned."""
    planes = random_planes(fmt, *size)
    path = make_clip(
        [planes], fmt, "plate.mkv", codec="ffv1", rotation=degrees, time_base=Fraction(1, 1000)
    )
    clip = Clip.open(path)
    frame = next(clip.frames())
    assert clip.rotation == degrees % 360
    width, height = size if degrees == 180 else size[::-1]
    assert (clip.width, clip.height, frame.width, frame.height) == (width, height, width, height)
    corner = {90: planes[0][0, -1], 180: planes[0][-1, -1], -90: planes[0][-1, 0]}[degrees]
    assert frame.planes[0][0, 0] == corner
    for plane, turned in zip(planes, frame.planes, strict=True):
        np.testing.assert_array_equal(np.sort(plane, axis=None), np.sort(turned, axis=None))
    assert frame.rgb.shape == (height, width, 3)


def test_rotation_that_breaks_the_chroma_grid(make_clip: Callable) -> None:
    """Kills turned 4:2:2 planes kept as 4:2:2, whose shapes no longer fit the picture."""
    planes = random_planes("yuv422p", 8, 6)
    clip = Clip.open(
        make_clip([planes], "yuv422p", "a.mkv", "ffv1", rotation=90, time_base=Fraction(1, 1000))
    )
    frame = next(clip.frames())
    assert clip.pixels.name == "yuv444p"
    np.testing.assert_array_equal(frame.planes[0], np.rot90(planes[0]))


FORMATS = ["yuv420p", "yuv422p10le", "yuv444p12le", "yuva444p10le", "gray", "gray10le", "gbrp10le"]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(33, 17), (64, 48)])
def test_native_planes_are_read_bit_exactly(
    make_clip: Callable, fmt: str, width: int, height: int
) -> None:
    """Kills row padding read as pixels and any conversion on the way."""
    planes = [random_planes(fmt, width, height, seed) for seed in range(2)]
    path = make_clip(planes, fmt, "plate.mkv", "ffv1", time_base=Fraction(1, 1000))
    for frame, expected in zip(Clip.open(path).frames(), planes, strict=True):
        for plane, truth in zip(frame.planes, expected, strict=True):
            np.testing.assert_array_equal(plane, truth)


def song(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=16000, layout="mono", format="s16")
        block = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), np.int16), format="s16", layout="mono"
        )
        block.rate = 16000
        container.mux(stream.encode(block))
        container.mux(stream.encode())
    return path


def still(path: Path) -> Path:
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png")
        stream.width = stream.height = 16
        stream.pix_fmt = "rgb24"
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("none.mp4", lambda path: path, "does not exist"),
        ("folder.mp4", lambda path: path.mkdir(), "is a folder"),
        ("empty.mp4", lambda path: path.touch(), "is empty"),
        ("words.mp4", lambda path: path.write_text("not a film\n" * 100), "not a media file"),
        ("words.txt", lambda path: path.write_text("not a film\n" * 100), "text file"),
        ("song.flac", song, "sound but no picture"),
        ("still.png", still, "still image"),
    ],
)
def test_each_wrong_input_has_its_sentence(
    tmp_path: Path, name: str, make: Callable, says: str
) -> None:
    """Kills a traceback of the codec library, and one sentence for all."""
    make(tmp_path / name)
    with pytest.raises(InputError, match=says) as caught:
        Clip.open(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_truncated_files(make_clip: Callable, tmp_path: Path, share: float) -> None:
    """Kills a clip that silently ends early: with its index first and with its index last."""
    noise = [random_planes("yuv420p", 64, 48, seed) for seed in range(12)]
    for flags in ({}, {"movflags": "faststart"}):
        whole = make_clip(noise, name="whole.mp4", options={"preset": "ultrafast", "g": "4"})
        if flags:
            moved = tmp_path / "fast.mp4"
            with (
                av.open(str(whole)) as source,
                av.open(str(moved), "w", options=flags) as target,
            ):
                stream = target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        target.mux(packet)
            whole = moved
        data = whole.read_bytes()
        cut = tmp_path / "cut.mp4"
        cut.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(InputError, match=r"cut short|not a media file"):
            list(Clip.open(cut).frames())


def test_a_frame_that_does_not_decode_is_named(make_clip: Callable, tmp_path: Path) -> None:
    """Kills skipping it: every later mouth would be a frame early. Ranges around it still work."""
    frames = [random_planes("gray", 32, 32, seed) for seed in range(9)]
    path = make_clip(frames, "gray", "plate.mov", "png", time_base=Fraction(1, 30000))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        place = [packet.pos for packet in container.demux(video=0) if packet.size][5]
    assert place is not None
    data[place : place + 64] = bytes(64)
    path.write_bytes(data)
    clip = Clip.open(path)
    assert len(clip) == 9
    assert len(list(clip.frames(range(5)))) == 5
    assert len(list(clip.frames(range(6, 9)))) == 3
    seen = []
    with pytest.raises(InputError, match="frame 5 of 9"):
        seen.extend(frame.index for frame in clip.frames())


def test_names_that_look_like_protocols(make_clip: Callable, numbered: Callable) -> None:
    """Kills handing the bare name to the codec library, which reads `pipe:` as a protocol."""
    path = make_clip(numbered(2), name="a.mp4")
    odd = path.rename(path.with_name("pipe:0 – it's %03d.mp4"))
    assert len(Clip.open(odd)) == 2


def test_frames_stream_in_constant_memory(make_clip: Callable, numbered: Callable) -> None:
    """Kills collecting frames: reading one frame of many must not hold or decode the others."""
    import resource

    few = Clip.open(make_clip(numbered(20, 640, 360), name="few.mp4", options=INTER))
    many = Clip.open(make_clip(numbered(20, 640, 360) * 20, name="many.mp4", options=INTER))
    assert sum(1 for _ in few.frames()) == 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in many.frames()) == 400
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # 400 such frames are 138 MB.
    assert grown_kib < 40_000, grown_kib


@pytest.mark.footage
def test_real_clips_hold_what_they_promise() -> None:
    """Kills promising lead-in packets that players never show, and losing the frames after them."""
    folder = Path(__file__).parents[3] / "shared" / "footage" / "clips"
    paths = sorted(folder.glob("*.mp4"), key=lambda path: path.stat().st_size)[:12]
    if not paths:
        pytest.skip("no footage here")
    for path in paths:
        clip = Clip.open(path)
        assert sum(1 for _ in clip.frames()) == len(clip), path.name
