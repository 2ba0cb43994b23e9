"""What the renderer is shown: never the old mouth, and always the same under another light."""

import torch
from moving_head import somebody, speaking
from painted_head import painted_windows

from face3d.mask import swept_mask
from face3d.morphable import default_model
from face3d.view import look
from prior.painting.bank import ReferenceBank
from prior.painting.conditions import Conditions, assembled, relit, stacked, tinted
from prior.painting.grade import random_grade
from prior.painting.skin import normal_chart
from prior.training.corpus import Windows

MODEL = default_model()
MOTION = speaking(40)[torch.tensor([0, 13, 39])]
CHOSEN = torch.tensor([[1, 2]])


def shown(windows: Windows, image: torch.Tensor) -> Conditions:
    """Conditions of the first frame with the others as references."""
    cameras = [windows.camera(i) for i in range(len(windows))]
    bank = ReferenceBank.of(
        MODEL, windows.identity, windows.motion, windows.frame, windows.images, cameras
    )
    view = look(MODEL, windows.identity, MOTION[:1], cameras[0])
    outer = swept_mask(MODEL, windows.identity, MOTION[:1], cameras[0])[:, None].float()
    return assembled(MODEL, view, outer, image, bank, CHOSEN)


def test_nothing_inside_the_outer_mask_is_seen() -> None:
    """Kills the leak that would teach the network to copy the plate's mouth: pixels inside the
    outer mask may hold anything."""
    windows = painted_windows(MOTION)
    image = windows.images[:1].float() / 127.5 - 1
    outer = swept_mask(MODEL, somebody(), MOTION[:1], windows.camera(0))[:, None]
    before = shown(windows, image)
    after = shown(windows, torch.where(outer, torch.randn_like(image), image))
    for name, value in vars(before).items():
        assert torch.equal(value, getattr(after, name)), name
    assert torch.equal(before.outer, outer.float())
    assert float((before.plate * before.outer).abs().max()) == 0
    assert torch.equal(before.plate[~outer.expand_as(image)], image[~outer.expand_as(image)])


def test_inner_lies_within_outer_and_references_within_inner() -> None:
    """Kills masks that overlap the plate: a pixel is plate, or repainted, never both."""
    windows = painted_windows(MOTION)
    seen = shown(windows, windows.images[:1].float() / 127.5 - 1)
    assert bool((seen.inner <= seen.outer).all())
    assert bool((seen.references[:, :, 3:] <= seen.inner[:, None]).all())
    assert float(seen.inner.sum()) > 2000


def test_tinting_what_was_seen_is_seeing_what_was_tinted() -> None:
    """Kills tints that colour the masked black, forget a reference or reach the hidden features."""
    windows = painted_windows(MOTION)
    image = windows.images[:1].float() / 127.5 - 1
    gain = torch.tensor([0.5, 0.75, 0.25])[None, :, None, None]
    darker = (windows.images * gain).round().byte()
    expected = shown(Windows(darker, *list(vars(windows).values())[1:]), (image + 1) * gain - 1)
    seen = shown(windows, image)
    features = torch.randn(1, 16, *image.shape[-2:]) * seen.inner
    result, coloured = tinted(seen, features, gain)
    torch.testing.assert_close(result.plate, expected.plate, atol=1e-6, rtol=0)
    torch.testing.assert_close(result.references, expected.references, atol=0.012, rtol=0)
    torch.testing.assert_close(coloured[:, 3:], features[:, 3:])
    torch.testing.assert_close(
        coloured[:, :3], ((features[:, :3] + 1) * gain - 1) * seen.inner, atol=1e-6, rtol=0
    )
    same, plain = tinted(seen, features, torch.ones_like(gain))
    torch.testing.assert_close(same.references, seen.references, atol=1e-6, rtol=0)
    torch.testing.assert_close(plain, features, atol=1e-6, rtol=0)


def test_stacks_come_apart_again() -> None:
    """Kills columns exchanged in a batch."""
    windows = painted_windows(MOTION)
    one = shown(windows, windows.images[:1].float() / 127.5 - 1)
    two = shown(windows, torch.zeros(1, 3, 144, 176))
    both = stacked([one, two])
    for part, index in ((one, 0), (two, 1)):
        for name, value in vars(part).items():
            assert torch.equal(value, getattr(both[index : index + 1], name)), name


def test_relighting_leaves_what_the_actor_knows() -> None:
    """Kills references lit with the plate, and a plate that shows more than before: only what
    surrounds the mouth and the picture to be made are in the new light."""
    windows = painted_windows(MOTION)
    picture = (windows.images[:1].float() / 127.5 - 1) * 0.9
    seen = shown(windows, picture)
    light = random_grade(normal_chart(MODEL, somebody()), torch.Generator().manual_seed(3))
    changed, lit = relit(seen, picture, light)
    assert torch.equal(changed.references, seen.references)
    assert torch.equal(changed.plate, lit * (1 - seen.outer))
    assert float((lit - picture).abs().mean()) > 0.02
    assert float((light.to_actor(lit, seen.uv) - picture).abs().max()) < 0.02
