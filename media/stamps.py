"""When each picture of a file is shown, read from its packets without decoding."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from jaxtyping import Int64
from numpy import ndarray

from core.errors import InputError


@dataclass(frozen=True, eq=False)
class Stamps:
    """Presentation stamps in shown order, in units of `time_base` seconds.

    The last picture ends at `end`. `keys` are key frames as (pts, dts). Containers that store no
    stamps (AVI, raw streams) are not `stamped`: theirs count pictures at the nominal rate.
    """

    fps: Fraction
    time_base: Fraction
    pts: Int64[ndarray, " T"]
    end: int
    keys: Int64[ndarray, "K 2"]
    stamped: bool


def read_stamps(container: InputContainer, stream: VideoStream, path: Path) -> Stamps:
    """Read every packet of `stream`. Raises InputError for a file without one or cut short."""
    packets: list[tuple[int | None, int]] = []
    keys: list[tuple[int, int]] = []
    cut_short = False
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.is_keyframe and packet.pts is not None:
                keys.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
            # Edit lists mark a lead-in that is decoded, for others to lean on, but never shown.
            if not packet.is_discard:
                packets.append((packet.pts, packet.duration or 0))
            cut_short = packet.is_corrupt
    except FFmpegError:
        cut_short = True
    if cut_short:
        raise InputError(
            f"{path} is cut short after {len(packets)} frames of video; copy or export it again."
        )
    if not packets:
        raise InputError(f"{path} holds no frame of video; export it again.")
    nominal = stream.guessed_rate or stream.average_rate or Fraction(25)
    if not keys or any(pts is None for pts, _ in packets):
        counted = np.arange(len(packets), dtype=np.int64)
        return Stamps(nominal, 1 / nominal, counted, len(packets), np.zeros((0, 2), int), False)
    assert stream.time_base is not None
    return _sorted_stamps(packets, keys, nominal, stream.time_base)


def _sorted_stamps(
    packets: list[tuple[int | None, int]],
    keys: list[tuple[int, int]],
    nominal: Fraction,
    time_base: Fraction,
) -> Stamps:
    # Pictures shown before the first key frame lean on a shot this file does not hold.
    shown = {pts: duration for pts, duration in packets if pts is not None and pts >= keys[0][0]}
    pts = np.array(sorted(shown), dtype=np.int64)
    last = int(pts[-1])
    duration = shown[last] or round(1 / (nominal * time_base))
    fps = _rate(pts, duration, nominal, time_base)
    return Stamps(fps, time_base, pts, last + duration, np.array(sorted(keys), np.int64), True)


def _rate(pts: ndarray, duration: int, nominal: Fraction, time_base: Fraction) -> Fraction:
    """The nominal rate where no stamp strays half a frame from it, else the mean rate."""
    step = float(1 / (nominal * time_base))
    strays = np.abs(pts - pts[0] - step * np.arange(len(pts))).max()
    if strays < step / 2:
        return nominal
    return Fraction(len(pts), int(pts[-1] - pts[0]) + duration) / time_base
