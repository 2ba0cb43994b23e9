"""Hard footage made of easy footage by known operations, so that the truth stays known.

A hardship turns the pictures of a clip into harder ones. Where it moves the picture, `placed` says
where a point of the easy picture lies in the hard one. How hard it is swells and ebbs over the
clip, so that one clip holds the whole range.

Vocabulary: `points` [478 3] are the easy frame's landmarks, `tall` its face's height in pixels,
`hard` in [0, 1] how much of the hardship a frame gets.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import map_coordinates

from face3d.morphable import default_model
from face3d.topology import JAW_LINE, LANDMARKS, LIPS_OUTER_LOWER, LIPS_OUTER_UPPER

SWELL_FRAMES = 40
"""Frames from one easy moment to the next."""

SHADES = (25, 22, 20)
"""Colour of sunglasses."""

BEARD_TEXELS = 400
"""Texels a side of uv: a strand is about as thick as a pixel of a face 280 pixels high."""

Harden = Callable[[np.ndarray, np.ndarray, float, np.random.Generator], np.ndarray]
"""(picture, points, how hard, random) to a picture of the same size."""


@dataclass(frozen=True)
class Hardship:
    """What is done to each frame, then to the size of the picture, then by the codec."""

    name: str
    harden: Harden = lambda picture, points, hard, random: picture
    face_pixels: float | None = None
    """Height that the face is brought to; as it is unless given."""
    canvas: tuple[int, int] | None = None
    """Width and height of a plain picture that the clip is laid into, off its middle."""
    crf: int = 18
    every: int = 1
    """Only every so many frames are shown: the same moves, so many times as fast."""

    def placed(self, tall: float, size: tuple[int, int]) -> np.ndarray:
        """The affine map [2 3] of pixels of a picture of `size` to the hard one's."""
        scale = 1.0 if self.face_pixels is None else self.face_pixels / tall
        width, height = self.canvas or (round(size[0] * scale), round(size[1] * scale))
        x = 0.7 * (width - size[0] * scale) if self.canvas else 0.0
        y = 0.3 * (height - size[1] * scale) if self.canvas else 0.0
        return np.array([[scale, 0.0, x], [0.0, scale, y]])


def swell(index: int) -> float:
    """How hard frame `index` is: sin² of its place in the swell."""
    return float(np.sin(np.pi * index / SWELL_FRAMES) ** 2)


def height_of(points: np.ndarray) -> float:
    return float(np.ptp(points[:468, 1]))


def blurred_by_motion(
    picture: np.ndarray, points: np.ndarray, hard: float, random: np.random.Generator
) -> np.ndarray:
    """A straight smear of up to a third of the face, in a direction that turns slowly."""
    length = round(0.33 * hard * height_of(points))
    if length < 2:
        return picture
    angle = random.uniform(-0.5, 0.5)
    kernel = np.zeros((length, length), np.float32)
    middle, half = (length - 1) / 2, (length - 1) / 2
    a = (round(middle - half * np.cos(angle)), round(middle - half * np.sin(angle)))
    b = (round(middle + half * np.cos(angle)), round(middle + half * np.sin(angle)))
    cv2.line(kernel, a, b, (1.0,), 1)
    return cv2.filter2D(picture, -1, kernel / kernel.sum())


def defocused(
    picture: np.ndarray, points: np.ndarray, hard: float, random: np.random.Generator
) -> np.ndarray:
    """A Gaussian of up to a twelfth of the face."""
    sigma = hard * height_of(points) / 12
    return picture if sigma < 0.3 else cv2.GaussianBlur(picture, (0, 0), sigma)


