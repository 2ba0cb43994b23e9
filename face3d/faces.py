"""Where faces are in a picture, small ones too."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from face3d.landmarks import quiet_native_log
from face3d.topology import LANDMARKS
from media.frame import Frame, Glimpse

SEEN_PIXELS = 384
"""What is looked at has at least so many pixels a side, if the picture has: twice the network's."""


@dataclass(frozen=True)
class Box:
    """A face's square in pixels: its middle and its side, about brow to chin."""

    x: float
    y: float
    side: float

    def apart(self, other: "Box") -> float:
        """Distance of the middles in faces."""
        return float(np.hypot(self.x - other.x, self.y - other.y)) / max(self.side, other.side)

    def grown(self, other: "Box") -> float:
        """Ratio of the larger to the smaller."""
        return max(self.side, other.side) / min(self.side, other.side)


def box_of(points: np.ndarray) -> Box:
    """The box of landmarks [478 2 or more]."""
    low, high = points[:LANDMARKS, :2].min(0), points[:LANDMARKS, :2].max(0)
    x, y = (low + high) / 2
    return Box(float(x), float(y), float((high - low).max()))


class FaceFinder:
    """MediaPipe's full-range face detector, over the whole picture and then over tiles of it.

    The network sees 192 pixels a side: a face 100 pixels high is lost in a picture of 1920 and
    found in a tile of 540.
    """

    TILES = (1, 2)
    """Tiles a picture's shorter side is cut into, tried one after another."""

    def __init__(self) -> None:
        from mediapipe.python.solutions.face_detection import FaceDetection

        with quiet_native_log():
            self._detector = FaceDetection(model_selection=1, min_detection_confidence=0.5)
            self._detector.process(np.zeros((64, 64, 3), np.uint8))

    def close(self) -> None:
        self._detector.close()

    def whole(self, frame: Frame) -> list[Box]:
        """Faces that one look at the whole picture finds, the largest first."""
        return _distinct(self._detect(frame.glimpse(SEEN_PIXELS)))

    def everywhere(self, frame: Frame) -> list[Box]:
        """Faces of the whole picture or, where it shows none, of ever smaller tiles of it."""
        found = self._detect(frame.glimpse(SEEN_PIXELS))
        for count in self.TILES:
            if found:
                break
            side = min(frame.height, frame.width) // count
            for top in _starts(frame.height, side):
                for left in _starts(frame.width, side):
                    tile = frame.glimpse(SEEN_PIXELS, left, top, left + side, top + side)
                    found += self._detect(tile)
        return _distinct(found)

    def _detect(self, shown: Glimpse) -> list[Box]:
        result: Any = self._detector.process(np.ascontiguousarray(shown.rgb))
        height, width = (shown.scale * side for side in shown.rgb.shape[:2])
        boxes = []
        for detection in result.detections or ():
            box = detection.location_data.relative_bounding_box
            x, y = box.xmin + box.width / 2, box.ymin + box.height / 2
            side = max(box.width * width, box.height * height)
            boxes.append(Box(shown.left + x * width, shown.top + y * height, side))
        return boxes


def _starts(length: int, side: int) -> list[int]:
    """Where tiles of a side begin that cover a length and overlap by half."""
    count = 1 + int(np.ceil(2 * (length - side) / side))
    return [int(start) for start in np.linspace(0, length - side, count)]


def _distinct(boxes: list[Box]) -> list[Box]:
    """Without those that a larger one covers, the largest first."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.side):
        if all(box.apart(other) > 0.5 for other in kept):
            kept.append(box)
    return kept
