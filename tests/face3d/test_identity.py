"""One person in several clips: what the clips share, and what stays each clip's own."""

from dataclasses import replace
from fractions import Fraction

import torch
from moving_head import CAMERA, detected, somebody, speaking

from core.camera import Camera
from face3d.morphable import default_model
from face3d.topology import LANDMARKS
from face3d.tracker import TrackerConfig, begin, fit_identity, guessed_camera, track_landmarks

MODEL = default_model().to(torch.float64)
CONFIG = TrackerConfig()
WHO = somebody(3)
SMALL = Camera(512.0, (128.0, 128.0), 256, 256)


def fitted(*takes: tuple[Camera, float, int]) -> list[torch.Tensor]:
    """Neutral faces [468 3] found from takes (camera, yaw, seed) fitted together, one a take."""
    begun = []
    for camera, yaw, seed in takes:
        motion = speaking(40, seed=seed)
        motion = replace(motion, rotation=motion.rotation + torch.tensor([0.0, yaw, 0.0]))
        seen = detected(WHO, motion, camera, noise=0.003 * camera.width)
        guess = guessed_camera(camera.width, camera.height, CONFIG)
        begun.append(begin(MODEL, seen, guess, CONFIG))
    fits = fit_identity(MODEL, [fit for fit, _ in begun], [look for _, look in begun], CONFIG)
    return [MODEL.shape(f.identity.shape, f.identity.offset)[:LANDMARKS] for f in fits]


def error_millimetres(face: torch.Tensor) -> float:
    """Mean distance of a neutral face from the true one, place and size taken off."""
    true = MODEL.shape(WHO.shape.double(), WHO.offset.double())[:LANDMARKS]
    face, true = face - face.mean(0), true - true.mean(0)
    face = face * (face * true).sum() / face.square().sum()
    return 1000 * float((face - true).norm(dim=-1).mean())


def test_two_clips_know_the_face_better_than_either() -> None:
    """Kills clips fitted apart and averaged, or the second one ignored: takes of the left and the
    right side, of other sizes, share one face that is nearer the truth than each alone."""
    left, right = (CAMERA, 0.4, 0), (SMALL, -0.4, 5)
    both = fitted(left, right)
    assert torch.equal(both[0], both[1])
    alone = [error_millimetres(fitted(take)[0]) for take in (left, right)]
    together = error_millimetres(both[0])
    assert together < min(alone), (together, alone)
    assert together < 0.5


def test_the_order_of_clips_does_not_matter() -> None:
    """Kills an identity that belongs to the first clip."""
    one, two = (CAMERA, 0.0, 0), (SMALL, 0.5, 5)
    torch.testing.assert_close(fitted(one, two)[0], fitted(two, one)[0], atol=1e-9, rtol=0)


def test_expression_carries_no_identity() -> None:
    """Kills a face that is partly spoken: two people who say the same with the same head get the
    same expression codes (their means within 0.05 deviations, measured 0.016; the people
    are 0.7 deviations from the mean), and exchanging the motions leaves the faces' difference."""
    motion = speaking(60)
    people = [somebody(seed) for seed in (0, 1)]
    tracks = [track_landmarks(detected(who, motion), 512, 512, Fraction(25)) for who in people]
    for name in ("mouth", "upper"):
        codes = [getattr(track.motion, name).mean(0) for track in tracks]
        assert float((codes[0] - codes[1]).square().mean().sqrt()) < 0.05, name
    model = default_model()
    neutral = [model.shape(t.identity.shape, t.identity.offset) for t in tracks]
    spoken = [model.vertices(face, motion.mouth, motion.upper) for face in neutral]
    torch.testing.assert_close(
        spoken[0] - spoken[1], (neutral[0] - neutral[1]).expand_as(spoken[0]), atol=1e-6, rtol=0
    )
