"""Follow one face from frame to frame: never another one, and back again after a loss.

The detector's own tracking is quick but blind to small faces and to who it sees. It therefore looks
through a view, a square around the followed face; where that fails the face is searched for near
where it was, then in the whole picture.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from face3d.faces import Box, FaceFinder, box_of
from face3d.landmarks import FaceMesh, collected
from face3d.likeness import STRANGE_MILLIMETRES, Likeness, likeness, unlikeness
from media.frame import Frame, Glimpse

VIEW_FACES = 4.0
"""Side of a view in faces: the detector finds a face a quarter of its picture at ease."""

REACH_FACES = 0.5
"""A face strays less than this from where its speed takes it; a lost frame adds as much."""

SETTLED_FACES = 0.06
"""Where a face moved by more between two looks, it is looked at once more."""

LOOKS = 4

SMALLEST_PIXELS = 16.0
"""Less is never a face: noise has some of five."""

SEEN_PIXELS = 640
"""A view's longer side has at least so many pixels, if the picture has: the network sees 192 of one
and a half faces, and more of them only cost time."""

GROWTH = 1.5
"""Nor does it grow or shrink by more."""

CHANGED_CODES = 14.0
"""Mean difference of two small grey pictures that may be a cut."""

SEARCH_EVERY = 5
"""Tiles are searched in each fifth frame only while nothing is found."""

LONG_LOST = 10
"""Frames after which a face must look like the one that was lost, not only be near."""

REMEMBERED = 20
"""Frames whose landmarks say what the followed face looks like."""


@dataclass(frozen=True)
class View:
    """A rectangle of the picture, in its pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @staticmethod
    def around(box: Box, faces: float, width: int, height: int) -> "View":
        """A square of a side in faces, cut to the picture; all of it where it nearly fills it."""
        half = box.side * faces / 2
        if 2.6 * half >= max(width, height):
            return View(0, 0, width, height)
        left, top = max(0, int(box.x - half)), max(0, int(box.y - half))
        return View(left, top, min(width, int(box.x + half)), min(height, int(box.y + half)))

    def of(self, frame: Frame) -> Glimpse:
        return frame.glimpse(SEEN_PIXELS, self.left, self.top, self.right, self.bottom)

    def holds(self, box: Box, width: int, height: int) -> bool:
        """Whether a face lies well inside, the picture's own borders apart, and is large enough."""
        near = 0.8 * box.side
        return (
            (self.left == 0 or box.x - near > self.left)
            and (self.top == 0 or box.y - near > self.top)
            and (self.right == width or box.x + near < self.right)
            and (self.bottom == height or box.y + near < self.bottom)
            and max(self.right - self.left, self.bottom - self.top) < 2 * VIEW_FACES * box.side
        )


