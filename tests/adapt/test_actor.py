"""An actor's folder: what comes back from it, and what it refuses to be."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from moving_head import somebody, speaking
from painted_head import painted_windows

from adapt.actor import LOSSY_BYTES, Actor, fingerprint, read_about, size_of
from adapt.lessons import REFERENCES, kept_references
from adapt.speaking_style import SpeakingStyle
from adapt.takes import joined
from core.errors import InputError
from face3d.morphable import default_model
from face3d.view import WINDOW_HEIGHT, WINDOW_WIDTH
from prior.motion.manner import Manner, plain_manner
from prior.painting.close_up import MOST_BYTES, CloseUp
from prior.painting.renderer import RendererPrior, default_prior, untrained
from prior.painting.skin import Skin
from prior.training.corpus import MARGIN, Windows
from render.deferred import DeferredRenderer, RendererConfig
from render.neural_texture import CHANNELS, SIZE

MODEL = default_model()


def small_prior() -> RendererPrior:
    torch.manual_seed(0)
    network = DeferredRenderer(RendererConfig(widths=(8, 8, 8, 8)))
    return replace(untrained(0), config=network.config, weights=network.state_dict())


PRIOR = small_prior()


def learned() -> Actor:
    """An actor whose every number differs from the prior's and the defaults."""
    random = torch.Generator().manual_seed(0)
    plain = plain_manner(MODEL)
    manner = Manner(
        plain.heard, 1.5 * plain.seen, plain.direction + 0.25, plain.posture - 0.5, plain.weights,
        plain.closed,
    )  # fmt: skip
    return Actor(
        identity=replace(
            somebody(),
            offset=0.001 * torch.randn(468, 3, generator=random),
            albedo=torch.rand(50, 3, generator=random),
            teeth=-0.0013,
        ),
        texture=torch.randn(16, 32, 32, generator=random),
        weights={
            k: v + 0.01 * torch.randn(v.shape, generator=random) for k, v in PRIOR.weights.items()
        },
        windows=painted_windows(speaking(4), frames=torch.tensor([3, 8, 9, 40])),
        skin=Skin(torch.randn(3, 64, 64, generator=random), torch.rand(64, 64) > 0.5),
        style=SpeakingStyle(manner, "clip.mp4", 1.25, 0.5),
        about={"ticket": "t", "seed": 3},
    )


def test_an_actor_survives_the_folder(tmp_path: Path) -> None:
    """Kills a field forgotten in save or load, and a difference taken to another prior."""
    actor = learned()
    actor.save(tmp_path / "ann", PRIOR)
    again = Actor.load(tmp_path / "ann", PRIOR)
    for name in ("shape", "offset", "albedo"):
        assert torch.equal(getattr(again.identity, name), getattr(actor.identity, name)), name
    assert again.identity.teeth == actor.identity.teeth
    assert torch.equal(again.texture, actor.texture.half().float())
    for name, value in actor.weights.items():
        torch.testing.assert_close(again.weights[name], value, atol=3e-5, rtol=0)
    for name in ("images", "corner", "frame"):
        assert torch.equal(getattr(again.windows, name), getattr(actor.windows, name)), name
    assert torch.equal(again.skin.colours, actor.skin.colours)
    assert torch.equal(again.skin.known, actor.skin.known)
    assert again.windows.crop_cameras == actor.windows.crop_cameras
    for name, value in vars(actor.windows.motion).items():
        assert torch.equal(value, getattr(again.windows.motion, name)), name
    for name, value in vars(actor.style.manner).items():
        other = getattr(again.style.manner, name)
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
    assert (again.style.source, again.style.lag_frames) == ("clip.mp4", 1.25)
    assert (again.about["ticket"], again.about["seed"]) == ("t", 3)


