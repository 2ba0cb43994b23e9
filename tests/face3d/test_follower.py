"""Whose face is followed when there are two, when it is small, and when it was lost for a while.

The performer plays the actor; a mirrored, stretched and darkened performer plays somebody else.
"""

from collections.abc import Iterator
from contextlib import closing

import cv2
import numpy as np
import pytest

from face3d.evidence import Evidence, Examiner
from face3d.faces import Box, FaceFinder, box_of
from face3d.follower import Follower, View
from face3d.landmarks import Landmarks, collected
from face3d.likeness import likeness, unlikeness
from face3d.sighting import Sighting, sight, without_strangers
from media.clip import Clip
from media.frame import Frame

FRAMES = 12


@pytest.fixture(scope="module")
def performer(performer_clip: Clip) -> list[np.ndarray]:
    return [frame.rgb for frame in performer_clip.frames(range(FRAMES))]


def laid(
    picture: np.ndarray, pixels: int, left: int, top: int, size: tuple[int, int] = (960, 540)
) -> np.ndarray:
    """A square picture `pixels` wide in a grey one of `size`."""
    canvas = np.full((size[1], size[0], 3), 96, np.uint8)
    canvas[top : top + pixels, left : left + pixels] = _resized(picture, pixels)
    return canvas


def _resized(picture: np.ndarray, pixels: int) -> np.ndarray:
    square = picture[: min(picture.shape[:2]), : min(picture.shape[:2])]
    return cv2.resize(square, (pixels, pixels), interpolation=cv2.INTER_AREA)


def stranger(picture: np.ndarray) -> np.ndarray:
    """A broader, darker face."""
    height, width = picture.shape[:2]
    broad = cv2.resize(picture, (round(1.3 * width), height))[:, :width]
    return (0.6 * broad).astype(np.uint8)


def followed(pictures: Iterator[np.ndarray] | list[np.ndarray]) -> list[Box | None]:
    with closing(Follower()) as follower:
        seen = [follower.follow(Frame.of_rgb(picture)) for picture in pictures]
    return [None if points is None else box_of(points) for points in seen]


def test_a_small_face_is_found_and_its_landmarks_are_those_of_the_large_one(
    performer: list[np.ndarray], performer_landmarks: Landmarks
) -> None:
    """Kills a detector that looks at the whole picture only: a face 100 pixels high in 1080p."""
    side = min(performer[0].shape[:2])
    points = performer_landmarks.xy[:4, :468]
    scale = 100 / float(np.ptp(points[..., 1], axis=1).mean())
    pixels = round(side * scale)
    pictures = [laid(p, pixels, 1300, 700, (1920, 1080)) for p in performer[:4]]
    with closing(Follower()) as follower:
        seen = [follower.follow(Frame.of_rgb(picture)) for picture in pictures]
    for small, large in zip(seen, points, strict=True):
        assert small is not None
        back = (small[:468, :2] - [1300, 700]) * side / pixels
        assert np.linalg.norm(back - large, axis=-1).mean() * scale < 1.5  # pixels of 100


def test_the_followed_face_is_never_swapped_for_its_neighbour(performer: list[np.ndarray]) -> None:
    """Kills a detector that takes the only face left: while the larger face is hidden nobody is
    found, and afterwards it is the same one again."""

    def picture(i: int) -> np.ndarray:
        canvas = laid(performer[i], 400, 20, 60)
        canvas[200:400, 700:900] = _resized(stranger(performer[i]), 200)
        if 4 <= i < 8:
            canvas[60:460, 20:420] = 96
        return canvas

    boxes = followed([picture(i) for i in range(FRAMES)])
    assert [box is None for box in boxes] == [4 <= i < 8 for i in range(FRAMES)]
    assert all(box is None or box.x < 420 for box in boxes)


def test_after_a_cut_the_face_is_known_again(performer: list[np.ndarray]) -> None:
    """Kills the largest face of every shot: after the cut the stranger is the larger one."""
    close = [laid(p, 500, 200, 20) for p in performer[:6]]
    both = []
    for p in performer[6:]:
        canvas = 255 - laid(p, 300, 20, 100)
        canvas[100:400, 20:320] = _resized(p, 300)
        canvas[50:500, 450:900] = _resized(stranger(p), 450)
        both.append(canvas)
    boxes = followed(close + both)
    assert all(box is not None for box in boxes)
    assert all(box is not None and box.x < 320 for box in boxes[6:])