def darkened(
    picture: np.ndarray, points: np.ndarray, hard: float, random: np.random.Generator
) -> np.ndarray:
    """Down to a thirtieth of the light, with the noise of photons and of the sensor."""
    light = (picture.astype(np.float32) / 255) ** 2.2 * 30.0**-hard
    photons = light + np.sqrt(light * 0.0004 * hard) * random.standard_normal(light.shape)
    noisy = photons + 0.003 * hard * random.standard_normal(light.shape)
    return (255 * np.clip(noisy, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def behind_a_hand(
    picture: np.ndarray, points: np.ndarray, hard: float, random: np.random.Generator
) -> np.ndarray:
    """A hand of the face's own skin that rises from below until it covers the mouth."""
    tall = height_of(points)
    lips = points[list(LIPS_OUTER_UPPER), :2].mean(0)
    palm = lips + np.array([0.06 * tall, (0.95 - 0.9 * hard) * tall])
    cheek = points[[50, 280], :2].mean(0).astype(int)
    skin = picture[
        np.clip(cheek[1], 0, len(picture) - 1), np.clip(cheek[0], 0, picture.shape[1] - 1)
    ]
    skin = 0.85 * np.maximum(skin.astype(float), 40)
    shade = np.zeros(picture.shape[:2], np.float32)
    down, across = tall * np.array([0.0, 1.0]), tall * np.array([1.0, 0.0])
    _capsule(shade, palm + 0.15 * down, palm + 0.9 * down, 0.2 * tall)
    back = palm + 0.05 * down
    _capsule(shade, back - 0.1 * across, back + 0.1 * across, 0.2 * tall)
    for finger, reach in zip((-0.24, -0.09, 0.06, 0.21), (0.38, 0.48, 0.45, 0.32), strict=True):
        knuckle = palm + np.array([finger * tall, -0.05 * tall])
        tip = knuckle + np.array([0.25 * finger * tall, -reach * tall])
        _capsule(shade, knuckle, tip, 0.065 * tall)
    shade = cv2.GaussianBlur(shade, (0, 0), max(0.3, tall / 250))
    cover = np.minimum(1, 4 * shade)[..., None]
    colour = skin * (0.55 + 0.45 * shade[..., None])
    return (picture * (1 - cover) + colour * cover).astype(np.uint8)


def _capsule(shade: np.ndarray, a: np.ndarray, b: np.ndarray, radius: float) -> None:
    """Draw a rounded limb, brightest along its axis; darker limbs do not cover brighter ones."""
    rows, columns = np.mgrid[: shade.shape[0], : shade.shape[1]].astype(np.float32) + 0.5
    along = b - a
    t = ((columns - a[0]) * along[0] + (rows - a[1]) * along[1]) / (along @ along)
    t = np.clip(t, 0, 1)
    away = np.hypot(columns - a[0] - t * along[0], rows - a[1] - t * along[1]) / radius
    limb = np.sqrt(np.clip(1 - away**2, 0, 1)).astype(np.float32)
    np.maximum(shade, limb, out=shade)


def behind_a_microphone(
    picture: np.ndarray, points: np.ndarray, hard: float, random: np.random.Generator
) -> np.ndarray:
    """A dark ball on a stick that rises before the chin and the mouth."""
    tall = height_of(points)
    lips = points[list(LIPS_OUTER_LOWER), :2].mean(0)
    ball = lips + np.array([-0.08 * tall, (0.75 - 0.65 * hard) * tall])
    shade = np.zeros(picture.shape[:2], np.float32)
    _capsule(shade, ball, ball + 0.01, 0.17 * tall)
    _capsule(shade, ball, ball + np.array([0.1 * tall, 1.2 * tall]), 0.06 * tall)
    cover = np.minimum(1, 6 * shade)[..., None]
    grain = random.uniform(0.6, 1.0, picture.shape[:2])[..., None]
    return (picture * (1 - cover) + 70 * shade[..., None] * grain * cover).astype(np.uint8)


def bearded(
    picture: np.ndarray, points: np.ndarray, hard: float, random: np.random.Generator
) -> np.ndarray:
    """A dark beard around the lips, all through the clip; its strands grow on the skin and move
    with it, or else they would say that the head rests."""
    lips = np.concatenate([LIPS_OUTER_UPPER, LIPS_OUTER_LOWER[-2:0:-1]])
    jaw = points[list(JAW_LINE)[2:-2], :2]
    upper = points[[50, 205, 2, 425, 280], :2] * [1, 1] + [0, 0.02 * height_of(points)]
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.concatenate([jaw, upper[::-1]]).astype(np.int32)], (255,))
    cv2.fillPoly(mask, [points[lips, :2].astype(np.int32)], (0,))
    soft = cv2.GaussianBlur(mask, (0, 0), height_of(points) / 60)[..., None] / 255
    rows, columns = (soft[..., 0] > 0).nonzero()
    on_skin = LinearNDInterpolator(points[:LANDMARKS, :2], default_model().uv[:LANDMARKS].numpy())
    uv = np.nan_to_num(on_skin(columns + 0.5, rows + 0.5))
    strands = map_coordinates(beard(), BEARD_TEXELS * uv.T[::-1], order=1, mode="nearest")
    shown, share = picture.copy(), soft[rows, columns]
    shown[rows, columns] = picture[rows, columns] * (1 - share + strands[:, None] * share)
    return shown