class Follower:
    """Follows a face through the frames of a clip, given one after another.

    `known` is the face to look for; without it the largest one of the first picture is followed.
    """

    def __init__(self, known: Likeness | None = None) -> None:
        self._mesh, self._still, self._finder = FaceMesh(), FaceMesh(still=True), FaceFinder()
        self._known = known
        self._recent: list[np.ndarray] = []
        self._view: View | None = None
        self._last: Box | None = None
        self._speed = 0.0, 0.0
        self._lost = 0
        self._small: np.ndarray | None = None

    def close(self) -> None:
        self._mesh.close()
        self._still.close()
        self._finder.close()

    def follow(self, frame: Frame) -> np.ndarray | None:
        """Landmarks [478 3] of the followed face in the next picture, or None."""
        if self._may_be_cut(frame):
            self._view = self._last = None
            self._lost = 0
        points = self._seen_in_view(frame)
        if points is None:
            points = self._found_again(frame)
        self._remember(points)
        return points

    def _may_be_cut(self, frame: Frame) -> bool:
        small = frame.glimpse(64).rgb
        small = cv2.resize(small, (32, 18), interpolation=cv2.INTER_AREA).astype(np.float32)
        before, self._small = self._small, small
        return before is not None and float(np.abs(small - before).mean()) > CHANGED_CODES

    def _seen_in_view(self, frame: Frame) -> np.ndarray | None:
        if self._view is None:
            return None
        points = self._settled(self._view, frame, self._last)
        if points is None or not self._within_reach(box_of(points)):
            return None
        height, width = frame.height, frame.width
        held = self._view.holds(box_of(points), width, height)
        return points if held else self._through_new_view(frame, points)

    def _settled(self, view: View, frame: Frame, before: Box | None) -> np.ndarray | None:
        """Landmarks seen from where they are: the network looks where the face was, and errs by a
        seventh of the face where that has moved by a half of it."""
        placed, shown = None, view.of(frame)
        for _ in range(LOOKS):
            points = self._mesh.detect(shown.rgb)
            if points is None:
                return None
            placed = shown.placed(points)
            box = box_of(placed)
            if before is not None and box.apart(before) < SETTLED_FACES:
                break
            before = box
        return placed

    def _within_reach(self, box: Box) -> bool:
        """Whether a face there can be the one that was followed."""
        if box.side < SMALLEST_PIXELS:
            return False
        if self._last is None:
            return True
        near = box.apart(self._expected()) < REACH_FACES * (1 + self._lost)
        return near and box.grown(self._last) < GROWTH * (1 + 0.1 * self._lost)

    def _expected(self) -> Box:
        """Where the face would be if it went on as it did; a loss is no time to trust that long."""
        assert self._last is not None
        frames = min(self._lost + 1, 3)
        x, y = self._last.x + frames * self._speed[0], self._last.y + frames * self._speed[1]
        return Box(x, y, self._last.side)

    def _found_again(self, frame: Frame) -> np.ndarray | None:
        """The face where it should be, or the likeliest one in the picture."""
        points = None if self._last is None else self._closely(frame, self._expected())
        if points is None:
            points = self._likeliest(frame)
        if points is None:
            self._view = None
            return None
        return self._through_new_view(frame, points)

    def _through_new_view(self, frame: Frame, points: np.ndarray) -> np.ndarray:
        """The view moves to a face and the detector starts anew there."""
        height, width = frame.height, frame.width
        self._view = View.around(box_of(points), VIEW_FACES, width, height)
        self._mesh.forget()
        again = self._settled(self._view, frame, None)
        if again is None or box_of(again).apart(box_of(points)) > REACH_FACES:
            return points
        if box_of(again).grown(box_of(points)) > GROWTH:
            return points
        return again

    def _closely(self, frame: Frame, box: Box) -> np.ndarray | None:
        """Landmarks of the face in a box, seen by itself."""
        height, width = frame.height, frame.width
        for faces in (2.4, 1.7):
            view = View.around(box, faces, width, height)
            shown = view.of(frame)
            points = self._still.detect(shown.rgb)
            if points is not None:
                points = shown.placed(points)
                if box_of(points).apart(box) < 1 and self._within_reach(box_of(points)):
                    return points
        return None

    def _likeliest(self, frame: Frame) -> np.ndarray | None:
        searched = self._lost % SEARCH_EVERY == 0
        boxes = self._finder.everywhere(frame) if searched else self._finder.whole(frame)
        seen = [points for box in boxes if (points := self._closely(frame, box)) is not None]
        # The far-sighted detector misses a face now and then that fills the picture.
        if not seen:
            shown = frame.glimpse(SEEN_PIXELS)
            points = self._still.detect(shown.rgb)
            if points is not None and self._within_reach(box_of(shown.placed(points))):
                seen = [shown.placed(points)]
        known = self._looks()
        if known is None or not seen:
            return seen[0] if seen else None
        strange = [unlikeness(likeness(collected([points])), known) for points in seen]
        best = int(np.argmin(strange))
        # After a long loss anybody is within reach; in a new shot the whole shot will tell.
        long_lost = self._last is not None and self._lost > LONG_LOST
        return None if long_lost and strange[best] > STRANGE_MILLIMETRES else seen[best]

    def _looks(self) -> Likeness | None:
        if self._known is None and self._recent:
            return likeness(collected([*self._recent]))
        return self._known

    def _remember(self, points: np.ndarray | None) -> None:
        if points is None:
            self._lost += 1
            return
        box, before = box_of(points), self._last
        self._speed = (0.0, 0.0)
        if before is not None and self._lost == 0:
            self._speed = (box.x - before.x, box.y - before.y)
        self._last, self._lost = box, 0
        if len(self._recent) < REMEMBERED:
            self._recent.append(points)
