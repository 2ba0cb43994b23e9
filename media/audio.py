"""Sound: samples, their rate and when they start against the picture."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from jaxtyping import Float32
from numpy import ndarray

from core.errors import InputError
from media.clip import opened


@dataclass(frozen=True, eq=False)
class Audio:
    """Samples in [−1, 1] at `rate` Hz; sample 0 is heard `start` seconds after picture 0."""

    samples: Float32[ndarray, "C N"]
    rate: int
    start: Fraction = Fraction(0)

    @property
    def seconds(self) -> float:
        return self.samples.shape[1] / self.rate

    def mono(self) -> "Audio":
        """The mean of all channels."""
        return replace(self, samples=self.samples.mean(0, keepdims=True, dtype=np.float32))

    def resampled(self, rate: int) -> "Audio":
        """The same sound at another rate, band-limited; sample 0 stays where it is."""
        if rate == self.rate:
            return self
        samples = soxr.resample(self.samples.T, self.rate, rate, "HQ").T
        return replace(self, samples=np.ascontiguousarray(samples), rate=rate)

    def mono16k(self) -> "Audio":
        """One channel at 16 kHz, as speech encoders take it."""
        return self.mono().resampled(16000)

    def section(self, start_seconds: Fraction | float, stop_seconds: Fraction | float) -> "Audio":
        """The sound from `start_seconds` to `stop_seconds` after picture 0, silent where it has
        none. The result starts at the section's first sample."""
        first, stop = (
            round((Fraction(moment) - self.start) * self.rate)
            for moment in (start_seconds, stop_seconds)
        )
        count = self.samples.shape[1]
        samples = np.zeros((self.samples.shape[0], max(0, stop - first)), np.float32)
        begin, end = min(max(first, 0), count), max(min(stop, count), 0)
        if begin < end:
            samples[:, begin - first : end - first] = self.samples[:, begin:end]
        return Audio(samples, self.rate, self.start + Fraction(first, self.rate))


def silence(seconds: float, rate: int) -> Audio:
    """One silent channel."""
    return Audio(np.zeros((1, round(seconds * rate)), np.float32), rate)


def load_audio(path: Path | str, rate: int | None = None, mono: bool = False) -> Audio:
    """The first sound stream of a sound or video file, at its own rate unless another is asked.

    In a video `start` tells how long after the first picture the sound sets in. Raises InputError
    for a file without sound, or one that cannot be read.
    """
    path = Path(path)
    with opened(path) as container:
        if not container.streams.audio:
            raise InputError(f"{path} holds no sound; give a sound file or a video with sound.")
        stream = container.streams.audio[0]
        origin = _picture_start(container)
        blocks, begin = _decoded_blocks(container, stream)
    if not blocks or not stream.rate:
        raise InputError(f"{path} holds sound that does not decode; export it again, as WAV.")
    start = Fraction(0) if origin is None or begin is None else begin - origin
    audio = Audio(np.concatenate(blocks, axis=1), stream.rate, start)
    audio = audio.mono() if mono else audio
    return audio.resampled(rate) if rate else audio


def _decoded_blocks(
    container: InputContainer, stream: AudioStream
) -> tuple[list[ndarray], Fraction | None]:
    """Blocks of float32 `[C n]`, and when the first is heard on the file's clock."""
    resampler = AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
    blocks: list[ndarray] = []
    begin: Fraction | None = None

    def keep(frame: AudioFrame | None) -> None:
        blocks.extend(block.to_ndarray() for block in resampler.resample(frame))

    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except FFmpegError:
                # A damaged packet costs its own few milliseconds, not the take.
                continue
            for frame in frames:
                if begin is None and frame.pts is not None and frame.time_base is not None:
                    begin = frame.pts * frame.time_base
                keep(frame)
    except FFmpegError as error:
        raise InputError(
            f"{container.name} is cut short ({error.strerror}); copy or export it again."
        ) from error
    if blocks:
        keep(None)
    return blocks, begin


def _picture_start(container: InputContainer) -> Fraction | None:
    """When the file's first picture is shown on its own clock; None without pictures."""
    for stream in container.streams.video:
        if stream.start_time is not None and stream.time_base is not None:
            return stream.start_time * stream.time_base
    return None
