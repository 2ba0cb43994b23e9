"""The expert that trains: does this mouth, as coefficients, speak this log-mel sound?

Small and differentiable in the mouth, for losses and for choosing among takes. What is reported
about a result is told by another network, see `sync_judge`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.serial import Schema
from face3d.morphable import MorphableModel, default_model
from face3d.topology import LIPS_OUTER_UPPER
from prior.sound.speech import BANDS, SpeechFeatures
from prior.sync.evidence import HOP, REACH, SyncClip, SyncNetwork, Tower, Windows, evidence
from prior.training.speech_corpus import SpeechCorpus, vary
from prior.weights import in_use, load_network, save_network

SCHEMA = Schema("sync-expert", 1)

IN_SYNC = 2
"""Moments to either side that still are in sync: 40 ms, a frame."""
LIP_NOISE, LIP_GAIN = 0.1, 0.15
"""Deviation of what tracking adds to a coefficient, and of the logarithm of how far people go."""


@dataclass(frozen=True)
class ExpertShape:
    """Sizes of the towers."""

    width: int = 64
    code: int = 24
    mouth: int = 20
    dropout: float = 0.2


class ExpertNetwork(SyncNetwork):
    """Dilated convolutions over 80 mel bands and over mouth coefficients.

    A code hears 0.33 s of sound and sees 0.14 s of lips on either side.
    """

    mel_mean: Tensor
    mel_scale: Tensor
    mirror: Tensor

    def __init__(self, shape: ExpertShape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("mel_mean", torch.zeros(BANDS))
        self.register_buffer("mel_scale", torch.ones(BANDS))
        self.register_buffer("mirror", mirror_signs(default_model()))
        sizes = shape.width, shape.code, shape.dropout
        self.sound = Tower(BANDS, HOP, (1, 2, 4, 8), *sizes)
        self.lips = Tower(shape.mouth, 1, (1, 2, 4), *sizes)

    def hear(self, sound: Float[Tensor, "B K 80"]) -> Float[Tensor, "B T D"]:
        return self.sound((sound - self.mel_mean) / self.mel_scale)

    def see(self, lips: Float[Tensor, "B T M"]) -> Float[Tensor, "B T D"]:
        return self.lips(lips)

    def vary(self, windows: Windows, random: np.random.Generator) -> Windows:
        """Other throats, microphones, rooms and noises; mirrored, wider and noisier mouths."""
        count, moments, mouth = windows.lips.shape
        gain = np.exp(random.normal(0, LIP_GAIN, (count, 1, mouth)))
        noise = random.normal(0, LIP_NOISE, (count, moments, mouth))
        mirrored = torch.from_numpy(random.random((count, 1, 1)) < 0.5)
        lips = torch.where(mirrored, windows.lips * self.mirror, windows.lips)
        lips = lips * torch.from_numpy(gain).float() + torch.from_numpy(noise).float()
        return Windows(vary(windows.sound, random), lips, windows.known)


def mirror_signs(model: MorphableModel) -> Float[Tensor, "M"]:
    """−1 for mouth coefficients that change sign when a face is mirrored, 1 for the others."""
    right, left = (model.mouth[:, corner] for corner in (LIPS_OUTER_UPPER[0], LIPS_OUTER_UPPER[-1]))
    across = torch.tensor([-1.0, 1.0, 1.0])
    return torch.sign((right * left * across).sum(-1))


def set_scales(network: ExpertNetwork, clips: Sequence[SyncClip]) -> None:
    """Mean and deviation of each mel band over the corpus."""
    mel = torch.cat([clip.sound for clip in clips])
    network.mel_mean.copy_(mel.mean(0))
    network.mel_scale.copy_(mel.std(0).clamp_min(0.1))


def expert_clips(corpus: SpeechCorpus) -> list[SyncClip]:
    """Tracked speech as the expert takes it; lags are already out."""
    clips = []
    for u in corpus.utterances:
        assert isinstance(u.features, SpeechFeatures), "the expert hears mel bands"
        moments = len(u.mouth) // HOP
        mel = u.features.mel[: HOP * moments]
        lips, known = u.mouth[: HOP * moments : HOP], u.known[: HOP * moments : HOP]
        clips.append(SyncClip(mel, lips, known, u.example.person))
    return clips


@dataclass(frozen=True, eq=False)
class SyncExpert:
    """The trained network, frozen: gradients pass through it into mouths."""

    network: ExpertNetwork
    about: dict[str, Any]

    def disagreement(
        self, mel: Float[Tensor, "B K 80"], mouth: Float[Tensor, "B T M"]
    ) -> Float[Tensor, "B"]:
        """How badly mouths 50 times a second fit the mel frames (K = 2 T) of the same seconds.

        The negative log-probability, in nats, that they are in sync to 40 ms rather than off by up
        to 0.6 s: 0 is certain, 2.5 a guess. The moments within 0.6 s of the ends only serve as
        alternatives, so T must exceed 60; longer windows are judged more surely.
        """
        total = evidence(self.network.hear(mel), self.network.see(mouth)).sum(1)
        middle = total.log_softmax(1)[:, REACH - IN_SYNC : REACH + IN_SYNC + 1]
        return -middle.logsumexp(1)

    def save(self, path: Path) -> None:
        save_network(path, SCHEMA, self.network, self.network.shape, self.about)

    @staticmethod
    def load(path: Path) -> "SyncExpert":
        """Raises InputError for a file that is not a sync expert of this schema."""
        return SyncExpert(*load_network(path, SCHEMA, lambda **s: ExpertNetwork(ExpertShape(**s))))


@cache
def load_expert() -> SyncExpert:
    """The expert in use (`weights.in_use`). Raises AssetError where it is missing or damaged."""
    return in_use("sync_expert.safetensors", SyncExpert.load)
