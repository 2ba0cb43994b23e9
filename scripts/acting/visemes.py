"""From phonemes to control curves.

Every phoneme pulls the controls towards its shape with a strength that decays around its middle,
so neighbours colour each other (dominance functions: Cohen and Massaro 1993). What must not be
coloured, lips meeting for m, b and p and the lip under the teeth for f and v, is laid over it as
plateaus that hold for at least one whole frame.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from .speech import Phoneme

Shape = Mapping[str, float]

REST: Shape = {"jawOpen": 0.0}
_ALVEOLAR: Shape = {
    "jawOpen": 0.07,
    "mouthStretch": 0.2,
    "mouthLowerDown": 0.75,
    "mouthUpperUp": 0.25,
    "tongueUp": 0.6,
}
_POSTALVEOLAR: Shape = {
    "jawOpen": 0.07,
    "mouthFunnel": 0.55,
    "mouthPucker": 0.25,
    "mouthLowerDown": 0.35,
}
_VELAR: Shape = {"jawOpen": 0.15, "mouthLowerDown": 0.45, "mouthUpperUp": 0.1}
_DENTAL: Shape = {
    "jawOpen": 0.13,
    "mouthLowerDown": 0.45,
    "mouthUpperUp": 0.2,
    "tongueUp": 0.5,
    "tongueOut": 0.9,
}
_BILABIAL: Shape = {"jawOpen": 0.05}
_LABIODENTAL: Shape = {"jawOpen": 0.07, "mouthUpperUp": 0.5, "noseSneer": 0.05}
_ROUND: Shape = {"jawOpen": 0.08, "mouthPucker": 0.85, "mouthFunnel": 0.25}
_SPREAD: Shape = {
    "jawOpen": 0.11,
    "mouthStretch": 0.4,
    "mouthSmile": 0.25,
    "mouthLowerDown": 0.55,
    "mouthUpperUp": 0.2,
}
_OPEN: Shape = {
    "jawOpen": 0.5,
    "mouthStretch": 0.15,
    "mouthLowerDown": 0.4,
    "mouthUpperUp": 0.2,
}
_MID: Shape = {
    "jawOpen": 0.27,
    "mouthStretch": 0.2,
    "mouthLowerDown": 0.45,
    "mouthUpperUp": 0.15,
}
_MID_ROUND: Shape = {
    "jawOpen": 0.3,
    "mouthFunnel": 0.6,
    "mouthPucker": 0.3,
    "mouthLowerDown": 0.2,
}
_R: Shape = {"jawOpen": 0.1, "mouthFunnel": 0.35, "mouthPucker": 0.3, "mouthLowerDown": 0.3}
_L: Shape = {"jawOpen": 0.18, "mouthLowerDown": 0.5, "mouthUpperUp": 0.15, "tongueUp": 1.0}

SHAPES: Mapping[str, Shape] = {
    "": REST,
    **dict.fromkeys(("m", "b", "p"), _BILABIAL),
    **dict.fromkeys(("f", "v"), _LABIODENTAL),
    **dict.fromkeys(("θ", "ð"), _DENTAL),
    **dict.fromkeys(("t", "d", "n", "s", "z", "ɾ"), _ALVEOLAR),
    **dict.fromkeys(("ʃ", "ʒ", "tʃ", "dʒ"), _POSTALVEOLAR),
    **dict.fromkeys(("k", "ɡ", "ŋ", "h"), _VELAR),
    **dict.fromkeys(("w", "u", "ʊ"), _ROUND),
    **dict.fromkeys(("i", "ɪ", "ᵻ", "j"), _SPREAD),
    **dict.fromkeys(("ɑ", "a", "æ"), _OPEN),
    **dict.fromkeys(("ɛ", "e", "ə", "ɐ", "ʌ", "ɚ", "ɜ"), _MID),
    **dict.fromkeys(("ɔ", "o"), _MID_ROUND),
    **dict.fromkeys(("ɹ", "r"), _R),
    **dict.fromkeys(("l",), _L),
}
CONTROLS: tuple[str, ...] = tuple(sorted({name for shape in SHAPES.values() for name in shape}))
# Laid over the coarticulated curves while lips meet, and while the lower lip is at the teeth.
CLOSURE: Shape = {"seal": 1.0, "mouthPress": 0.25, "mouthRollLower": 0.12, "mouthRollUpper": 0.1}
BITE: Shape = {"mouthRollLower": 0.4, "mouthShrugLower": 0.1}

_VOWELS = set("iɪᵻuʊɑaæɛeəɐʌɚɜɔo")


def segments(phonemes: Sequence[Phoneme]) -> list[Phoneme]:
    """One segment a sound: diphthongs and vowels with r are split evenly, length marks dropped.

    Raises KeyError for a symbol that has no shape.
    """
    pieces = []
    for phoneme in phonemes:
        symbols = re.findall("tʃ|dʒ|.", re.sub("[ːˑ̩]", "", phoneme.symbol)) or [""]
        edges = np.linspace(phoneme.start, phoneme.end, len(symbols) + 1)
        for symbol, start, end in zip(symbols, edges[:-1], edges[1:], strict=True):
            SHAPES[symbol]
            pieces.append(Phoneme(symbol, float(start), float(end)))
    return pieces


def mouth_curves(phonemes: Sequence[Phoneme], times: np.ndarray) -> dict[str, np.ndarray]:
    """Control weights at `times` (seconds)."""
    pieces = segments(phonemes)
    middle = np.array([(piece.start + piece.end) / 2 for piece in pieces])
    half = np.array([(piece.end - piece.start) / 2 for piece in pieces])
    strength = np.array([1.0 if piece.symbol in _VOWELS else 0.8 for piece in pieces])
    distance = np.maximum(np.abs(times[:, None] - middle) - half, -half)
    dominance = strength * np.exp(-(distance + 0.5 * half) / 0.045)
    dominance /= dominance.sum(1, keepdims=True)
    targets = np.array([[SHAPES[p.symbol].get(name, 0.0) for name in CONTROLS] for p in pieces])
    curves = dict(zip(CONTROLS, (dominance @ targets).T, strict=True))

    closed = held(pieces, ("m", "b", "p", ""), times)
    bitten = held(pieces, ("f", "v"), times) * (1 - closed)
    for name in ("mouthLowerDown", "mouthUpperUp", "tongueOut"):
        curves[name] = curves[name] * (1 - closed)
    curves["mouthLowerDown"] = curves["mouthLowerDown"] * (1 - bitten)
    curves["jawOpen"] = curves["jawOpen"] * (1 - 0.7 * np.maximum(closed, bitten))
    # The lips meet with the jaw still dropped: mouthClose is defined as undoing jawOpen's gap.
    curves["mouthClose"] = curves["jawOpen"] * closed
    for over, amount in ((CLOSURE, closed), (BITE, bitten)):
        for name, weight in over.items():
            curves[name] = curves.get(name, 0.0) + weight * amount
    return curves


def held(pieces: Sequence[Phoneme], symbols: Sequence[str], times: np.ndarray) -> np.ndarray:
    """1 while one of `symbols` sounds, falling smoothly around; the empty symbol is a pause."""
    plateaus = [plateau(piece, times) for piece in pieces if piece.symbol in symbols]
    return np.max([np.zeros(len(times)), *plateaus], axis=0)


def plateau(piece: Phoneme, times: np.ndarray, hold: float = 0.042, ease: float = 0.06):
    """1 on the sound and for at least `hold` seconds, eased in and out over `ease` seconds."""
    middle = (piece.start + piece.end) / 2
    half = max((piece.end - piece.start) / 2 - 0.02, hold / 2)
    outside = np.clip((np.abs(times - middle) - half) / ease, 0, 1)
    return 0.5 + 0.5 * np.cos(np.pi * outside)
