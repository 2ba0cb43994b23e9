"""Footage prepared for training: lower-face windows of a clip, how they were seen, their sound.

As files: `<key>.json` (who, from where, under which rights, cameras), `<key>.track.safetensors`
(motion and identity), `<key>.wav` (16 kHz, one channel) and a WebP picture a window. Masks are not
kept: they follow from the track.
"""

import io
import json
import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Int, Int16, UInt8
from safetensors.torch import load, save
from torch import Tensor

from core.camera import Camera
from face3d.dental import upper_teeth_height
from face3d.morphable import MorphableModel
from face3d.track import Identity, Motion, Track
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH, crop_image, cut, window_corner
from media.footage import Footage
from prior.painting.close_up import CloseUp, close_up

SOUND_HERTZ = 16000

LOSSLESS = 101
"""WebP quality beyond the lossy ones (1 to 100)."""

MARGIN = 16
"""Pixels of a track's crop around a window that training may shift it by."""


@dataclass(frozen=True)
class Windows:
    """Lower-face windows of `N` frames of one person's clip, and how each was seen.

    `corner` [N 2] is a window's left and top in the crop of its shot; `frame` counts in the clip.
    `close_ups`: one a window, None where the crop shows all there is; or none were gathered.
    Crops are `scale` times as fine as their track's.
    """

    images: UInt8[Tensor, "N 3 H W"]
    corner: Int[Tensor, "N 2"]
    frame: Int[Tensor, "N"]
    motion: Motion
    identity: Identity
    crop_cameras: tuple[Camera, ...]
    close_ups: tuple[CloseUp | None, ...] = ()
    scale: int = 1

    def __len__(self) -> int:
        return len(self.images)

    @property
    def margin(self) -> int:
        """Pixels around a window that training may shift it by, where it was cut with them."""
        return self.scale * MARGIN

    def __getitem__(self, pick: Sequence[int]) -> "Windows":
        """Some of the windows."""
        at = torch.tensor(pick, dtype=torch.int64)
        return replace(
            self,
            images=self.images[at],
            corner=self.corner[at],
            frame=self.frame[at],
            motion=self.motion[at],
            crop_cameras=tuple(self.crop_cameras[i] for i in pick),
            close_ups=tuple(self.close_ups[i] for i in pick) if self.close_ups else (),
        )

    def camera(self, index: int, dx: int = 0, dy: int = 0, margin: int = 0) -> Camera:
        """The camera of a window, less a margin on all sides and shifted by (dx, dy)."""
        left, top = (int(v) for v in self.corner[index])
        height, width = self.images.shape[-2:]
        return self.crop_cameras[index].cropped(
            left + margin + dx, top + margin + dy, 1.0, width - 2 * margin, height - 2 * margin
        )


def gather_windows(
    clip: Footage,
    track: Track,
    model: MorphableModel,
    frames: np.ndarray,
    margin: int = 0,
    closely: bool = False,
    scale: int = 1,
) -> Windows:
    """Windows of the given valid frames (clip numbers) of a track, streamed from the clip.

    `closely` also takes their close-ups, without the margin. Crops are made `scale` times as fine
    as the track's; the margin is counted in those.
    """
    inner = scale * WINDOW_WIDTH, scale * WINDOW_HEIGHT
    width, height = (side + 2 * margin for side in inner)
    wanted = {int(f) for f in frames}
    images, corners, cameras, close_ups = [], [], [], []
    for frame in clip.frames(range(int(min(wanted)), int(max(wanted)) + 1)):
        if frame.index not in wanted:
            continue
        at = frame.index - track.start
        crop = track.crop(at).finer(scale)
        camera = crop.camera(track.camera)
        motion = track.motion[at : at + 1]
        left, top = window_corner(model, track.identity, motion, camera, width, height)[0]
        window = cut(crop_image(frame.rgb, crop), left, top, width, height)
        images.append(torch.from_numpy(window.transpose(2, 0, 1).copy()))
        corners.append((left, top))
        cameras.append(camera)
        if closely:
            corner = left + margin, top + margin
            close_ups.append(close_up(frame.rgb, crop, *corner, *inner, scale))
    order = torch.tensor(sorted(wanted))
    return Windows(
        torch.stack(images),
        torch.tensor(corners, dtype=torch.int32),
        order,
        track.motion[order - track.start],
        track.identity,
        tuple(cameras),
        tuple(close_ups),
        scale,
    )


