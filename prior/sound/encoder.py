"""A pretrained encoder of speech beside our own hearing: wav2vec 2.0, HuBERT, WavLM or Whisper.

None ships with redub. Who has one as a folder of `transformers` (config and safetensors) can train
the speech model to hear through it as well; phones, throats and noise are heard as before.
"""

from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from core.errors import AssetError
from media.audio import Audio
from prior.sound.hearing import Hearing, Hearings, filled_up, hear
from prior.sound.speech import FRAME_RATE, RATE

BLOCK_SECONDS, AROUND_SECONDS = 20, 2
"""Sound is encoded in blocks with so much around each: Whisper takes no more than 30 s."""
DEEP_SHARE = 2 / 3
"""How far up an encoder phones are told best, as a share of its layers (Pasad et al. 2021)."""


@dataclass(frozen=True)
class SpeechEncoder:
    """The folder of an encoder, which of its layers is heard (0: what enters the first), and the
    SHA-256 of its weights."""

    folder: Path
    layer: int
    digest: str

    @staticmethod
    def of(folder: Path, layer: int | None = None) -> "SpeechEncoder":
        """An encoder in a folder; the layer at `DEEP_SHARE` unless told. Raises AssetError for a
        folder, a library or a layer that is not there."""
        layers = len(_opened(folder).layers)
        chosen = round(DEEP_SHARE * layers) if layer is None else layer
        if not 0 <= chosen <= layers:
            raise AssetError(
                f"Layer {chosen} is not one of {folder}, which has {layers}; give 0 to {layers}."
            )
        return SpeechEncoder(folder.resolve(), chosen, _digest(folder))

    @staticmethod
    def told(facts: dict[str, Any]) -> "SpeechEncoder":
        """What a weight file says of the encoder that it was trained with."""
        return SpeechEncoder(Path(facts["folder"]), facts["layer"], facts["digest"])

    def facts(self) -> dict[str, Any]:
        return asdict(self) | {"folder": str(self.folder)}

    def hear(self, audio: Audio) -> "Enriched":
        """A line by our own hearing and through the encoder."""
        heard = hear(audio)
        return Enriched(heard, self.encoded(audio, len(heard)), self.silence())

    def beside(self, hearings: Hearings) -> tuple["Enriched", ...]:
        """Each hearing of a line, and what the encoder makes of it."""
        encoded = _encoded_once(self, hearings.line, len(hearings))
        return tuple(Enriched(heard, encoded, self.silence()) for heard in hearings.each)

    def encoded(self, audio: Audio, frames: int) -> Float[Tensor, "K D"]:
        """What the encoder makes of a line, at `frames` of 100 a second.

        Raises AssetError where the encoder is gone, or another than it was.
        """
        if _digest(self.folder) != self.digest:
            raise AssetError(
                f"The encoder in {self.folder} is not the one that the speech model was trained "
                "with; put that one back or train the speech model again."
            )
        samples = audio.mono16k().samples[0]
        block, around = BLOCK_SECONDS * FRAME_RATE, AROUND_SECONDS * FRAME_RATE
        parts = []
        for first in range(0, frames, block):
            begin, stop = max(first - around, 0), min(first + block, frames)
            hop = RATE // FRAME_RATE
            piece = samples[begin * hop : (stop + around) * hop]
            rows = _opened(self.folder).rows(piece, self.layer, stop - begin)
            parts.append(rows[first - begin :])
        return torch.cat(parts) if parts else torch.zeros(0, len(self.silence()))

    def silence(self) -> Float[Tensor, "D"]:
        """What it makes of a moment in which nothing sounds."""
        return _silence(self.folder, self.layer)


@dataclass(frozen=True, eq=False)
class Enriched:
    """What is heard, and beside it what an encoder makes of the same frames."""

    heard: Hearing
    encoded: Float[Tensor, "K D"]
    silence: Float[Tensor, "D"]

    def __len__(self) -> int:
        return len(self.heard)

    def section(self, first: int, stop: int) -> Float[Tensor, "N E"]:
        """Frames `first` to `stop`, either of which may lie outside the sound: silence there."""
        silence = self.silence[None]
        encoded = filled_up(self.encoded, first, stop, silence, silence)
        return torch.cat([self.heard.section(first, stop), encoded], 1)


@dataclass(frozen=True, eq=False)
class _Opened:
    """An encoder as `transformers` has it, and what prepares sound for it."""

    module: Any
    extractor: Any

    @property
    def layers(self) -> Any:
        inner = self.module
        return inner.layers if hasattr(inner, "layers") else inner.encoder.layers

    def rows(
        self, samples: Float32[np.ndarray, " N"], layer: int, frames: int
    ) -> Float[Tensor, "K D"]:
        """A layer's answers to sound, read at `frames` of 100 a second."""
        least = RATE // 10  # a kernel needs some samples to lie on
        padded = np.pad(samples, (0, max(0, least - len(samples))))
        entered = self.extractor(padded, sampling_rate=RATE, return_tensors="pt")
        with torch.inference_mode():
            states = self.module(**entered, output_hidden_states=True).hidden_states[layer][0]
        place = (torch.arange(frames) * (RATE / FRAME_RATE) - self._first()) / self._stride()
        place = place.clamp(0, len(states) - 1)
        below = place.floor().long().clamp_max(max(len(states) - 2, 0))
        above = (below + 1).clamp_max(len(states) - 1)
        return torch.lerp(states[below], states[above], (place - below)[:, None]).clone()

    def _stride(self) -> float:
        """Samples from one answer to the next."""
        return getattr(self.module.config, "inputs_to_logits_ratio", RATE // 50)

    def _first(self) -> float:
        """The sample in the middle of what the first answer is about: unpadded kernels look ahead,
        Whisper's spectra and kernels are centred."""
        middle, step = 0.0, 1
        config = self.module.config
        for width, stride in zip(
            getattr(config, "conv_kernel", ()), getattr(config, "conv_stride", ()), strict=True
        ):
            middle += (width - 1) / 2 * step
            step *= stride
        return middle


@cache
def _opened(folder: Path) -> _Opened:
    try:
        from transformers import (  # pyright: ignore[reportMissingImports]
            AutoFeatureExtractor,
            AutoModel,
            logging,
        )
    except ImportError as error:
        raise AssetError(
            f"{folder} is opened by the library transformers, which cannot be loaded ({error}); "
            "pip install transformers."
        ) from error
    logging.disable_progress_bar()  # `-q` is to be quiet
    try:
        module = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise AssetError(
            f"{folder} holds no encoder of speech that can be opened ({reason}); give a folder "
            "with config.json, preprocessor_config.json and model.safetensors."
        ) from error
    if module.config.is_encoder_decoder:
        module = module.get_encoder()
    return _Opened(module.eval().requires_grad_(False), extractor)


@cache
def _digest(folder: Path) -> str:
    content = sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                content.update(piece)
    return content.hexdigest()


@cache
def _silence(folder: Path, layer: int) -> Float[Tensor, "D"]:
    rows = _opened(folder).rows(np.zeros(RATE, np.float32), layer, FRAME_RATE)
    return rows[FRAME_RATE // 2]


@lru_cache(maxsize=2)
def _encoded_once(encoder: SpeechEncoder, line: Audio, frames: int) -> Float[Tensor, "K D"]:
    """A line is asked for by mouths, contacts and takes alike."""
    return encoder.encoded(line, frames)
