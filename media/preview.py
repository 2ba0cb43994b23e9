"""Small videos to look at in a browser: H.264 and AAC in MP4, never a delivery."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import UInt8

from media.audio import Audio

SOUND_HERTZ = 48000


def write_preview(
    path: Path,
    pictures: Iterable[UInt8[np.ndarray, "H W 3"]],
    fps: Fraction,
    sound: Audio | None = None,
) -> None:
    """Pictures of one size, with even sides, at an even pace; `sound` starts with the first."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        video = heard = None
        if sound is not None:
            heard = container.add_stream("aac", rate=SOUND_HERTZ, layout="mono")
        for index, rgb in enumerate(pictures):
            if video is None:
                video = container.add_stream("libx264", rate=fps)
                video.height, video.width = rgb.shape[:2]
                video.pix_fmt, video.options = "yuv420p", {"crf": "20", "preset": "veryfast"}
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
            frame.pts, frame.time_base = index, 1 / fps
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode())
        if heard is not None and sound is not None:
            samples = sound.mono().resampled(SOUND_HERTZ).samples
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", "mono")
            block.sample_rate, block.pts = SOUND_HERTZ, 0
            container.mux(heard.encode(block))
            container.mux(heard.encode())


def fitted(rgb: UInt8[np.ndarray, "H W 3"], longest: int) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with even sides, shrunk until none exceeds `longest`."""
    share = min(1.0, longest / max(rgb.shape[:2]))
    size = [max(2, round(side * share) // 2 * 2) for side in rgb.shape[1::-1]]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
