"""Write a clip like another: same stamps, rate, format and tags, with new speech or the old sound.

The suffix chooses the codecs. `.mkv` is the exact one: FFV1 keeps every sample of every plane, FLAC
every bit of the speech; Matroska rounds stamps to milliseconds. `.mp4` and `.mov` are for viewing
and delivery: H.264 at high quality in the nearest subsampling and depth that it has, AAC, and exact
stamps. Pictures come already turned, so the result carries no rotation.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.errors import UsageError
from core.serial import atomic_path, check_apart, unwritable
from media.audio import Audio, load_audio
from media.clip import Clip, opened
from media.frame import Frame
from media.pixels import BT709, LIMITED, Colour, PixelFormat, converted, picture_of, pixel_format
from media.timeline import timecode_after


@dataclass(frozen=True)
class _Delivery:
    """Codecs of one kind of file."""

    container: str
    video: str
    video_options: dict[str, str]
    sound: str
    sound_format: str


_LOSSLESS = _Delivery(
    "matroska", "ffv1", {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}, "flac", "s32"
)
_X264 = {"crf": "14", "preset": "medium"}
_DELIVERIES = {
    ".mkv": _LOSSLESS,
    ".mp4": _Delivery("mp4", "libx264", _X264, "aac", "fltp"),
    ".mov": _Delivery("mov", "libx264", _X264, "aac", "fltp"),
}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_SPEECH_BLOCK = 4096


def check_video(path: Path, plate: Path) -> None:
    """Ask before the work, so that a mistake costs nothing. Raises UsageError for a suffix that is
    not written and for the plate itself."""
    if path.suffix.lower() not in _DELIVERIES:
        raise UsageError(
            f"{path} ends in {path.suffix or 'no suffix'}, and redub writes "
            f"{', '.join(_DELIVERIES)}; use .mkv for a lossless file."
        )
    check_apart(path, plate)


class ClipWriter:
    """Writes frames of `like`, in rising order, as a new file.

    `speech` becomes the file's sound, sample 0 heard `speech.start` seconds after the first frame
    written; what would sound before that frame is left out. Without speech the sound streams of
    `like` are copied packet by packet, or encoded again where the container cannot hold them. A
    file that starts at a later frame of `like` has stamps, timecode and sound moved to start where
    `like` does. The file appears under its name only when the block ends well.

    Raises UsageError for a suffix it does not know or for `like` itself, ResourceError when the
    file cannot be written.
    """

    def __init__(self, path: Path | str, like: Clip, speech: Audio | None = None) -> None:
        self.path = Path(path)
        check_video(self.path, like.path)
        self.like = like
        self._delivery = _DELIVERIES[self.path.suffix.lower()]
        self._speech = speech
        self._stack = ExitStack()
        self._durations: dict[int, int] = {}
        self._first = self._last = -1

    def __enter__(self) -> Self:
        temporary = self._stack.enter_context(atomic_path(self.path))
        try:
            with _unwritable(self.path):
                self._container = self._stack.enter_context(_output(temporary, self._delivery))
        except BaseException as error:
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def write(self, frame: Frame) -> None:
        """Encode one frame; `frame.index` says which frame of `like` it stands for."""
        assert frame.index > self._last, (frame.index, self._last)
        if self._first < 0:
            self._begin(frame.index)
        self._last = frame.index
        picture = self._encodable(frame)
        picture.pts = frame.pts - self._shift
        picture.time_base = self.like.time_base
        self._durations[picture.pts] = self.like.duration_of(frame.index)
        with _unwritable(self.path):
            self._mux(self._picture.encode(picture))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            try:
                self._finish()
            except BaseException as failure:
                self._stack.__exit__(type(failure), failure, failure.__traceback__)
                raise
        with _unwritable(self.path):
            self._stack.__exit__(kind, error, trace)

    @property
    def _shift(self) -> int:
        """How much earlier the file shows a frame than `like` does, in units of its time base."""
        return int(self.like.pts[self._first] - self.like.pts[0])

    def _begin(self, index: int) -> None:
        """Add streams and labels, now that the file's first frame is known."""
        self._first = index
        if self.like.timecode:
            label = timecode_after(self.like.timecode, index, self.like.fps)
            self._container.metadata["timecode"] = label
        self._picture = self._picture_stream()
        self._sound = self._sound_packets()
        self._next_sound = next(self._sound, None)

    def _finish(self) -> None:
        assert self._first >= 0, "no frame was written"
        with _unwritable(self.path):
            self._mux(self._picture.encode())
            whole = self._last + 1 == len(self.like)
            end = int(self.like.pts[self._last]) + self.like.duration_of(self._last) - self._shift
            stop = None if whole or self._speech else end * self.like.time_base
            self._mux_sound(stop)
            self._container.close()

    def _picture_stream(self) -> VideoStream:
        like, delivery = self.like, self._delivery
        stream = self._container.add_stream(
            delivery.video, rate=like.fps, options=delivery.video_options
        )
        assert isinstance(stream, VideoStream)
        context: VideoCodecContext = stream.codec_context
        self._pixels = _encoder_format(like.pixels, delivery.video)
        context.width, context.height, context.pix_fmt = like.width, like.height, self._pixels
        if delivery.video == "libx264" and (like.width % 2 or like.height % 2):
            context.pix_fmt = self._pixels = _without_subsampling(self._pixels)
        context.time_base = like.time_base
        context.sample_aspect_ratio = like.sample_aspect
        self._colour = _encoded_colour(like, self._pixels)
        context.colorspace, context.color_range = self._colour.matrix, self._colour.range
        context.color_primaries, context.color_trc = self._colour.primaries, self._colour.transfer
        stream.time_base = like.time_base
        return stream

    def _encodable(self, frame: Frame) -> VideoFrame:
        if frame.pixels.name == self._pixels:
            return picture_of(frame.planes, frame.pixels, frame.colour)
        source = frame.colour.resolved(frame.pixels, frame.width, frame.height)
        target = self._colour.resolved(pixel_format(self._pixels), frame.width, frame.height)
        picture = picture_of(frame.planes, frame.pixels, source)
        return _tagged(converted(picture, self._pixels, source, target), self._colour)

    def _mux(self, packets: list[Packet]) -> None:
        """Mux pictures, each after the sound that precedes it, so that players never wait."""
        for packet in packets:
            assert packet.pts is not None
            if packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            self._mux_sound(packet.pts * packet.time_base)
            self._container.mux(packet)

    def _mux_sound(self, stop: Fraction | None) -> None:
        """Mux the sound that sets in before `stop` seconds on the file's clock; None means all."""
        while self._next_sound is not None:
            assert self._next_sound.pts is not None
            if stop is not None and self._next_sound.pts * self._next_sound.time_base >= stop:
                return
            self._container.mux(self._next_sound)
            self._next_sound = next(self._sound, None)

    def _sound_packets(self) -> Iterator[Packet]:
        """Packets of the speech, or of the sound of `like`, on the file's clock."""
        if self._speech is not None:
            return self._encoded(self._speech)
        if not self.like.has_audio:
            return iter(())
        source = self._stack.enter_context(opened(self.like.path))
        given = list(source.streams.audio)
        try:
            copies = {s.index: self._container.add_stream_from_template(s) for s in given}
        except ValueError:
            moved = self._shift * self.like.time_base
            speech = load_audio(self.like.path)
            return self._encoded(replace(speech, start=speech.start - moved))
        return self._copied(source.demux(given), copies)

    def _copied(
        self, packets: Iterator[Packet], copies: dict[int, AudioStream]
    ) -> Iterator[Packet]:
        moved = self._shift * self.like.time_base
        for packet in packets:
            if packet.size == 0 or packet.pts is None:
                continue
            heard_until = (packet.pts + (packet.duration or 0)) * packet.time_base
            if moved and heard_until <= self.like.pts[self._first] * self.like.time_base:
                continue
            ticks = round(moved / packet.time_base)
            packet.stream = copies[packet.stream.index]
            packet.pts -= ticks
            packet.dts = None if packet.dts is None else packet.dts - ticks
            yield packet

    def _encoded(self, speech: Audio) -> Iterator[Packet]:
        """The sound encoded block by block at its own rate, or the next one its codec has."""
        rates = Codec(self._delivery.sound, "w").audio_rates or [speech.rate]
        speech = speech.resampled(min((r for r in rates if r >= speech.rate), default=max(rates)))
        if speech.start < 0:
            speech = speech.section(Fraction(0), speech.start + Fraction(speech.seconds))
        count = speech.samples.shape[0]
        if count not in _LAYOUTS:
            raise UsageError(
                f"the speech has {count} channels, and a file holds 1 to 6 or 8; mix it to mono."
            )
        stream = self._container.add_stream(self._delivery.sound, rate=speech.rate)
        assert isinstance(stream, AudioStream)
        layout = _LAYOUTS[count]
        stream.codec_context.layout = layout
        stream.codec_context.format = self._delivery.sound_format
        first = round((int(self.like.pts[0]) * self.like.time_base + speech.start) * speech.rate)
        return _encoded_blocks(speech, stream, self._delivery.sound_format, layout, first)