def with_teeth(windows: Windows, model: MorphableModel) -> Windows:
    """The same windows of a person whose upper teeth are as high as they show them."""
    identity = replace(windows.identity, teeth=0.0)
    cameras = [windows.camera(i) for i in range(len(windows))]
    height = upper_teeth_height(model, identity, windows.motion, windows.images, cameras)
    return replace(windows, identity=replace(identity, teeth=height))


@dataclass(frozen=True)
class Sample:
    """One stretch of a clip: its windows, its sound at `SOUND_HERTZ` if it has any, its origin."""

    windows: Windows
    sound: Int16[np.ndarray, "N"] | None
    about: dict[str, Any]

    def __getitem__(self, pick: list[int]) -> "Sample":
        """Some of the windows, with all of the sound."""
        return Sample(self.windows[pick], self.sound, self.about)


def encode_sample(sample: Sample, quality: int = LOSSLESS) -> dict[str, bytes]:
    """A sample's files by the ends of their names; pictures as WebP of the given quality."""
    windows = sample.windows
    cameras = list(dict.fromkeys(windows.crop_cameras))
    header = {
        "about": sample.about,
        "cameras": [vars(camera) for camera in cameras],
        "camera_of_window": [cameras.index(camera) for camera in windows.crop_cameras],
        "scale": windows.scale,
    }
    tensors = {
        "corner": windows.corner,
        "frame": windows.frame,
        "identity_shape": windows.identity.shape,
        "identity_offset": windows.identity.offset,
        **{f"motion_{name}": value for name, value in vars(windows.motion).items()},
    }
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    files = {"json": json.dumps(header).encode(), "track.safetensors": save(contiguous)}
    if sample.sound is not None:
        files["wav"] = _wav(sample.sound)
    for index, image in enumerate(windows.images):
        files[f"{index:05d}.webp"] = _webp(image, quality)
    return files


def decode_sample(files: dict[str, bytes]) -> Sample:
    """What `encode_sample` wrote."""
    header = json.loads(files["json"])
    tensors = load(files["track.safetensors"])
    cameras = [Camera(**{**c, "centre": tuple(c["centre"])}) for c in header["cameras"]]
    motion = Motion(*(tensors[f"motion_{name}"] for name in Motion.__dataclass_fields__))
    pictures = [files[name] for name in sorted(files) if name.endswith(".webp")]
    windows = Windows(
        torch.stack([_picture(content) for content in pictures]),
        tensors["corner"],
        tensors["frame"],
        motion,
        Identity(tensors["identity_shape"], tensors["identity_offset"]),
        tuple(cameras[i] for i in header["camera_of_window"]),
        scale=header.get("scale", 1),  # corpora of older versions are all light
    )
    sound = _sound(files["wav"]) if "wav" in files else None
    return Sample(windows, sound, header["about"])


def _webp(image: UInt8[Tensor, "3 H W"], quality: int) -> bytes:
    bgr = np.ascontiguousarray(image.permute(1, 2, 0).numpy()[..., ::-1])
    return cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def _picture(content: bytes) -> UInt8[Tensor, "3 H W"]:
    bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None, "a window that does not decode"
    return torch.from_numpy(np.ascontiguousarray(bgr[..., ::-1].transpose(2, 0, 1)))


def _wav(sound: Int16[np.ndarray, "N"]) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_HERTZ)
        file.writeframes(sound.astype("<i2").tobytes())
    return content.getvalue()


def _sound(content: bytes) -> Int16[np.ndarray, "N"]:
    with wave.open(io.BytesIO(content), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
