import os
import signal
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from random_planes import NTSC, random_planes

from core.errors import ResourceError, UsageError
from media.audio import Audio, load_audio
from media.clip import Clip
from media.pixels import Colour
from media.writer import ClipWriter

ALL = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray"]
LOSSLESS = [*ALL, "gray10le", "yuv444p12le", "yuva444p10le", "gbrp10le", "gbrp12le"]


def copied(
    clip: Clip, path: Path, frames: range | None = None, speech: Audio | None = None
) -> Clip:
    with ClipWriter(path, clip, speech) as writer:
        for frame in clip.frames(frames):
            writer.write(frame)
    assert os.listdir(path.parent).count(path.name) == 1
    assert not [name for name in os.listdir(path.parent) if name.startswith(".")]
    return Clip.open(path)


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize("fmt", LOSSLESS)
@pytest.mark.parametrize(("width", "height"), [(33, 17), (64, 48)])
def test_mkv_returns_every_plane_bit_exactly(
    make_clip: Callable, tmp_path: Path, fmt: str, width: int, height: int
) -> None:
    """Kills any conversion before the encoder, and lost bits or borders."""
    planes = [random_planes(fmt, width, height, seed) for seed in range(3)]
    colour = Colour(1, 2, 9, 16) if fmt.startswith("yuv") else Colour()
    path = make_clip(planes, fmt, "a.mkv", "ffv1", time_base=Fraction(1, 1000), colour=colour)
    clip = Clip.open(path)
    result = copied(clip, tmp_path / "out.mkv")
    assert (result.pix_fmt, len(result), result.fps) == (fmt, 3, NTSC)
    assert result.colour == clip.colour
    np.testing.assert_array_equal(result.pts, clip.pts)
    for frame, expected in zip(result.frames(), planes, strict=True):
        for plane, truth in zip(frame.planes, expected, strict=True):
            np.testing.assert_array_equal(plane, truth)


def test_eight_bit_rgb_survives_its_detour(make_clip: Callable, tmp_path: Path) -> None:
    """Kills a swap of red and blue where planar RGB is stored interleaved."""
    planes = random_planes("gbrp", 33, 17)
    path = make_clip([planes], "gbrp", "a.avi", "utvideo")
    frame = next(copied(Clip.open(path), tmp_path / "out.mkv").frames())
    for plane, truth in zip(frame.planes, planes, strict=True):
        np.testing.assert_array_equal(plane, truth)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("fmt", ALL)
