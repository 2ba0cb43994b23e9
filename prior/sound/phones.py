"""Which phones a sound may be: scores of pocketsphinx's acoustic model, 100 frames a second.

The model was taught by many hours of many American voices, so what it hears depends little on who
speaks; the score is the log-likelihood of the phone's best state (three Gaussian mixtures a phone,
no context), and only differences between the phones of a frame mean something. Nothing is decoded:
no words, no language model, and other languages' sounds score as the nearest English ones.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from pocketsphinx import Config, Decoder, get_model_path
from torch import Tensor

from media.audio import Audio
from prior.sound.phonemes import heard, run
from prior.sound.speech import FRAME_RATE, HOP, RATE

PHONES = (
    "+NSN+", "+SPN+", "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY",
    "F", "G", "HH", "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH",
    "SIL", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
"""The acoustic model's phones in its own order: ARPABET, silence, and two kinds of noise."""

STATES = 3
NATS_A_UNIT = 1024 * float(np.log(1.0001))
"""Scores are logged as negative logarithms to the base 1.0001, divided by 1024."""

BLOCK, MARGIN = 30 * FRAME_RATE, FRAME_RATE // 2
"""Frames scored at once, and how many more are heard on each side. The decoder logs 10 kB a frame,
and takes out each block's own mean cepstrum: microphone and room."""


def phone_scores(audio: Audio) -> Float[Tensor, "K 42"]:
    """Log-likelihood of each of `PHONES` in nats, up to a constant of the frame.

    Frame k is centred k / 100 s after the sound begins, as in `speech_features`, to 3 ms.
    """
    samples = audio.mono16k().samples
    return torch.from_numpy(np.concatenate(list(_blocks(samples))))


def _blocks(samples: Float32[np.ndarray, "1 N"]) -> Iterator[Float32[np.ndarray, "_ 42"]]:
    count = samples.shape[1] // HOP + 1
    samples = np.pad(samples, ((0, 0), (0, HOP)))
    with tempfile.TemporaryDirectory() as folder:
        decoder = Decoder(
            Config(
                allphone=get_model_path("en-us/en-us-phone.lm.bin"),
                beam=1e-20,
                pbeam=1e-20,
                compallsen=True,
                senlogdir=folder,
                loglevel="FATAL",
            )
        )
        for first in range(0, count, BLOCK):
            begin, stop = max(first - MARGIN, 0), min(first + BLOCK + MARGIN, count)
            run(decoder, heard(Audio(samples[:, begin * HOP : stop * HOP], RATE)))
            scores = _logged(Path(folder), stop - begin)
            yield scores[first - begin : first - begin + BLOCK][: count - first]


def _logged(folder: Path, count: int) -> Float32[np.ndarray, "_ 42"]:
    """What the decoder logged of its last utterance, and the log removed.

    The first window starts with the sound and so is centred 12.8 ms after it: its frame 0 is our
    frame 1. Frames that the decoder did not make, at both ends, repeat their neighbours.
    """
    scores = np.zeros((0, len(PHONES)), np.float32)
    for log in sorted(folder.glob("*.sen")):
        content = log.read_bytes()
        begin = content.index(b"endhdr\n") + len(b"endhdr\n") + 4
        senones = int(content.split(b"n_sen ")[1].split(b"\n")[0])
        rows = np.frombuffer(content, "<i2", offset=begin).reshape(-1, 1 + senones)
        states = rows[:, 1 : 1 + STATES * len(PHONES)].reshape(-1, len(PHONES), STATES)
        scores = -NATS_A_UNIT * states.min(-1).astype(np.float32)
        log.unlink()
    if not len(scores):
        return np.zeros((count, len(PHONES)), np.float32)
    return scores[(np.arange(count) - 1).clip(0, len(scores) - 1)]