@cache
def beard() -> np.ndarray:
    """Light that strands leave, over the face's uv."""
    random = np.random.default_rng(7)
    strands = random.uniform(0.15, 0.55, (BEARD_TEXELS, BEARD_TEXELS)).astype(np.float32)
    return cv2.GaussianBlur(strands, (0, 0), 0.7)


def with_glasses(
    picture: np.ndarray, points: np.ndarray, hard: float, random: np.random.Generator
) -> np.ndarray:
    """Sunglasses, all through the clip."""
    shown = picture.copy()
    radius = 0.16 * height_of(points)
    eyes = [points[[33, 133], :2].mean(0), points[[263, 362], :2].mean(0)]
    for eye in eyes:
        centre = (round(float(eye[0])), round(float(eye[1])))
        axes = (round(radius), round(0.8 * radius))
        cv2.ellipse(shown, centre, axes, 0, 0, 360, SHADES, -1)
    a, b = ((round(float(x)), round(float(y))) for x, y in eyes)
    cv2.line(shown, a, b, SHADES, max(1, round(0.12 * radius)))
    return shown


def interlaced(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Two pictures woven into one: even rows of the first, odd rows of the second."""
    stream = iter(pictures)
    for first in stream:
        second = next(stream, first)
        woven = first.copy()
        woven[1::2] = second[1::2]
        yield woven


HARDSHIPS = (
    Hardship("as it is"),
    Hardship("motion blur", blurred_by_motion),
    Hardship("defocus", defocused),
    Hardship("low light", darkened),
    Hardship("hand", behind_a_hand),
    Hardship("microphone", behind_a_microphone),
    Hardship("beard", bearded),
    Hardship("sunglasses", with_glasses),
    Hardship("face 100 px in 1080p", face_pixels=100, canvas=(1920, 1080)),
    Hardship("face 50 px in 1080p", face_pixels=50, canvas=(1920, 1080)),
    Hardship("heavy compression", crf=42),
)


def hardened(
    pictures: Iterable[np.ndarray], points: np.ndarray, hardship: Hardship, seed: int = 0
) -> Iterator[np.ndarray]:
    """The pictures of a clip under a hardship; `points` [T 478 3] are its landmarks. Frames that
    the hardship leaves out are not among them."""
    random = np.random.default_rng(seed)
    tall = float(np.median([height_of(frame) for frame in points]))
    for index, picture in enumerate(pictures):
        if index % hardship.every:
            continue
        hard = hardship.harden(picture, points[index], swell(index), random)
        height, width = picture.shape[:2]
        place = hardship.placed(tall, (width, height))
        if hardship.canvas is None and hardship.face_pixels is None:
            yield hard
            continue
        size = hardship.canvas or (round(width * place[0, 0]), round(height * place[0, 0]))
        yield laid_into(hard, place, size)


def laid_into(picture: np.ndarray, place: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture scaled and moved into a grey one of `size` (width, height)."""
    scale = place[0, 0]
    shrunk = cv2.resize(
        picture, None, fx=scale, fy=scale,
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
    )  # fmt: skip
    canvas = np.full((size[1], size[0], 3), 96, np.uint8)
    left, top = round(place[0, 2]), round(place[1, 2])
    rows, columns = canvas[top : top + len(shrunk), left : left + shrunk.shape[1]].shape[:2]
    canvas[top : top + rows, left : left + columns] = shrunk[:rows, :columns]
    return canvas


def write_pictures(
    path: Path, pictures: Iterable[np.ndarray], fps: Fraction, crf: int = 18
) -> None:
    """RGB pictures as a silent mp4."""
    with av.open(str(path), "w") as container:
        options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        film = cast(VideoStream, container.add_stream("libx264", rate=fps, options=options))
        film.pix_fmt = "yuv420p"
        for index, picture in enumerate(pictures):
            even = picture[: len(picture) // 2 * 2, : picture.shape[1] // 2 * 2]
            if index == 0:
                film.height, film.width = even.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
            frame.pts, frame.time_base = index, 1 / fps
            container.mux(film.encode(frame))
        container.mux(film.encode())
