"""Measure systems against the true frames of a shot they were to reproduce.

A system is a stream of full frames, one for each of the plate's. Everything is measured in the
face crop (a face 192 pixels high, as in a 256 crop), in windows around the lower face; pictures of
a plate whose face is much larger also in its own pixels.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from evaluate.metrics.grain import grain_ratios
from evaluate.metrics.lips import leak_share, lmd_px256, mouth_opening, opening_corr
from evaluate.metrics.lips import opening_mae_px256 as opening_mae
from evaluate.metrics.open_mouth import mouth_inside, teeth_show
from evaluate.metrics.perceptual import lpips_inside, lpips_maps
from evaluate.metrics.picture import PictureCurves, box_mask, mouth_box, score_pictures
from evaluate.metrics.sync import measure_sync
from evaluate.metrics.temporal import flicker_ratio, outside_max_diff, seam_ratio
from evaluate.own_pixels import FRAMES, mean_scores, score_own_pixels
from face3d.landmarks import COUNT, FaceMesh
from face3d.mask import sweep_covering, swept_mask
from face3d.morphable import MorphableModel
from face3d.track import Crop, Track
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH, crop_image, cut, window_corner
from media.audio import Audio
from media.frame import Frame
from prior.painting.close_up import WORTH

CROP_PIXELS = 256.0
"""Landmarks are measured in face crops whose faces are 192 pixels high: a 256 crop's scale."""

ROOM = 8
"""Pixels around the standard window, so that the mask's border and its seam are seen whole."""


@dataclass
class Seen:
    """What was collected of one system, frame by frame."""

    windows: list[UInt8[np.ndarray, "h w 3"]] = field(default_factory=list)
    landmarks: list[Float[np.ndarray, "478 2"]] = field(default_factory=list)
    own_pixels: list[dict[str, PictureCurves]] = field(default_factory=list)
    outside: float = 0.0


@dataclass(frozen=True)
class Shot:
    """Truth and systems of a shot, ready to score: windows, masks, landmarks in crop pixels."""

    truth: Seen
    systems: Mapping[str, Seen]
    outer: Bool[np.ndarray, "T h w"]
    corners: list[tuple[int, int]]
    valid: Bool[np.ndarray, " T"]


