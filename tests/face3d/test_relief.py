"""Depth modes: a person's own relief is the same face, said in offsets."""

import torch
from moving_head import somebody

from face3d.morphable import default_model
from face3d.relief import folded, opened, relief_modes, with_relief
from face3d.topology import LANDMARKS, NOSE_TIP

MODEL = default_model().to(torch.float64)


def test_relief_moves_depth_alone_and_the_rest_of_the_head_with_it() -> None:
    """Kills modes that shift a face across, and teeth left behind: further vertices follow by the
    model's attachment."""
    modes = relief_modes(MODEL)
    assert float(modes[..., :2].abs().max()) == 0
    size = modes[:, :LANDMARKS, 2].square().mean(1).sqrt()
    torch.testing.assert_close(size.max(), size[0])
    followed = torch.einsum("nl,zl->zn", MODEL.attachment, modes[:, :LANDMARKS, 2])
    torch.testing.assert_close(modes[:, LANDMARKS:, 2], followed)
    assert int(modes[0, :LANDMARKS, 2].argmax()) in (NOSE_TIP, 1)


def test_a_folded_person_has_the_same_face() -> None:
    """Kills an offset forgotten, counted twice, or of the wrong coefficients."""
    wide = with_relief(MODEL)
    who = somebody()
    who = type(who)(who.shape.double(), 0.001 * torch.ones_like(who.offset).double())
    start = opened(who, wide)
    torch.testing.assert_close(
        wide.shape(start.shape, start.offset), MODEL.shape(who.shape, who.offset)
    )
    start.shape[len(who.shape) :] = torch.linspace(-1, 1, len(start.shape) - len(who.shape))
    plain = folded(start, wide, MODEL)
    torch.testing.assert_close(
        wide.shape(start.shape, start.offset), MODEL.shape(plain.shape, plain.offset)
    )