def _encoded_blocks(
    speech: Audio, stream: AudioStream, sample_format: str, layout: str, first: int
) -> Iterator[Packet]:
    """Packets whose stamps count samples, the first at `first`."""
    for begin in range(0, speech.samples.shape[1], _SPEECH_BLOCK):
        block = np.ascontiguousarray(speech.samples[:, begin : begin + _SPEECH_BLOCK])
        if sample_format == "s32":
            # 24 bits in the upper bytes, which is what FLAC keeps; 16-bit speech stays exact.
            steps = np.clip(np.rint(block * 2.0**23), -(2**23), 2**23 - 1).astype(np.int32) << 8
            block = np.ascontiguousarray(steps.T.reshape(1, -1))
        sound = AudioFrame.from_ndarray(block, format=sample_format, layout=layout)
        sound.rate, sound.pts, sound.time_base = (
            speech.rate,
            first + begin,
            Fraction(1, speech.rate),
        )
        yield from stream.encode(sound)
    yield from stream.encode()


@contextmanager
def _unwritable(path: Path) -> Iterator[None]:
    """A codec library's failure to write, as our own error."""
    try:
        yield
    except FFmpegError as error:
        raise unwritable(path, OSError(error.errno or 0, error.strerror or str(error))) from error


@contextmanager
def _output(path: Path, delivery: _Delivery) -> Iterator[OutputContainer]:
    """The container; after a failure its trailer need not succeed, the file is thrown away."""
    container = av.open(str(path.resolve()), "w", format=delivery.container)
    try:
        yield container
    except BaseException:
        with suppress(FFmpegError, OSError):
            container.close()
        raise
    container.close()