def collect(
    plate: Iterable[Frame],
    track: Track,
    model: MorphableModel,
    systems: Mapping[str, Iterable[Frame]],
    own_pixels: bool = True,
) -> Shot:
    """Run plate and systems side by side, keeping their windows and fresh landmarks.

    Pictures of large faces are also scored in the plate's own pixels, unless nobody will look.
    """
    size = WINDOW_WIDTH + 2 * ROOM, WINDOW_HEIGHT + 2 * ROOM
    sweep = sweep_covering(track.motion.mouth)
    streams: dict[str, Iterator[Frame]] = {name: iter(s) for name, s in systems.items()}
    truth, seen = Seen(), {name: Seen() for name in streams}
    outer, corners = [], []
    every = -(-len(track) // FRAMES)
    meshes = {name: FaceMesh() for name in ("truth", *streams)}
    for i, frame in enumerate(plate):
        crop = track.crop(i)
        camera = crop.camera(track.camera)
        here = track.motion[i : i + 1]
        left, top = window_corner(model, track.identity, here, camera, *size)[0]
        window = camera.cropped(left, top, 1.0, *size)
        mask = swept_mask(model, track.identity, here, window, sweep)[0].numpy()
        outer.append(mask)
        corners.append((left, top))
        inside = mask_in_frame(mask, crop, left, top, frame)
        closely = own_pixels and crop.scale * WORTH < 1 and bool(track.valid[i]) and i % every == 0
        for name, stream in (("truth", None), *streams.items()):
            shown = frame if stream is None else next(stream)
            into = truth if stream is None else seen[name]
            picture = crop_image(shown.rgb, crop)
            into.windows.append(cut(picture, left, top, *size))
            points = meshes[name].detect(picture)
            into.landmarks.append(
                np.full((COUNT, 2), np.nan) if points is None else points[:, :2].astype(float)
            )
            if stream is not None:
                worst = outside_max_diff(shown.planes, frame.planes, inside)
                into.outside = max(into.outside, worst)
            if stream is not None and closely:
                place = (truth.landmarks[i], crop, left, top)
                into.own_pixels.append(score_own_pixels(shown.rgb, frame.rgb, mask, *place))
    for mesh in meshes.values():
        mesh.close()
    return Shot(truth, seen, np.stack(outer), corners, track.valid.numpy())


def mask_in_frame(
    mask: np.ndarray, crop: Crop, left: int, top: int, frame: Frame
) -> Bool[np.ndarray, "H W"]:
    """A window's mask on the full frame, two crop pixels wider for the resampling."""
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
    scale = crop.scale
    back = np.array(
        [
            [scale, 0, (0.5 - crop.left) * scale - left - 0.5],
            [0, scale, (0.5 - crop.top) * scale - top - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    full = cv2.warpAffine(grown.astype(np.float32), back, (frame.width, frame.height), flags=flags)
    return full > 0


def figures(shot: Shot, name: str, fps: Any, sound: Audio | None) -> dict[str, Any]:
    """The contract's figures of one system."""
    seen, truth, valid = shot.systems[name], shot.truth, shot.valid
    made, true = np.stack(seen.windows), np.stack(truth.windows)
    ours, theirs = np.stack(seen.landmarks), np.stack(truth.landmarks)
    corner = np.array(shot.corners)[:, None]
    boxes = box_mask(mouth_box(theirs - corner), *true.shape[1:3])
    opening, true_opening = mouth_opening(ours), mouth_opening(theirs)
    known = valid & np.isfinite(true_opening)
    inside = mouth_inside(theirs - corner, *true.shape[1:3])
    teeth = known & teeth_show(true, inside, boxes)
    own = mean_scores(seen.own_pixels) if seen.own_pixels else {}
    maps = lpips_maps(made, true)

    def scores(mask: np.ndarray, frames: Bool[np.ndarray, " T"]) -> dict[str, float]:
        looks = {} if maps is None else {"lpips": lpips_inside(maps, mask, frames)}
        return asdict(score_pictures(made, true, mask, frames)) | looks

    return {
        "frames": int(valid.sum()),
        "lower_face": scores(shot.outer, valid),
        "mouth": scores(boxes, known),
        "open_mouth": scores(inside, teeth) | {"frames_with_teeth": int(teeth.sum())},
        **{f"{area}_own_pixels": asdict(scores) for area, scores in own.items()},
        "landmarks": {
            "lmd_px256": lmd_px256(ours[known], theirs[known], CROP_PIXELS),
            "opening_corr": opening_corr(opening[known], true_opening[known]),
            "opening_mae_px256": opening_mae(ours[known], theirs[known], CROP_PIXELS),
        },
        "sync": sync_of(ours, fps, sound),
        "grain": grain_ratios(made, true, shot.outer, valid),
        "flicker_ratio": flicker_ratio(made, true, shot.outer, valid),
        "seam_ratio": seam_ratio(made, true, shot.outer, valid),
        "outside_max_diff": seen.outside,
    }


def sync_of(landmarks: np.ndarray, fps: Any, sound: Audio | None) -> dict[str, float]:
    """Offset between lips and `sound`, which starts with the first frame; NaN without sound."""
    if sound is None:
        return dict.fromkeys(("offset_frames", "confidence", "margin"), float("nan"))
    heard = sound.mono16k()
    return asdict(measure_sync(landmarks, fps, heard.samples[0], heard.rate))


def leak_of(shot: Shot, name: str, fps: Any) -> float:
    """Share of frames judged speaking; meaningful where the system was driven by silence."""
    return leak_share(mouth_opening(np.stack(shot.systems[name].landmarks)), fps)