def test_close_ups_survive_beside_references_that_have_none(tmp_path: Path) -> None:
    """Kills close-ups that move to their neighbours when one is missing, a draft that uses them,
    and a folder that keeps those of the actor it held before."""
    actor = learned()
    close_ups = (CloseUp(b"one", 0.5, -0.25, 2.5), None, CloseUp(b"three", 0, 0, 1.75), None)
    rich = replace(actor, windows=replace(actor.windows, close_ups=close_ups))
    rich.save(tmp_path / "ann", PRIOR)
    again = Actor.load(tmp_path / "ann", PRIOR)
    assert again.windows.close_ups == close_ups
    assert again.person(MODEL, PRIOR).close_ups == close_ups
    assert again.person(MODEL, PRIOR, closely=False).close_ups == ()
    assert rich.windows[[2, 1]].close_ups == (close_ups[2], None)
    both = joined([rich.windows, actor.windows])
    assert both.close_ups == (*close_ups, None, None, None, None)
    actor.save(tmp_path / "ann", PRIOR)
    assert Actor.load(tmp_path / "ann", PRIOR).windows.close_ups == ()
    rich.save(tmp_path / "ann", PRIOR)
    (tmp_path / "ann" / "close_ups.safetensors").unlink()
    with pytest.raises(InputError, match=r"no close_ups\.safetensors"):
        Actor.load(tmp_path / "ann", PRIOR)


def test_what_an_actor_is_now_outweighs_what_its_document_said(tmp_path: Path) -> None:
    """Kills facts of the file an actor came from written over those of the actor: a style learned
    anew would still be said to be the old one's, and its habit never used."""
    learned().save(tmp_path / "ann", PRIOR)
    known = Actor.load(tmp_path / "ann", PRIOR)
    style = replace(known.style, source="other.mp4", lag_frames=-2.0, taught="now")
    replace(known, style=style).save(tmp_path / "ann", PRIOR)
    again = Actor.load(tmp_path / "ann", PRIOR)
    assert (again.style.source, again.style.lag_frames) == ("other.mp4", -2.0)
    assert (again.style.taught, again.about["seed"]) == ("now", 3)


def test_an_actor_that_was_saved_renders_like_the_one_that_was_not(tmp_path: Path) -> None:
    """Kills weights loaded into the wrong layers, and a bank built of other windows."""
    actor = learned()
    actor.save(tmp_path / "ann", PRIOR)
    before = actor.person(MODEL, PRIOR)
    after = Actor.load(tmp_path / "ann", PRIOR).person(MODEL, PRIOR)
    assert not after.renderer.training
    inputs = (
        torch.randn(1, 16, 32, 48), torch.randn(1, 3, 32, 48), torch.ones(1, 2, 32, 48),
        torch.rand(1, 2, 4, 32, 48),
    )  # fmt: skip
    with torch.no_grad():
        torch.testing.assert_close(
            before.renderer(*inputs), after.renderer(*inputs), atol=5e-3, rtol=0
        )
    assert torch.equal(before.bank.pixels, after.bank.pixels)
    assert torch.equal(before.bank.uv, after.bank.uv)


def test_another_prior_is_refused(tmp_path: Path) -> None:
    """Kills a difference added to weights it was not taken from; the sentence says what to do."""
    learned().save(tmp_path / "ann", PRIOR)
    weights = {k: v + 0.01 for k, v in PRIOR.weights.items()}
    with pytest.raises(InputError, match=r"another prior.*adapt the actor again"):
        Actor.load(tmp_path / "ann", replace(PRIOR, weights=weights))


def test_a_priors_print_survives_its_file(tmp_path: Path) -> None:
    """Kills a fingerprint of full precision: the shipped file holds halves, and each actor adapted
    before it was saved would be refused."""
    PRIOR.save(tmp_path / "p.safetensors")
    assert fingerprint(RendererPrior.load(tmp_path / "p.safetensors")) == fingerprint(PRIOR)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 99}, "schema 99.*update redub"),
        ({"schema": 0}, "make it again"),
        ({"kind": "corpus"}, "holds corpus, not a redub actor"),
    ],
)
def test_another_schema_is_refused(tmp_path: Path, change: dict, words: str) -> None:
    """Kills a newer or foreign folder read as if it were ours."""
    learned().save(tmp_path / "ann", PRIOR)
    path = tmp_path / "ann" / "actor.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=words):
        Actor.load(tmp_path / "ann", PRIOR)


def test_a_folder_that_is_no_actor_is_refused(tmp_path: Path) -> None:
    """Kills a KeyError or a JSON trace shown to the user."""
    with pytest.raises(InputError, match=r"has no actor\.json"):
        read_about(tmp_path)
    for content in (b"{", b"\xff\xfe\x00"):
        (tmp_path / "actor.json").write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            read_about(tmp_path)