def test_a_face_that_crosses_the_picture_is_followed_through_every_view(
    performer: list[np.ndarray],
) -> None:
    """Kills a view that stays behind, and landmarks in the view's own pixels."""
    lefts = [20 + 36 * i for i in range(FRAMES)]
    boxes = followed([laid(performer[0], 180, left, 150 + 5 * i) for i, left in enumerate(lefts)])
    assert all(box is not None for box in boxes)
    places = np.array([box.x for box in boxes if box is not None]) - lefts
    assert np.ptp(places) < 6


def test_nobody_is_nobody() -> None:
    """Kills a crash, or a face made up, where there is nothing to see."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 255, (90, 160, 3), np.uint8) for _ in range(3)]
    assert followed(noise) == [None] * 3
    with closing(FaceFinder()) as finder:
        assert finder.everywhere(Frame.of_rgb(noise[0])) == []


def test_a_view_stays_inside_the_picture_and_knows_when_it_is_left() -> None:
    """Kills negative corners, which numpy would take for the other border."""
    view = View.around(Box(50, 60, 40), 4.0, 1000, 800)
    assert (view.left, view.top, view.right, view.bottom) == (0, 0, 130, 140)
    assert view.holds(Box(20, 20, 40), 1000, 800)
    assert not view.holds(Box(110, 60, 40), 1000, 800)
    assert not view.holds(Box(50, 60, 10), 1000, 800)
    whole = View.around(Box(500, 400, 300), 4.0, 1000, 800)
    assert (whole.left, whole.top, whole.right, whole.bottom) == (0, 0, 1000, 800)


def test_a_shot_of_somebody_else_shows_nobody(performer_landmarks: Landmarks) -> None:
    """Kills an actor that is whoever the shot shows: the shorter shot's broader face is dropped,
    and a shot of the same face, larger and elsewhere, is kept."""
    some = performer_landmarks[:30]
    xy, depth = some.xy.copy(), some.depth.copy()
    xy[20:] = 1.5 * xy[20:] + 40
    depth[20:] *= 1.5
    middle = xy[12:20].mean(1, keepdims=True)
    xy[12:20] = (xy[12:20] - middle) * [1.25, 1.0] + middle
    sure = Evidence(*np.ones((3, 30)))
    seen = Sighting(0, Landmarks(xy, depth), (12, 20), sure)
    kept = without_strangers(seen)
    assert kept.landmarks.found.tolist() == [True] * 12 + [False] * 8 + [True] * 10
    known = likeness(Landmarks(xy[12:20], depth[12:20]))
    other = without_strangers(seen, known)
    assert other.landmarks.found.tolist() == [False] * 12 + [True] * 8 + [False] * 10


def test_likeness_does_not_see_pose_size_or_speech(performer_landmarks: Landmarks) -> None:
    """Kills a comparison in the picture's pixels: single frames of one face, spread over turns and
    words, are alike within 2.6 mm (measured 2.05), whatever their size."""
    shapes = [likeness(performer_landmarks[i : i + 1]) for i in range(0, 100, 20)]
    twice = Landmarks(2 * performer_landmarks.xy[:1], 2 * performer_landmarks.depth[:1])
    assert unlikeness(likeness(twice), shapes[0]) < 1e-3
    assert max(unlikeness(shape, shapes[0]) for shape in shapes) < 2.6
    assert likeness(collected([np.c_[twice.xy[0], twice.depth[0]]])).shape == shapes[0].shape


def test_threads_change_nothing(performer_clip: Clip) -> None:
    """Kills frames that overtake each other, evidence of a neighbour's landmarks, and a detector
    shared by two threads: a sighting is bit by bit what one thread finds."""
    frames = range(3, 21)
    seen = sight(performer_clip, frames)
    with closing(Follower()) as follower, closing(Examiner(len(frames))) as examiner:
        points = []
        for frame in performer_clip.frames(frames):
            points.append(follower.follow(frame))
            examiner.examine(frame, points[-1])
    alone, evidence = collected(points), examiner.evidence([slice(0, len(frames))])
    np.testing.assert_array_equal(seen.landmarks.xy, alone.xy)
    np.testing.assert_array_equal(seen.landmarks.depth, alone.depth.astype(np.float16))
    assert seen.evidence is not None
    for name, column in vars(evidence).items():
        np.testing.assert_array_equal(getattr(seen.evidence, name), column)
