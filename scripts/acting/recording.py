"""Pictures and sound into files: H.264 with AAC, and FLAC."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from core.serial import atomic_path

_BT709 = 1


def write_clip(
    path: Path, pictures: Iterable[np.ndarray], fps: Fraction, samples: np.ndarray, rate: int
) -> None:
    """RGB uint8 pictures `[H W 3]` and mono samples in [−1, 1] as an mp4 tagged BT.709."""
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        sound = cast(AudioStream, container.add_stream("aac", rate=rate, layout="mono"))
        sound.bit_rate = 64_000
        film = cast(
            VideoStream,
            container.add_stream("libx264", rate=fps, options={"crf": "20", "preset": "slow"}),
        )
        film.pix_fmt = "yuv420p"
        context = film.codec_context
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = ColorRange.MPEG
        for index, picture in enumerate(pictures):
            if index == 0:
                film.height, film.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            )
            frame.pts, frame.time_base = index, 1 / fps
            container.mux(film.encode(frame))
        container.mux(film.encode())
        container.mux(sound.encode(sound_frame(samples.astype(np.float32), "fltp", rate)))
        container.mux(sound.encode())


def write_flac(path: Path, samples: np.ndarray, rate: int) -> None:
    """Mono samples in [−1, 1] as 16-bit FLAC."""
    integers = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="flac") as container:
        stream = cast(AudioStream, container.add_stream("flac", rate=rate, layout="mono"))
        stream.format = "s16"
        container.mux(stream.encode(sound_frame(integers, "s16", rate)))
        container.mux(stream.encode())


def sound_frame(samples: np.ndarray, sample_format: str, rate: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples[None], format=sample_format, layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    return frame
