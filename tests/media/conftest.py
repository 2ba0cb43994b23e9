"""Clips made by hand: random planes, so that any wrong copy shows, or pictures with a number."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from random_planes import NTSC

from media.pixels import Colour, picture_of, pixel_format

UNTAGGED = Colour()


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Write frames with a codec directly, without anything of `media` but the plane copy."""

    def make(
        frames: Sequence[tuple[np.ndarray, ...]],
        fmt: str = "yuv420p",
        name: str = "plate.mp4",
        codec: str = "libx264",
        options: dict[str, str] | None = None,
        stamps: Sequence[int] | None = None,
        time_base: Fraction = Fraction(1, 30000),
        fps: Fraction = NTSC,
        colour: Colour = UNTAGGED,
        rotation: int | None = None,
        sound: tuple[int, np.ndarray] | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            container.metadata.update(metadata or {})
            stream = container.add_stream(codec, rate=fps, options=options or {})
            stream.height, stream.width = frames[0][0].shape
            stream.pix_fmt = fmt
            stream.time_base = stream.codec_context.time_base = time_base
            stream.codec_context.colorspace = colour.matrix
            stream.codec_context.color_range = colour.range
            stream.codec_context.color_primaries = colour.primaries
            stream.codec_context.color_trc = colour.transfer
            if rotation is not None:
                stream.set_display_rotation(rotation)
            track = None
            if sound is not None:
                track = container.add_stream("aac", rate=sound[0], layout="mono", format="fltp")
            step = round(1 / (fps * time_base))
            for index, planes in enumerate(frames):
                picture = picture_of(planes, pixel_format(fmt), colour)
                picture.pts = index * step if stamps is None else stamps[index]
                picture.time_base = time_base
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
            if sound is not None and track is not None:
                block = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(sound[1]), format="fltp", layout="mono"
                )
                block.rate, block.pts, block.time_base = sound[0], 0, Fraction(1, sound[0])
                container.mux(track.encode(block))
                container.mux(track.encode())
        return path

    return make


@pytest.fixture
def numbered() -> Callable[..., list[tuple[np.ndarray, ...]]]:
    """Pictures that show their own index as brightness, and texture for the encoder."""

    def make(count: int, width: int = 64, height: int = 48) -> list[tuple[np.ndarray, ...]]:
        rows, columns = np.mgrid[:height, :width]
        half = np.full((-(-height // 2), -(-width // 2)), 128, np.uint8)
        return [
            ((16 + 4 * index + (rows + columns + index) % 3).astype(np.uint8), half, half)
            for index in range(count)
        ]

    return make


@pytest.fixture
def tone() -> Callable[..., np.ndarray]:
    def make(rate: int, seconds: float, hertz: float = 440.0) -> np.ndarray:
        moments = np.arange(round(rate * seconds)) / rate
        return (0.5 * np.sin(2 * np.pi * hertz * moments))[None].astype(np.float32)

    return make