def test_a_save_that_breaks_off_leaves_the_old_actor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills half of a new actor beside the old actor.json, and one that is refined in its own
    folder and lost because the disk is full."""
    import adapt.actor as module

    learned().save(tmp_path / "ann", PRIOR)
    saved = module.save_tensors

    def full(path: Path, *rest) -> None:
        if path.name == "references.safetensors":
            raise InputError("the disk is full")
        saved(path, *rest)

    monkeypatch.setattr(module, "save_tensors", full)
    newer = replace(learned(), texture=torch.zeros(16, 32, 32), about={"ticket": "newer"})
    with pytest.raises(InputError):
        newer.save(tmp_path / "ann", PRIOR)
    kept = Actor.load(tmp_path / "ann", PRIOR)
    assert kept.about["ticket"] == "t"
    assert torch.equal(kept.texture, learned().texture.half().float())
    assert sorted(path.name for path in (tmp_path / "ann").iterdir()) == [
        "actor.json", "identity.safetensors", "references.safetensors", "renderer.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize("part", ["identity", "renderer", "references"])
def test_a_part_that_is_missing_or_cut_short_is_named(tmp_path: Path, part: str) -> None:
    """Kills a remedy for another mistake, and a trace of the file format's own library."""
    folder = tmp_path / "ann"
    learned().save(folder, PRIOR)
    path = folder / f"{part}.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=rf"{part}\.safetensors is not .* make it again"):
        Actor.load(folder, PRIOR)
    path.unlink()
    with pytest.raises(InputError, match=rf"has no {part}\.safetensors.*copy the folder again"):
        Actor.load(folder, PRIOR)


def test_an_actor_fits_into_thirty_megabytes(tmp_path: Path) -> None:
    """Kills full-precision weights, references with their margins or without a limit: a full actor
    of the shipped network, incompressible, leaves 5 MB for the report."""
    prior = default_prior()
    random = torch.Generator().manual_seed(0)
    actor = learned()
    motion = speaking(REFERENCES)
    images = torch.randint(0, 256, (REFERENCES, 3, WINDOW_HEIGHT, WINDOW_WIDTH), generator=random)
    windows = Windows(
        images.byte(),
        torch.zeros(REFERENCES, 2, dtype=torch.int32),
        torch.arange(REFERENCES),
        motion,
        actor.identity,
        actor.windows.crop_cameras[:1] * REFERENCES,
    )
    weights = {k: v + torch.rand(v.shape, generator=random) for k, v in prior.weights.items()}
    texture = torch.rand(CHANNELS, SIZE, SIZE, generator=random)
    replace(actor, windows=windows, weights=weights, texture=texture).save(tmp_path, prior)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 25e6
    assert len(kept_references(joined([windows] * 2), MODEL)) == REFERENCES


def test_a_full_actor_fits_too(tmp_path: Path) -> None:
    """Kills lossless references of the full size, light crops around them when they are loaded, and
    as many as of the light size: each picture and close-up may take its most, and 5 MB are left for
    the report."""
    prior, actor = untrained(0, "full"), learned()
    count = REFERENCES // 2
    first = painted_windows(speaking(1), 2 * MARGIN, scale=2)
    assert len(kept_references(joined([first] * 2 * count), MODEL)) == count
    kept = kept_references(joined([first] * 2), MODEL)
    random = torch.Generator().manual_seed(0)
    weights = {k: v + torch.rand(v.shape, generator=random) for k, v in prior.weights.items()}
    texture = torch.rand(CHANNELS, 2 * SIZE, 2 * SIZE, generator=random)
    full = replace(actor, windows=kept, weights=weights, texture=texture, about={"size": "full"})
    full.save(tmp_path, prior)
    assert size_of(tmp_path) == "full"
    again = Actor.load(tmp_path, prior)
    assert again.windows.images.shape == kept.images.shape
    away = (again.windows.images.float() - kept.images.float()).abs()
    assert 0 < float(away.mean()) < 2
    person = again.person(MODEL, prior)
    assert (person.scale, again.windows.scale) == (2, 2)
    assert person.bank.images.shape[-2:] == (2 * WINDOW_HEIGHT, 2 * WINDOW_WIDTH)
    written = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    rest = sum(size for name, size in written.items() if name != "references.safetensors")
    assert rest + count * (MOST_BYTES + LOSSY_BYTES) < 25.1e6


def test_an_older_actor_is_a_light_one(tmp_path: Path) -> None:
    """Kills a KeyError, or full weights asked for, where `actor.json` says nothing of a size."""
    learned().save(tmp_path, PRIOR)
    assert size_of(tmp_path) == "light"