def test_h264_keeps_stamps_tags_depth_and_subsampling(
    make_clip: Callable, numbered: Callable, tmp_path: Path, suffix: str, fmt: str
) -> None:
    """Kills 8-bit 4:2:0 for all, stamps recomputed from a rate, and lost colour tags."""
    stamps = [0, 1001, 2002, 5000, 9009, 9010]
    flat = [random_planes(fmt, 48, 32, 7)] * 6
    colour = Colour(1, 1, 1, 1) if fmt.startswith("yuv") else Colour()
    path = make_clip(flat, fmt, "a.mov", stamps=stamps, colour=colour)
    clip = Clip.open(path)
    result = copied(clip, tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(result.pts * result.time_base, clip.pts * clip.time_base)
    assert (result.pix_fmt, result.colour, result.fps) == (clip.pix_fmt, clip.colour, clip.fps)
    assert result.seconds == clip.seconds
    assert result.sample_aspect == clip.sample_aspect


def test_h264_is_close(make_clip: Callable, numbered: Callable, tmp_path: Path) -> None:
    """Kills a wrong range or matrix on the way to the encoder, also for RGB and odd sizes."""
    for name, fmt, codec in [("a.mp4", "yuv420p", "libx264"), ("b.avi", "gbrp", "utvideo")]:
        width = 64 if fmt == "yuv420p" else 63
        ramp = np.linspace(20, 230, width).astype(np.uint8)[None].repeat(48, 0)
        chroma = np.full((24, 32), 128, np.uint8)
        planes = (ramp, chroma, chroma) if fmt == "yuv420p" else (ramp, 255 - ramp, ramp // 2)
        clip = Clip.open(make_clip([planes] * 3, fmt, name, codec))
        result = copied(clip, tmp_path / f"out-{fmt}.mp4")
        assert (result.width, result.height) == (width, 48)
        for before, after in zip(clip.frames(), result.frames(), strict=True):
            assert np.abs(before.rgb.astype(int) - after.rgb).mean() < 1.5


def test_rotation_is_done_not_repeated(make_clip: Callable, tmp_path: Path) -> None:
    """Kills turning pictures and keeping the flag: players would turn them twice."""
    planes = random_planes("yuv420p", 8, 6)
    path = make_clip([planes], name="a.mkv", codec="ffv1", rotation=90)
    clip = Clip.open(path)
    result = copied(clip, tmp_path / "out.mkv")
    assert (result.rotation, result.width, result.height) == (0, 6, 8)
    expected = np.rot90(planes[0])
    np.testing.assert_array_equal(next(result.frames()).planes[0], expected)


@pytest.mark.parametrize("rate", [44100, 22050, 16000, 48000])
@pytest.mark.parametrize("start", [Fraction(0), Fraction(1, 4)])
def test_speech_in_mkv_is_exact(
    make_clip: Callable, numbered: Callable, tmp_path: Path, rate: int, start: Fraction
) -> None:
    """Kills resampling, 16-bit rounding errors, a lost start and a lost tail."""
    codes = np.random.default_rng(0).integers(-32768, 32768, (2, rate + 77))
    speech = Audio((codes / 32768).astype(np.float32), rate, start)
    result = copied(Clip.open(make_clip(numbered(30))), tmp_path / "out.mkv", speech=speech)
    sound = load_audio(result.path)
    assert sound.rate == rate
    assert abs(sound.start - start) <= Fraction(1, 1000)
    np.testing.assert_array_equal(sound.samples, speech.samples)


def test_speech_that_begins_before_the_picture_is_cut(
    make_clip: Callable, numbered: Callable, tone: Callable, tmp_path: Path
) -> None:
    """Kills negative stamps, for which a container moves the whole picture later."""
    speech = Audio(tone(48000, 1.0), 48000, Fraction(-1, 4))
    result = copied(Clip.open(make_clip(numbered(30))), tmp_path / "out.mkv", speech=speech)
    sound = load_audio(result.path)
    assert (sound.start, result.pts[0]) == (0, 0)
    assert np.abs(sound.samples - speech.samples[:, 12000:]).max() < 1e-6


@pytest.mark.parametrize("rate", [44100, 22050])
def test_speech_in_mp4_keeps_rate_and_time(
    make_clip: Callable, numbered: Callable, tone: Callable, tmp_path: Path, rate: int
) -> None:
    """Kills the encoder's priming delay heard as a late mouth, and a start cut wrongly."""
    click = np.zeros((1, rate), np.float32)
    click[0, rate // 2 : rate // 2 + 200] = tone(rate, 200 / rate, 1000)[0]
    clip = Clip.open(make_clip(numbered(30)))
    for start in (Fraction(0), Fraction(1, 5), Fraction(-1, 5)):
        result = copied(clip, tmp_path / "out.mp4", speech=Audio(click, rate, start))
        sound = load_audio(result.path)
        assert sound.rate == rate
        whole = sound.section(0, 2).samples[0]
        heard = np.flatnonzero(np.abs(whole) > 0.2)[0] / rate
        assert heard == pytest.approx(0.5 + float(start), abs=0.003)
        assert len(result) == 30


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_original_sound_is_copied_packet_by_packet(
    make_clip: Callable, numbered: Callable, tone: Callable, tmp_path: Path, suffix: str
) -> None:
    """Kills encoding the sound again, and moving it against the picture."""
    click = np.zeros((1, 88200), np.float32)
    click[0, 44100:44300] = tone(44100, 200 / 44100, 1000)[0]
    path = make_clip(numbered(60), sound=(44100, click))
    result = copied(Clip.open(path), tmp_path / f"out{suffix}")
    assert packets(path) == packets(result.path)
    heard = load_audio(result.path).section(0, 2).samples[0]
    assert np.flatnonzero(np.abs(heard) > 0.2)[0] / 44100 == pytest.approx(1.0, abs=0.002)


def test_a_later_part_starts_where_the_plate_does(
    make_clip: Callable, numbered: Callable, tone: Callable, tmp_path: Path
) -> None:
    """Kills four empty seconds before a range, sound of another moment, and a stale timecode."""
    rate = 48000
    sound = tone(rate, 3.0) * (np.arange(3 * rate) >= 3 * rate // 2)
    path = make_clip(
        numbered(50), name="a.mov", fps=Fraction(25), time_base=Fraction(1, 12800),
        sound=(rate, sound.astype(np.float32)), metadata={"timecode": "01:00:00:00"},
    )  # fmt: skip
    clip = Clip.open(path)
    result = copied(clip, tmp_path / "out.mov", range(25, 50))
    assert (len(result), result.pts[0], result.timecode) == (25, 0, "01:00:01:00")
    heard = load_audio(result.path).section(0, 1).samples[0]
    assert np.flatnonzero(np.abs(heard) > 0.05)[0] / rate == pytest.approx(0.5, abs=0.03)
    middle = copied(clip, tmp_path / "middle.mkv", range(10, 20))
    assert load_audio(middle.path).seconds < 0.5


def test_no_sound_at_all(make_clip: Callable, numbered: Callable, tmp_path: Path) -> None:
    assert not copied(Clip.open(make_clip(numbered(3))), tmp_path / "out.mkv").has_audio


def test_usage(make_clip: Callable, numbered: Callable, tmp_path: Path) -> None:
    """Kills writing over the plate, and guessing a codec for an unknown suffix."""
    clip = Clip.open(make_clip(numbered(2)))
    with pytest.raises(UsageError, match=r"\.avi"):
        ClipWriter(tmp_path / "out.avi", clip)
    (tmp_path / "alias.mp4").hardlink_to(clip.path)
    for name in (clip.path, tmp_path / "alias.mp4"):
        with pytest.raises(UsageError, match="is also an input"):
            ClipWriter(name, clip)
    five = Audio(np.zeros((9, 100), np.float32), 48000)
    with pytest.raises(UsageError, match="9 channels"):
        copied(clip, tmp_path / "out.mkv", speech=five)


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_nothing_half_written_is_left(
    make_clip: Callable, numbered: Callable, tmp_path: Path, failure: type, suffix: str
) -> None:
    """Kills a temporary left behind, and an older good file overwritten by half a new one."""
    clip = Clip.open(make_clip(numbered(10)))
    target = tmp_path / "results" / f"out{suffix}"
    target.parent.mkdir()
    target.write_text("older")

    def broken_off() -> None:
        with ClipWriter(target, clip) as writer:
            for frame in clip.frames(range(5)):
                writer.write(frame)
            raise failure

    with pytest.raises(failure):
        broken_off()
    assert os.listdir(target.parent) == [target.name]
    assert target.read_text() == "older"


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_full_disk_is_our_own_error(make_clip: Callable, tmp_path: Path, suffix: str) -> None:
    """Kills a codec library's traceback, and a file that looks finished but is short."""
    noise = [random_planes("yuv420p", 128, 96, seed) for seed in range(30)]
    clip = Clip.open(make_clip(noise))
    target = tmp_path / "results" / f"out{suffix}"
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(ResourceError, match="cannot be written"):
            copied(clip, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(target.parent) == []


def test_an_unwritable_folder(make_clip: Callable, numbered: Callable, tmp_path: Path) -> None:
    """Kills a raw OSError; a file stands where the folder should be, which stops root too."""
    clip = Clip.open(make_clip(numbered(2)))
    (tmp_path / "taken").touch()
    with pytest.raises(ResourceError, match="taken"):
        copied(clip, tmp_path / "taken" / "out.mkv")


def test_the_patch_only(make_clip: Callable, tmp_path: Path) -> None:
    """The promise end to end: decode, composite, lossless file, decode: outside nothing moved."""
    planes = [random_planes("yuv420p10le", 65, 49, seed) for seed in range(3)]
    clip = Clip.open(make_clip(planes, "yuv420p10le", "a.mkv", "ffv1"))
    matte = np.zeros((20, 20), np.float32)
    matte[4:16, 4:16] = 0.7
    rgb = np.full((20, 20, 3), 90, np.uint8)
    with ClipWriter(tmp_path / "out.mkv", clip) as writer:
        for frame in clip.frames():
            writer.write(frame.composited(rgb, matte, 21, 13))
    for before, after in zip(clip.frames(), Clip.open(tmp_path / "out.mkv").frames(), strict=True):
        for (x, y), a, b in zip(before.pixels.shifts, before.planes, after.planes, strict=True):
            changed = np.argwhere(a != b)
            assert len(changed) > 20
            assert changed.min(0)[0] >= 17 >> y
            assert changed.min(0)[1] >= 25 >> x
            assert changed.max(0)[0] <= 28 >> y
            assert changed.max(0)[1] <= 36 >> x
