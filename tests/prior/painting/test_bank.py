"""Reference frames: warped to where they belong, hidden where they show nothing, chosen well."""

from itertools import pairwise, product

import numpy as np
import torch
from moving_head import CAMERA, joined, somebody, speaking, still
from painted_head import CROP, chart_at, painted_windows

from face3d.morphable import default_model
from face3d.topology import LIPS
from face3d.track import Motion, camera_vertices
from face3d.view import look
from prior.painting.bank import (
    HIDDEN_UV,
    POSE_METRES,
    SWITCH_METRES,
    ReferenceBank,
    choose_references,
    distances,
    lip_positions,
    pixels_in_reference,
    visible_at,
    warp_references,
)
from prior.training.corpus import Windows
from render.fragments import interpolate

MODEL = default_model()


def bank_of(windows: Windows) -> ReferenceBank:
    cameras = [windows.camera(i) for i in range(len(windows))]
    return ReferenceBank.of(
        MODEL, windows.identity, windows.motion, windows.frame, windows.images, cameras
    )


def view_of(windows: Windows, index: int):
    return look(MODEL, windows.identity, windows.motion[index : index + 1], windows.camera(index))


def test_a_frame_warped_onto_itself_is_itself() -> None:
    """Kills half-pixel shifts and exchanged references: sharp noise comes back from the right frame
    where the lower face shows, at 33 dB (0.03 px); half a pixel off would be 8."""
    windows = painted_windows(speaking(20)[torch.tensor([0, 19])])
    random = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, windows.images.shape, generator=random, dtype=torch.uint8)
    windows = Windows(noise, *list(vars(windows).values())[1:])
    for index in range(2):
        view = view_of(windows, index)
        warped = warp_references(MODEL, view, bank_of(windows), torch.tensor([[1 - index, index]]))
        assert warped.shape == (1, 2, 4, 144, 176)
        visible = warped[0, 1, 3] > 0
        shown = visible & view.inner[0]
        assert int(shown.sum()) > 0.97 * int(view.inner.sum())
        assert not bool((visible & ~view.inner[0]).any())
        true = noise[index].float() / 127.5 - 1
        error = (warped[0, 1, :3] - true)[:, shown].square().mean()
        assert -10 * float((error / 4).log10()) > 30


def turned(radians: float) -> Motion:
    motion = still(1)
    motion.rotation[:, 1] = radians
    return motion


def test_a_warped_reference_shows_the_same_surface_point() -> None:
    """Kills a warp in the wrong direction and hidden points taken for seen: references painted with
    their own texture coordinates show each pixel its own; of a head turned away, less."""
    motion = joined(turned(-0.35), turned(0.0), turned(0.35), turned(1.0))
    motion.mouth[1, 0] = 3.0
    windows = painted_windows(motion, paint=chart_at)
    bank = bank_of(windows)
    seen = []
    for index in range(4):
        view = view_of(windows, 0)
        warped = warp_references(MODEL, view, bank, torch.tensor([[index]]))[0, 0]
        shown = warped[3] > 0
        error = (warped[:3] - chart_at(view.uv)[0]).abs()[:2, shown] / 2
        aside = error.amax(0) > HIDDEN_UV + 0.01  # edges, whose pixels mix what both sides show
        assert float(aside.float().mean()) < 0.12
        assert float(error.mean()) < 0.01
        assert float(warped[:, ~shown].abs().max()) == 0
        seen.append(float(shown.sum() / view.inner.sum()))
    assert seen[0] > 0.97
    assert seen[0] > seen[2] > seen[3]
    assert seen[3] < 0.6


def test_both_sides_of_an_edge_are_seen_as_far_as_its_pixels_reach() -> None:
    """Kills the mean around a point alone, which is neither side of the lips' inner edge, and a
    look farther than the four pixels around it."""
    seen = torch.full((1, 2, 4, 6), 0.2)
    seen[..., 3:] = 0.8
    places = torch.tensor([1.6, 2.4, 2.6, 3.4, 3.6, 4.4])
    xy = torch.stack([places, torch.full((6,), 2.0)])[None, :, None]
    wanted = torch.ones(1, 1, 6, dtype=torch.bool)
    skin, mouth = (visible_at(seen, xy, torch.full_like(xy, uv), wanted) for uv in (0.2, 0.8))
    assert skin.flatten().tolist() == [True, True, True, True, False, False]
    assert mouth.flatten().tolist() == [False, False, True, True, True, True]
    assert not visible_at(seen, xy, torch.full_like(xy, 0.5), wanted).any()
    assert not visible_at(seen, xy, torch.full_like(xy, 0.2), ~wanted).any()


