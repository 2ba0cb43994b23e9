"""The model card of weights: what they are, what they were taught by, under which rights."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from core.errors import InputError
from prior.motion.expression import ExpressionModel, load_driver
from prior.motion.generator import Generator, load_generator
from prior.motion.movement import Movement, load_movement
from prior.painting.renderer import RendererPrior, default_prior
from prior.sound.contact_ear import ContactEar, load_contact_ear
from prior.sound.denoiser import Denoiser, load_denoiser
from prior.sync.expert import SyncExpert, load_expert
from prior.sync.judge import SyncJudge, load_judge
from prior.weights import own_file

WHAT = {
    "renderer": "Rendering prior: paints a lower face from texture, warped references and plate.",
    "renderer_full": "Rendering prior of the full size: the same in twice as many pixels a side.",
    "denoiser": "Denoiser: takes music, hiss and other voices out of speech.",
    "contact_ear": "Contact ear: hears where lips meet.",
    "expression": "Speech model: moves the mouth's coefficients by what is heard.",
    "generator": "Generator of takes: draws how a line may deviate from the expected mouth.",
    "sync_expert": "Sync expert: do these mouth coefficients speak this sound? For training.",
    "sync_judge": "Sync judge: are these landmarks in sync with this sound? For reports.",
    "movement": "Movement: a code of how a person moves the mouth. For training.",
}
LOADERS = {
    "renderer": RendererPrior.load,
    "denoiser": Denoiser.load,
    "contact_ear": ContactEar.load,
    "expression": ExpressionModel.load,
    "generator": Generator.load,
    "sync_expert": SyncExpert.load,
    "sync_judge": SyncJudge.load,
    "movement": Movement.load,
}


def cards_in_use() -> dict[str, dict[str, Any]]:
    """What each weight file in use says of itself."""
    full = own_file("renderer_full.safetensors") is not None
    return {
        "renderer": default_prior().about,
        **({"renderer_full": default_prior("full").about} if full else {}),
        "denoiser": load_denoiser().about,
        "contact_ear": load_contact_ear().about,
        "expression": load_driver().about,
        "generator": load_generator().about,
        "sync_expert": load_expert().about,
        "sync_judge": load_judge().about,
        "movement": load_movement().about,
    }


def pages_in_use() -> str:
    """The cards of the weights in use: the written one beside those that ship."""
    pages = []
    for name, about in cards_in_use().items():
        written = files("prior") / f"{name}.md"
        ships = own_file(f"{name}.safetensors") is None and written.is_file()
        pages.append(written.read_text(encoding="utf-8") if ships else _section(name, about))
    return "\n\n".join(pages)


def card_of(path: Path) -> dict[str, dict[str, Any]]:
    """The same of one file. Raises InputError for a file that holds no weights of redub."""
    refusals = []
    for name, load in LOADERS.items():
        try:
            return {name: load(path).about}
        except InputError as refusal:
            refusals.append(refusal)
    raise refusals[0]


def markdown(cards: dict[str, dict[str, Any]]) -> str:
    """The cards as a page."""
    return "\n\n".join(_section(name, about) for name, about in cards.items())


def _section(name: str, about: dict[str, Any]) -> str:
    lines = [f"## {name}", "", WHAT[name], ""]
    for key, value in about.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            columns = list(value[0])
            lines += ["", f"{key}:", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
            lines += [
                "| " + " | ".join(str(row.get(c, "")) for c in columns) + " |" for row in value
            ]
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            lines.append(f"- {key}: {shown}")
    return "\n".join(lines)
