"""A shot on disk: its exact presentation stamps, and its frames one after another.

Opening reads every packet but decodes one picture, so stamps are exact (also at a variable rate)
and cheap. Frames stream: memory does not grow with the clip.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import ceil
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float64, Int64
from numpy import ndarray

from core.errors import InputError
from media.frame import Frame
from media.pixels import FULL, Colour, PixelFormat, pixel_format, planes_of
from media.stamps import Stamps, read_stamps


@dataclass(frozen=True, eq=False)
class Clip:
    """What a video file holds, displayed size and time. Made by `Clip.open`.

    `rotation` is how many degrees (0, 90, 180, 270) counter-clockwise the file asks players to turn
    its pictures; frames, width, height and `sample_aspect` have that done. `pixels` is the format
    that frames are kept in, `pix_fmt` the file's own.
    """

    path: Path
    width: int
    height: int
    rotation: int
    pix_fmt: str
    pixels: PixelFormat
    colour: Colour
    sample_aspect: Fraction
    has_audio: bool
    timecode: str | None
    stamps: Stamps

    @classmethod
    def open(cls, path: Path | str) -> "Clip":
        """Read what the file holds. Raises InputError for anything but a video that decodes."""
        path = Path(path)
        with opened(path) as container:
            stream = picture_stream(container, path)
            first = _first_picture(path)
            stamps = read_stamps(container, stream, path)
            turned = _quarter_turns(first) % 2 == 1
            aspect = stream.sample_aspect_ratio or Fraction(1)
            return cls(
                path=path,
                width=first.height if turned else first.width,
                height=first.width if turned else first.height,
                rotation=90 * _quarter_turns(first),
                pix_fmt=first.format.name,
                pixels=_displayed_format(first),
                colour=_colour_of(first),
                sample_aspect=1 / aspect if turned else aspect,
                has_audio=bool(container.streams.audio),
                timecode=_timecode(container, stream),
                stamps=stamps,
            )

    @property
    def fps(self) -> Fraction:
        """Frames a second, exact: the nominal rate, or the mean one where the rate varies."""
        return self.stamps.fps

    @property
    def time_base(self) -> Fraction:
        """Seconds a unit of `pts`."""
        return self.stamps.time_base

    @property
    def pts(self) -> Int64[ndarray, " T"]:
        """When each frame is shown."""
        return self.stamps.pts

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def seconds(self) -> float:
        """How long the pictures last."""
        return float((self.stamps.end - int(self.pts[0])) * self.time_base)

    def middles(self, frames: range) -> Float64[ndarray, " T"]:
        """Seconds from the range's first picture to the middle of each frame, as long as shown."""
        pts = np.array([*self.pts, self.stamps.end])[frames.start : frames.stop + 1]
        return (pts[:-1] + pts[1:] - 2 * pts[0]) / 2 * float(self.time_base)

    def unevenness(self, frames: range) -> float:
        """Seconds by which a frame is shown earlier or later than at `fps` from the range's first
        one: next to nothing where the rate is constant."""
        pts = self.pts[frames.start : frames.stop]
        shown = (pts - pts[0]) * float(self.time_base)
        return float(np.abs(shown - np.arange(len(pts)) / float(self.fps)).max())

    def duration_of(self, index: int) -> int:
        """How long frame `index` is shown, in units of the time base."""
        following = self.stamps.end if index + 1 == len(self) else int(self.pts[index + 1])
        return following - int(self.pts[index])

    def sample_edges(self, rate: int, start: Fraction = Fraction(0)) -> Int64[ndarray, " edges"]:
        """Frame i covers samples [edges[i], edges[i + 1]), exact also at a variable frame rate.

        Sample 0 is heard `start` seconds after the first picture.
        """
        stamps = [int(stamp - self.pts[0]) for stamp in (*self.pts, self.stamps.end)]
        return np.array([ceil((stamp * self.time_base - start) * rate) for stamp in stamps])

    def frames(self, frames: range | None = None) -> Generator[Frame]:
        """The frames of a step-1 range (all without one), decoded in order as they are asked for.

        Raises InputError at the first frame that does not decode: leaving it out would shift every
        later mouth against its sound, and repeating its neighbour would invent a picture.
        """
        wanted = range(len(self)) if frames is None else frames
        assert wanted.step == 1, wanted
        assert 0 <= wanted.start <= wanted.stop <= len(self), wanted
        expected = wanted.start
        with opened(self.path) as container:
            stream = picture_stream(container, self.path)
            stream.thread_type = "AUTO"
            pictures = self._pictures(container, stream, wanted.start)
            for index, picture in pictures:
                if expected == wanted.stop or index > expected:
                    break
                if index == expected:
                    yield self._frame(index, picture)
                    expected += 1
        if expected < wanted.stop:
            raise InputError(
                f"{self.path} is damaged: frame {expected} of {len(self)} does not decode; copy "
                "the file again, or leave that frame out with --range."
            )

    def _pictures(
        self, container: InputContainer, stream: VideoStream, start: int
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Decoded pictures with their indices, from frame `start` or somewhat before it."""
        if not self.stamps.stamped:
            yield from enumerate(_decoded(container, stream))
            return
        pictures = self._after_key(container, stream, start) if start else None
        if pictures is None:
            container.seek(int(self.stamps.keys[0, 1]), stream=stream, backward=True)
            pictures = _decoded(container, stream)
        for picture in pictures:
            index = int(np.searchsorted(self.pts, _stamp(picture)))
            if index < len(self) and self.pts[index] == _stamp(picture):
                yield index, picture

    def _after_key(
        self, container: InputContainer, stream: VideoStream, start: int
    ) -> Iterator[VideoFrame] | None:
        """Pictures from the last key frame that leads to frame `start`; None if seeking misses."""
        before = self.stamps.keys[self.stamps.keys[:, 0] <= self.pts[start]]
        container.seek(int(before[-1, 1]), stream=stream, backward=True)
        pictures = _decoded(container, stream)
        first = next(pictures, None)
        if first is None or _stamp(first) > self.pts[start]:
            return None
        return chain([first], pictures)

    def _frame(self, index: int, picture: VideoFrame) -> Frame:
        turns = _quarter_turns(picture)
        width, height = (picture.width, picture.height)[:: -1 if turns % 2 else 1]
        if (width, height) != (self.width, self.height):
            raise InputError(
                f"{self.path} changes its picture size to {width} × {height} at frame {index} "
                f"and starts with {self.width} × {self.height}; export it at one size."
            )
        planes = planes_of(picture, self.pixels, self.colour)
        turned = tuple(np.ascontiguousarray(np.rot90(plane, turns)) for plane in planes)
        return Frame(index, int(self.pts[index]), turned, self.pixels, self.colour)


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The file's container. Raises InputError where there is none to read."""
    if not path.exists():
        raise InputError(f"{path} does not exist; give the path of a media file.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the path of one media file.")
    try:
        empty = path.stat().st_size == 0
        # An absolute path is never taken for a protocol, whatever its name contains.
        container = None if empty else av.open(str(path.resolve()), metadata_errors="replace")
    except PermissionError as error:
        raise InputError(f"{path} may not be read; ask for permission to read it.") from error
    except (FFmpegError, OSError) as error:
        raise InputError(
            f"{path} is not a media file, or is damaged beyond opening ({_reason(error)}); "
            "export it again."
        ) from error
    if container is None:
        raise InputError(f"{path} is empty; copy or export it again.")
    with container:
        yield container


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first moving picture. Raises InputError for sound alone or a still image."""
    name = container.format.name
    if name == "tty":
        raise InputError(f"{path} is a text file; give the path of a video.")
    if name == "image2" or name.endswith("_pipe"):
        raise InputError(f"{path} is a still image; give the path of a video.")
    # A cover picture makes a song no video.
    cover = Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if streams:
        return streams[0]
    if container.streams.audio:
        raise InputError(f"{path} holds sound but no picture; give the path of a video.")
    raise InputError(f"{path} holds no picture; give the path of a video.")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _first_picture(path: Path) -> VideoFrame:
    with opened(path) as container:
        picture = next(_decoded(container, picture_stream(container, path)), None)
    if picture is None:
        raise InputError(f"{path} holds no frame of video that decodes; export it again.")
    return picture


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Every picture that decodes; packets that do not are passed over."""
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except FFmpegError:
                continue
    except FFmpegError:
        return


def _stamp(picture: VideoFrame) -> int:
    """When the picture is shown; decoders leave out a stamp that equals the packet's own."""
    stamp = picture.dts if picture.pts is None else picture.pts
    return -1 if stamp is None else stamp


def _quarter_turns(picture: VideoFrame) -> int:
    """Counter-clockwise quarter turns that the file asks for."""
    return round(picture.rotation / 90) % 4


def _displayed_format(picture: VideoFrame) -> PixelFormat:
    """The format of the turned picture: 4:4:4 where the chroma grid does not survive the turn."""
    kept = pixel_format(picture.format.name)
    turns = _quarter_turns(picture)
    ragged = picture.width % (1 << kept.shift_x) or picture.height % (1 << kept.shift_y)
    skewed = turns % 2 and kept.shift_x != kept.shift_y
    if turns and (ragged or skewed):
        return pixel_format(("yuva444p" if kept.alpha else "yuv444p") + kept.suffix)
    return kept


def _colour_of(picture: VideoFrame) -> Colour:
    full = FULL if picture.format.name.startswith("yuvj") else 0
    return Colour(
        matrix=picture.colorspace,
        range=picture.color_range or full,
        primaries=picture.color_primaries,
        transfer=picture.color_trc,
    )


def _timecode(container: InputContainer, stream: VideoStream) -> str | None:
    """The first frame's timecode, from the picture's tags, the file's or a timecode track's."""
    tags = [stream.metadata, container.metadata, *(s.metadata for s in container.streams)]
    labels = (value for tag in tags for name, value in tag.items() if name.lower() == "timecode")
    return next(labels, None)