def test_a_reference_is_asked_where_its_own_camera_saw_the_point() -> None:
    """Kills pixel positions interpolated linearly, 0.2 px off in the neck's triangles, and the
    view's depth for the reference's: surface points in space, projected, lie where the bank says.
    """
    motion = joined(turned(-0.35), turned(0.5))
    windows = painted_windows(motion)
    vertices = camera_vertices(MODEL, windows.identity, motion)
    for shown, reference in ((0, 1), (1, 0), (0, 0)):
        fragments = view_of(windows, shown).fragments
        points = interpolate(fragments, vertices[reference][None], MODEL.triangles)
        true = windows.camera(reference).pixels_from_camera(points.permute(0, 2, 3, 1))
        xy = pixels_in_reference(
            fragments, bank_of(windows), torch.tensor([reference]), MODEL.triangles
        )
        difference = (xy.permute(0, 2, 3, 1) - true)[fragments.face >= 0]
        assert len(difference) > 5000
        assert float(difference.abs().max()) < 1e-3


def test_distances_are_lip_distances_and_head_turns() -> None:
    """Kills millimetres for metres and distances of coefficients, which no one can see."""
    windows = painted_windows(speaking(20)[torch.tensor([0, 9, 19])])
    other = speaking(5, seed=3)
    result = distances(MODEL, bank_of(windows), other)
    for t, n in product(range(5), range(3)):
        lips = torch.einsum(
            "m,mlc->lc", other.mouth[t] - windows.motion.mouth[n], MODEL.mouth[:, list(LIPS)]
        )
        rms = lips.square().sum(1).mean().sqrt()
        turn = POSE_METRES * (other.rotation[t] - windows.motion.rotation[n]).norm()
        torch.testing.assert_close(result[t, n], torch.hypot(rms, turn), atol=2e-6, rtol=1e-3)
    assert lip_positions(MODEL, other.mouth).shape == (5, 120)


def cost_of(path: tuple[int, ...], cost: np.ndarray) -> float:
    switches = sum(a != b for a, b in pairwise(path))
    return cost[np.arange(len(path)), list(path)].sum() + SWITCH_METRES * switches


def test_references_are_the_cheapest_paths() -> None:
    """Kills a greedy choice and a wrong back-pointer: against all paths, for the first reference
    and, at the costs the first one leaves, the second."""
    random = np.random.default_rng(0)
    for _ in range(6):
        cost = random.uniform(0, 4 * SWITCH_METRES, (5, 4))
        chosen = choose_references(torch.from_numpy(cost), 2).numpy()
        costs = cost.copy()
        for path in chosen.T:
            paths = list(product(range(4), repeat=5))
            best = min(cost_of(p, costs) for p in paths)
            assert abs(cost_of(tuple(path), costs) - best) < 1e-12
            costs[np.arange(5), path] += 10 * SWITCH_METRES + costs.mean()
        assert (chosen[:, 0] != chosen[:, 1]).all()


def test_a_held_mouth_keeps_its_reference() -> None:
    """Kills references that flicker between equals: noise below the switching cost changes none."""
    random = torch.Generator().manual_seed(0)
    cost = 0.3 * SWITCH_METRES * torch.rand(30, 5, generator=random)
    assert len(choose_references(cost, 1).unique()) == 1


def test_one_reference_stands_in_for_two() -> None:
    """Kills an index beyond a bank of one frame, and a shot of one frame."""
    assert choose_references(torch.zeros(3, 1), 2).tolist() == [[0, 0]] * 3
    assert choose_references(torch.tensor([[2.0, 1.0, 3.0]]), 2).tolist() == [[1, 0]]


def test_the_bank_remembers_where_its_vertices_lie() -> None:
    """Kills projections in crop pixels instead of window pixels."""
    windows = painted_windows(speaking(3))
    pixels = bank_of(windows).pixels
    corner = windows.corner.float()
    whole = look(MODEL, somebody(), windows.motion, CROP.camera(CAMERA)).pixels
    torch.testing.assert_close(pixels + corner[:, None], whole, atol=1e-3, rtol=0)
