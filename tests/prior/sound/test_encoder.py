"""An encoder of speech beside our own hearing: its clock, its blocks, its file, and its absence."""

import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import AssetError
from media.audio import Audio
from prior.motion.expression import (
    Ensemble,
    ExpressionModel,
    ExpressionNetwork,
    ExpressionShape,
    load_driver,
)
from prior.motion.live import LiveMouth
from prior.sound import encoder as encoding
from prior.sound.encoder import SpeechEncoder
from prior.sound.hearing import WIDTH, hear_in_doubt

KERNEL, STRIDE = 400, 320
LAYERS = 6


class Loudness(nn.Module):
    """Stands in for wav2vec 2.0: each answer is 1 + how loud 400 samples are, times the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(
            inputs_to_logits_ratio=STRIDE,
            conv_kernel=(10, 3, 3, 3, 3, 2, 2),
            conv_stride=(5, 2, 2, 2, 2, 2, 2),
            is_encoder_decoder=False,
        )
        self.encoder = SimpleNamespace(layers=[None] * LAYERS)

    def forward(self, input_values: torch.Tensor, output_hidden_states: bool) -> SimpleNamespace:
        assert output_hidden_states
        loud = input_values.unfold(1, KERNEL, STRIDE).abs().mean(-1)[..., None] + 1
        return SimpleNamespace(hidden_states=[loud * layer for layer in range(LAYERS + 1)])


def given(samples: np.ndarray, sampling_rate: int, return_tensors: str) -> dict[str, torch.Tensor]:
    assert (sampling_rate, return_tensors) == (16000, "pt")
    return {"input_values": torch.from_numpy(samples)[None]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an encoder lies that a library of that name opens."""

    def opened(path: Path, **asked: bool) -> Loudness:
        assert asked == {"local_files_only": True, "use_safetensors": True}
        return Loudness()

    library = SimpleNamespace(
        logging=SimpleNamespace(disable_progress_bar=lambda: None),
        AutoModel=SimpleNamespace(from_pretrained=opened),
        AutoFeatureExtractor=SimpleNamespace(from_pretrained=lambda path, **asked: given),
    )
    monkeypatch.setitem(sys.modules, "transformers", library)
    for kept in (encoding._opened, encoding._digest, encoding._silence, encoding._encoded_once):
        kept.cache_clear()
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def bursts(seconds: float, *moments: float) -> Audio:
    """Silence with 20 ms of full loudness around each moment."""
    samples = np.zeros(round(seconds * 16000), np.float32)
    for moment in moments:
        middle = round(moment * 16000)
        samples[max(middle - 160, 0) : middle + 160] = 1.0
    return Audio(samples[None], 16000)


def test_what_is_encoded_lies_where_it_sounds(folder: Path) -> None:
    """Kills 50 answers a second taken for 100, and answers placed at their kernel's first sample:
    a burst is centred where it sounds, in the second block, too, and no seam shows."""
    encoder = SpeechEncoder.of(folder, 1)
    moments = (1.0, 19.99, 24.5)
    encoded = encoder.encoded(bursts(26.0, *moments), 2600)[:, 0] - 1
    assert len(encoded) == 2600
    for moment in moments:
        near = slice(round(100 * moment) - 10, round(100 * moment) + 10)
        weight = encoded[near]
        middle = float((weight * torch.arange(near.start, near.stop)).sum() / weight.sum()) / 100
        assert middle == pytest.approx(moment, abs=0.004)
    assert float(encoded.sum()) == pytest.approx(3 * float(encoded[90:110].sum()), rel=0.05)


def test_outside_of_a_line_it_hears_silence(folder: Path) -> None:
    """Kills zeros, or the line's last answer, where nothing sounds, and a side that is missed."""
    line = bursts(1.0, 0.01, 0.99)
    enriched = SpeechEncoder.of(folder, 2).hear(line)
    stop = len(enriched)
    values = enriched.section(-30, stop + 40)
    assert values.shape == (stop + 70, WIDTH + 1)
    torch.testing.assert_close(values[:, :WIDTH], enriched.heard.section(-30, stop + 40))
    assert values[:30, WIDTH].tolist() == values[-40:, WIDTH].tolist()[:30] == [2.0] * 30
    assert min(float(values[30, WIDTH]), float(values[-41, WIDTH])) > 2.3


def test_the_layer_two_thirds_up_is_heard_unless_told(folder: Path) -> None:
    """Kills the last layer, which forgets phones, and a layer that does not exist."""
    assert SpeechEncoder.of(folder).layer == 4
    line = bursts(0.5, 0.25)
    deep, first = (SpeechEncoder.of(folder, k).encoded(line, 50) for k in (6, 1))
    torch.testing.assert_close(deep, 6 * first)
    with pytest.raises(AssetError, match=r"Layer 7 .* give 0 to 6"):
        SpeechEncoder.of(folder, 7)


