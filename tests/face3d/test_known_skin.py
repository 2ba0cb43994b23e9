"""Skin that other footage has told: it stays, and says where on the face the mesh lies."""

from dataclasses import replace

import torch

from face3d.appearance import Appearance, even_light, fit_appearance, harmonics
from face3d.morphable import default_model
from face3d.photometric import Surface
from face3d.refine import Portrait, is_known, lit_alike
from face3d.samples import surface_samples
from face3d.track import Identity


def test_known_albedo_stays_and_only_light_is_fitted() -> None:
    """Kills an actor's skin that is learned anew from every plate: under a light half as strong
    albedo stays and the light halves; a sample that the footage never showed is learned."""
    random = torch.Generator().manual_seed(0)
    albedo = 60 + 120 * torch.rand(400, 3, generator=random)
    normals = torch.nn.functional.normalize(torch.randn(5, 400, 3, generator=random), dim=-1)
    colours = 0.5 * albedo.expand(5, -1, -1)
    known = albedo.clone()
    known[7] = 0
    seen = torch.ones(5, 400)
    fitted = fit_appearance(colours, harmonics(normals), seen, known)
    others = torch.arange(400) != 7
    assert torch.equal(fitted.albedo[others], albedo[others])
    assert torch.allclose(fitted.light[0], torch.full((3,), 0.5), atol=0.02)
    assert float(fitted.albedo[7].min()) > 20
    alone = fit_appearance(colours, harmonics(normals), seen)
    assert float((alone.albedo[others] - albedo[others]).abs().mean()) > 20


def test_shadows_of_another_recording_make_skin_unknown() -> None:
    """Kills known skin taken in any light: half the light is a light, a shadow over every third
    sample is none."""
    random = torch.Generator().manual_seed(1)
    albedo = 60 + 120 * torch.rand(400, 3, generator=random)
    normals = torch.nn.functional.normalize(torch.randn(5, 400, 3, generator=random), dim=-1)
    basis, seen = harmonics(normals), torch.ones(5, 400)
    noise = 4 * torch.randn(5, 400, 3, generator=random)

    def alike(shade: torch.Tensor) -> bool:
        colours = albedo * shade[:, None] + noise
        own = fit_appearance(colours, basis, seen)
        return lit_alike(own, fit_appearance(colours, basis, seen, albedo))

    assert alike(torch.full((400,), 0.5))
    assert not alike(torch.where(torch.rand(400, generator=random) < 0.33, 0.6, 1.0))


def test_only_the_skin_that_is_known_anchors_the_mesh() -> None:
    """Kills doubting landmarks where a known person's skin was replaced by the clip's own."""
    skin = torch.rand(5, 3, generator=torch.Generator().manual_seed(1)) * 200 + 20
    skin[0] = 0  # never seen before, so it may be learned here
    person = Identity(torch.zeros(1), torch.zeros(468, 3), skin)
    here = torch.where(skin > 0, skin, 90.0)

    model = default_model()
    anyone = Identity(torch.zeros(len(model.identity)), torch.zeros(468, 3))
    surface = Surface.of(model, surface_samples(model, 50), anyone)

    def known(albedo: torch.Tensor, who: Identity) -> bool:
        look = Appearance(albedo, even_light(), torch.ones(5))
        return is_known(Portrait(surface, (look,)), who)

    assert known(here, person)
    assert not known(here + 1, person)
    assert not known(here, replace(person, albedo=None))
