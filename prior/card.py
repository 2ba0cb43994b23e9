"""The model card of weights: what they are, what they were taught by, under which rights."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from core.errors import InputError
from prior.expression import ExpressionModel, load_driver
from prior.renderer import RendererPrior, default_prior

WHAT = {
    "renderer": "Rendering prior: paints a lower face from texture, warped references and plate.",
    "expression": "Speech model: moves the mouth's coefficients by what is heard.",
}


def shipped_cards() -> dict[str, dict[str, Any]]:
    """What each weight file that ships with redub says of itself."""
    return {"renderer": default_prior().about, "expression": load_driver().about}


def shipped_pages() -> str:
    """The cards of the weights that ship: the written one where it lies beside them."""
    pages = []
    for name, about in shipped_cards().items():
        written = files("prior") / f"{name}.md"
        pages.append(written.read_text() if written.is_file() else _section(name, about))
    return "\n\n".join(pages)


def card_of(path: Path) -> dict[str, dict[str, Any]]:
    """The same of one file. Raises InputError for a file that holds no weights of redub."""
    try:
        return {"renderer": RendererPrior.load(path).about}
    except InputError as not_a_renderer:
        try:
            return {"expression": ExpressionModel.load(path).about}
        except InputError:
            raise not_a_renderer from None


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
