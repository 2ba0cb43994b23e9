"""An actor: everything that dubbing needs of a person, in one folder.

actor.json              schema, versions, where it came from
identity.safetensors    shape of the face
renderer.safetensors    neural texture, and the network as a difference to the prior
references.safetensors  lower-face windows of the footage, and the face's skin in it
close_ups.safetensors   the same windows in the footage's own pixels, where those are more
report/                 what was learned, to look at
"""

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from adapt.speaking_style import SpeakingStyle
from core.camera import Camera
from core.errors import InputError
from core.serial import Schema, check_schema, load_tensors, save_json, save_tensors, unwritable
from core.size import Size
from face3d.morphable import MorphableModel
from face3d.track import Identity, Motion
from prior.motion.habit import Habit
from prior.motion.manner import Manner
from prior.painting.bank import ReferenceBank
from prior.painting.close_up import CloseUp, from_jpeg, to_jpeg
from prior.painting.person import Person
from prior.painting.renderer import RendererPrior
from prior.painting.skin import Skin
from prior.painting.texture_start import TextureStart
from prior.training.corpus import Windows
from render.deferred import DeferredRenderer
from render.neural_texture import COLOURS, NeuralTexture

SCHEMA = Schema("actor", 2)
PARTS = {
    name: Schema(f"actor-{name}", 2) for name in ("identity", "renderer", "references", "close_ups")
}

LOSSLESS_BYTES, LOSSY_BYTES = 80_000, 40_000
"""A picture up to this size is kept as it is, which is a light one; of a larger one JPEG keeps so
much (46 dB): of the 30 MB that an actor may have, 17.7 are a full one's texture and network."""