def _encoder_format(pixels: PixelFormat, codec: str) -> str:
    """The encoder's format that loses least of `pixels`."""
    names = {entry.name for entry in Codec(codec, "w").video_formats or []}
    if codec == "ffv1":
        return {"gbrp": "bgr0", "gbrap": "bgra"}.get(pixels.name, pixels.name)
    depth = "" if pixels.bits == 8 else "10le"
    grids = {(1, 1): "yuv420p", (1, 0): "yuv422p"}
    grid = grids.get((pixels.shift_x, pixels.shift_y), "yuv444p")
    name = ("gray" if pixels.kind == "gray" else grid) + depth
    assert name in names, name
    return name


def _without_subsampling(name: str) -> str:
    """H.264 codes odd sides only where chroma is as fine as luma."""
    return name.replace("yuv420p", "yuv444p").replace("yuv422p", "yuv444p")


def _encoded_colour(like: Clip, name: str) -> Colour:
    """The plate's own tags; where RGB must become Y Cb Cr, those of that conversion."""
    if like.pixels.kind == "rgb" and pixel_format(name).kind != "rgb":
        return replace(like.colour, matrix=BT709, range=LIMITED)
    return like.colour


def _tagged(picture: VideoFrame, colour: Colour) -> VideoFrame:
    picture.colorspace, picture.color_range = colour.matrix, colour.range
    picture.color_primaries, picture.color_trc = colour.primaries, colour.transfer
    return picture