def model_with(encoder: SpeechEncoder) -> ExpressionModel:
    """The shipped model's manner behind a small network that hears one number more."""
    shape = ExpressionShape(inputs=WIDTH + 1, width=8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ExpressionNetwork(shape)
        nn.init.normal_(network.mouth.weight, std=0.3)
    return ExpressionModel(Ensemble([network.eval()]), load_driver().manner, {}, encoder=encoder)


def test_a_model_hears_through_its_encoder_and_its_file_says_so(
    folder: Path, tmp_path: Path
) -> None:
    """Kills an encoder that is dropped on the way to the file, and one that is not listened to."""
    model, line = model_with(SpeechEncoder.of(folder)), bursts(1.0, 0.3, 0.6)
    model.save(tmp_path / "expression.safetensors")
    again = ExpressionModel.load(tmp_path / "expression.safetensors")
    assert again.encoder == model.encoder
    mouths = [m.mouth(line, Fraction(25), 20) for m in (model, again)]
    torch.testing.assert_close(*mouths, rtol=0, atol=2e-2)
    with torch.no_grad():
        again.network.members[0].stem.weight[:, WIDTH:] = 0
    deaf = again.mouth(line, Fraction(25), 20)
    assert float((deaf - mouths[0]).abs().max()) > 0.05


def test_a_line_is_encoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills an encoder that runs again for every throat, for contacts and for takes."""
    model, hearings = model_with(SpeechEncoder.of(folder)), hear_in_doubt(bursts(1.0, 0.5))
    calls: list[int] = []
    rows = encoding._Opened.rows
    monkeypatch.setattr(encoding._Opened, "rows", lambda *asked: calls.append(1) or rows(*asked))
    model.mouth(hearings, Fraction(25), 20)
    before = len(calls)
    model.mouth(hearings, Fraction(25), 20)
    assert len(calls) == before <= 2


def test_another_encoder_is_refused(folder: Path) -> None:
    """Kills a mouth driven by answers that mean something else."""
    model = model_with(SpeechEncoder.of(folder))
    (folder / "model.safetensors").write_bytes(b"other weights")
    encoding._digest.cache_clear()
    with pytest.raises(AssetError, match="not the one that the speech model was trained with"):
        model.mouth(bursts(1.0, 0.5), Fraction(25), 20)


def test_a_live_voice_has_no_encoder(folder: Path) -> None:
    """Kills frames of the wrong width, found out in the middle of a show."""
    with pytest.raises(AssetError, match="needs whole lines"):
        LiveMouth(model_with(SpeechEncoder.of(folder)), Fraction(25))


def test_a_missing_library_or_folder_is_a_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a traceback for who has no transformers, or no encoder."""

    def nothing(path: Path, **asked: bool) -> None:
        raise OSError("no file named model.safetensors\nand more")

    monkeypatch.setattr(sys.modules["transformers"].AutoModel, "from_pretrained", nothing)
    with pytest.raises(AssetError, match=r"\(no file named model.safetensors\); give a folder"):
        SpeechEncoder.of(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(AssetError, match="pip install transformers"):
        SpeechEncoder.of(tmp_path)


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper"])
def test_the_library_opens_real_architectures(kind: str, tmp_path: Path) -> None:
    """Kills names that the library does not have: small random ones, saved and opened."""
    library = pytest.importorskip("transformers")
    small = {"num_attention_heads": 2, "num_hidden_layers": 3, "hidden_size": 16}
    if kind == "wav2vec2":
        config = library.Wav2Vec2Config(
            **small, intermediate_size=32, conv_dim=(16,) * 7, num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=2,
        )  # fmt: skip
        library.Wav2Vec2Model(config).save_pretrained(tmp_path)
        library.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    else:
        config = library.WhisperConfig(
            d_model=16, encoder_layers=3, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, vocab_size=100,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        )  # fmt: skip
        library.WhisperModel(config).save_pretrained(tmp_path)
        library.WhisperFeatureExtractor().save_pretrained(tmp_path)
    encoder = SpeechEncoder.of(tmp_path)
    assert encoder.layer == 2
    random = np.random.default_rng(0)
    line = Audio(0.1 * random.standard_normal((1, 24 * 16000)).astype(np.float32), 16000)
    encoded = encoder.encoded(line, 2400)
    assert encoded.shape == (2400, 16)
    assert bool(torch.isfinite(encoded).all())
    assert float(encoded.std(0).min()) > 0