@dataclass(frozen=True)
class Actor:
    """A person, learned. `weights` are the network's, complete."""

    identity: Identity
    texture: Float[Tensor, "C R R"]
    weights: dict[str, Tensor]
    windows: Windows
    skin: Skin
    style: SpeakingStyle
    about: dict[str, Any] = field(default_factory=dict)

    def person(self, model: MorphableModel, prior: RendererPrior, closely: bool = True) -> Person:
        """The actor ready to render; with the close-ups that large faces get their detail from,
        unless told otherwise."""
        windows = replace(self.windows, identity=self.identity)
        person = person_of(model, prior, self.weights, self.texture, windows, self.skin)
        return person if closely else replace(person, close_ups=())

    def as_start(self, prior: RendererPrior) -> RendererPrior:
        """What further learning starts from: this actor in the place of everybody."""
        return going_on(prior, self.weights, self.texture)

    def save(self, folder: Path, prior: RendererPrior) -> None:
        """Write the folder. An actor it held stays whole until all of the new one is written; then
        `actor.json` goes first and comes last, so that a mixture is never taken for one."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=folder, prefix=".new-") as name:
                self._write(Path(name), prior)
                for old in ("actor.json", "close_ups.safetensors"):
                    (folder / old).unlink(missing_ok=True)
                for part in (*Path(name).glob("*.safetensors"), Path(name) / "actor.json"):
                    os.replace(part, folder / part.name)
        except OSError as error:
            raise unwritable(folder, error) from error

    def _write(self, folder: Path, prior: RendererPrior) -> None:
        """The actor's own files, into an empty folder."""
        save_tensors(
            folder / "identity.safetensors",
            PARTS["identity"],
            {
                "shape": self.identity.shape,
                "offset": self.identity.offset,
                "teeth": torch.tensor(self.identity.teeth, dtype=torch.float64),
                **({} if self.identity.albedo is None else {"albedo": self.identity.albedo}),
                **{f"manner_{k}": v for k, v in _tensors(self.style.manner).items()},
                **{f"habit_{k}": v for k, v in _tensors(self.style.habit).items()},
            },
            {"closed": self.style.manner.closed},
        )
        change = {
            f"weight.{name}": (value - prior.weights[name]).half()
            for name, value in self.weights.items()
        }
        tensors = change | {"texture": self.texture.half()}
        save_tensors(folder / "renderer.safetensors", PARTS["renderer"], tensors, {})
        windows = self.windows
        save_tensors(
            folder / "references.safetensors",
            PARTS["references"],
            {
                **packed(windows.images),
                "corner": windows.corner,
                "frame": windows.frame,
                "skin": self.skin.colours,
                "skin_known": self.skin.known,
                **{f"motion_{name}": value for name, value in vars(windows.motion).items()},
            },
            {"cameras": [vars(camera) for camera in windows.crop_cameras]},
        )
        save_close_ups(folder / "close_ups.safetensors", windows.close_ups)
        document = {
            **self.about,
            "kind": SCHEMA.kind,
            "schema": SCHEMA.version,
            "prior": fingerprint(prior),
            "style": style_facts(self.style),
            "close_ups": sum(one is not None for one in self.windows.close_ups),
        }
        save_json(folder / "actor.json", document)

    @staticmethod
    def load(folder: Path, prior: RendererPrior) -> "Actor":
        """Raises InputError for a folder that is no actor, not a whole one, of another schema or
        another prior."""
        about = read_about(folder)
        close_ups = ("close_ups",) if about.get("close_ups") else ()  # older actors have none
        for name in ("identity", "renderer", "references", *close_ups):
            if not (folder / f"{name}.safetensors").exists():
                raise InputError(
                    f"{folder} is not a whole actor (it has no {name}.safetensors); "
                    "copy the folder again, or adapt the actor again."
                )
        if about["prior"] != fingerprint(prior):
            raise InputError(
                f"{folder} was adapted from another prior ({about['prior'][:12]}) than this "
                f"redub's ({fingerprint(prior)[:12]}); adapt the actor again."
            )
        identity, held = load_tensors(folder / "identity.safetensors", PARTS["identity"])
        renderer, _ = load_tensors(folder / "renderer.safetensors", PARTS["renderer"])
        references, header = load_tensors(folder / "references.safetensors", PARTS["references"])
        weights = {
            name: base + renderer[f"weight.{name}"].float() for name, base in prior.weights.items()
        }
        names = ("rotation", "translation", "mouth", "upper")
        teeth = float(identity.get("teeth", 0.0))  # actors of older versions have average ones
        who = Identity(identity["shape"], identity["offset"], identity.get("albedo"), teeth)
        cameras = [
            Camera(**{**camera, "centre": tuple(camera["centre"])}) for camera in header["cameras"]
        ]
        windows = Windows(
            unpacked(references),
            references["corner"],
            references["frame"],
            Motion(*(references[f"motion_{name}"] for name in names)),
            who,
            tuple(cameras),
            load_close_ups(folder / "close_ups.safetensors", len(cameras)),
            prior.config.scale,
        )
        manner, habit = (
            {k.removeprefix(part): v for k, v in identity.items() if k.startswith(part)}
            for part in ("manner_", "habit_")
        )
        style = SpeakingStyle(
            Manner(**manner, closed=held["closed"]),
            **about["style"],
            habit=Habit(**habit) if habit else None,
        )
        skin = Skin(references["skin"], references["skin_known"])
        return Actor(who, renderer["texture"].float(), weights, windows, skin, style, about)


def person_of(
    model: MorphableModel,
    prior: RendererPrior,
    weights: dict[str, Tensor],
    texture: Float[Tensor, "C R R"],
    windows: Windows,
    skin: Skin,
) -> Person:
    """Whom these weights and this texture paint, from the reference frames in `windows`."""
    renderer = DeferredRenderer(prior.config)
    renderer.load_state_dict(weights)
    renderer.to(memory_format=torch.channels_last)  # pyright: ignore
    cameras = [windows.camera(i) for i in range(len(windows))]
    bank = ReferenceBank.of(
        model, windows.identity, windows.motion, windows.frame, windows.images, cameras
    )
    network, neural, scale = renderer.eval(), NeuralTexture(texture), prior.config.scale
    return Person(model, windows.identity, network, neural, bank, skin, windows.close_ups, scale)


def going_on(
    prior: RendererPrior, weights: dict[str, Tensor], texture: Float[Tensor, "C R R"]
) -> RendererPrior:
    """The prior with someone's weights and texture in the place of everybody's."""
    return replace(
        prior,
        weights=weights,
        start=TextureStart().state_dict(),  # untrained: adds nothing to what is known
        colours=texture[:COLOURS],
        features=texture[COLOURS:],
    )


def packed(images: UInt8[Tensor, "N 3 H W"]) -> dict[str, Tensor]:
    """Pictures to be written: small ones as they are, larger ones as JPEG bytes."""
    if images[0].nbytes <= LOSSLESS_BYTES:
        return {"images": images}
    coded = [to_jpeg(image.permute(1, 2, 0).numpy(), LOSSY_BYTES) for image in images]
    return {
        f"jpeg.{i:03d}": torch.frombuffer(bytearray(content), dtype=torch.uint8)
        for i, content in enumerate(coded)
    }


def unpacked(tensors: dict[str, Tensor]) -> UInt8[Tensor, "N 3 H W"]:
    """The pictures that `packed` made tensors of."""
    if "images" in tensors:
        return tensors["images"]
    names = sorted(name for name in tensors if name.startswith("jpeg."))
    pictures = [from_jpeg(tensors[name].numpy().tobytes()) for name in names]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def save_close_ups(path: Path, close_ups: tuple[CloseUp | None, ...]) -> None:
    """One tensor of JPEG bytes a close-up, named by its reference; no file where there are none."""
    known = {str(i): one for i, one in enumerate(close_ups) if one is not None}
    if known:
        pictures = {
            i: torch.frombuffer(bytearray(c.jpeg), dtype=torch.uint8) for i, c in known.items()
        }
        where = {i: [one.left, one.top, one.density] for i, one in known.items()}
        save_tensors(path, PARTS["close_ups"], pictures, {"where": where})


def load_close_ups(path: Path, count: int) -> tuple[CloseUp | None, ...]:
    """What `save_close_ups` wrote, for so many references."""
    if not path.exists():
        return ()
    pictures, header = load_tensors(path, PARTS["close_ups"])
    where = header["where"]
    return tuple(
        CloseUp(pictures[i].numpy().tobytes(), *where[i]) if i in where else None
        for i in map(str, range(count))
    )


def _tensors(part: Manner | Habit | None) -> dict[str, Tensor]:
    fields = {} if part is None else vars(part)
    return {name: value for name, value in fields.items() if isinstance(value, Tensor)}


def style_facts(style: SpeakingStyle) -> dict[str, Any]:
    """What is known of a style's origin."""
    return {
        "source": style.source,
        "lag_frames": round(style.lag_frames, 2),
        "lag_confidence": round(style.lag_confidence, 3),
        "taught": style.taught,
    }


def read_about(folder: Path) -> dict[str, Any]:
    """An actor's document. Raises InputError for a folder that holds none, or of another schema."""
    path = folder / "actor.json"
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} is not an actor folder (it has no actor.json); make one with "
            "`adapt --actor CLIP`."
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); adapt the actor again.") from error
    check_schema(path, document, SCHEMA)
    return document


def size_of(folder: Path) -> Size:
    """The size of an actor's renderer. Raises InputError as `read_about` does."""
    return read_about(folder).get("size", "light")  # actors of older versions are all light


def fingerprint(prior: RendererPrior) -> str:
    """A hash of a prior's weights: an actor is a difference to exactly these."""
    digest = hashlib.sha256()
    for name in sorted(prior.weights):
        digest.update(name.encode())
        digest.update(prior.weights[name].half().numpy().tobytes())
    return digest.hexdigest()
