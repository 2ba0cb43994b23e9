"""The acoustic model: its front end, its mixtures, its order of phones."""

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from core.errors import AssetError
from media.audio import load_audio
from prior.sound import acoustics
from prior.sound.acoustics import (
    QUANTUM,
    cepstra,
    cosines,
    filter_bank,
    forward_backward,
    load_acoustics,
    successions,
    with_motion,
)
from prior.sound.phones import PHONES, phone_scores
from prior.sound.speech import HOP

LINE = Path(__file__).parents[3] / "scripts/performer/line.flac"


def test_posteriors_are_those_of_all_paths_counted_one_by_one() -> None:
    """Kills a missing backward pass, swapped successions and a state that can be skipped."""
    random = np.random.default_rng(0)
    frames, stay = 6, 0.7
    likelihood = random.uniform(0.05, 1, (frames, 6))
    follows = np.array([[0.3, 0.7], [0.9, 0.1]])
    step = np.zeros((6, 6))
    for p in range(2):
        for s in range(3):
            step[3 * p + s, 3 * p + s] = stay
            if s < 2:
                step[3 * p + s, 3 * p + s + 1] = 1 - stay
        for q in range(2):
            step[3 * p + 2, 3 * q] += (1 - stay) * follows[p, q]
    expected = np.zeros((frames, 6))
    for path in product(range(6), repeat=frames):
        chance = np.prod([likelihood[t, s] for t, s in enumerate(path)])
        chance *= np.prod([step[a, b] for a, b in pairwise(path)])
        for t, s in enumerate(path):
            expected[t, s] += chance
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(
        forward_backward(likelihood, follows, stay), expected, rtol=0, atol=1e-9
    )


def test_successions_of_two_words() -> None:
    """Kills counting phones across a word's end as inside it, and a phone that follows itself."""
    follows = successions("go G OW\nodd AA D\n")
    phone = {name: n for n, name in enumerate(PHONES)}
    np.testing.assert_allclose(follows.sum(1), 1)
    assert (np.diag(follows) == 0).all()
    most = follows[phone["G"]].argmax()
    assert most == phone["OW"]
    # After a word's last phone: each word's first half the time, inside a word's count of one.
    row = follows[phone["OW"]]
    assert row[phone["AA"]] == pytest.approx(row[phone["G"]])
    assert row[phone["AA"]] > 2 * row[phone["D"]]


def test_cepstra_are_the_cosines_of_log_filters_written_out() -> None:
    """Kills a shifted frame, a forgotten emphasis or lifter, and natural against decimal logs."""
    random = np.random.default_rng(1)
    x = (0.1 * random.normal(size=8 * HOP)).astype(np.float32)
    k = 4
    scaled = x.astype(np.float64) * 32768
    emphasised = np.array([scaled[n] - 0.97 * scaled[n - 1] for n in range(1, len(x))])
    frame = emphasised[k * HOP - 205 - 1 : k * HOP + 205 - 1] * np.hamming(410)
    power = np.abs(np.fft.fft(frame, 512)[:257]) ** 2
    energy = np.log(filter_bank() @ power)
    for n in range(13):
        norm = np.sqrt((1 if n == 0 else 2) / 25)
        plain = norm * sum(e * np.cos(np.pi * n * (i + 0.5) / 25) for i, e in enumerate(energy))
        lifted = plain * (1 + 11 * np.sin(np.pi * n / 22))
        assert cepstra(x)[k, n] == pytest.approx(lifted, abs=2e-3)


def test_gain_moves_the_first_cepstrum_alone() -> None:
    """Kills a floor so high that quiet speech sounds different."""
    x = 0.1 * np.random.default_rng(2).normal(size=4000)
    change = cepstra(x) - cepstra(0.1 * x)
    assert np.abs(change[:, 1:]).max() < 0.05
    np.testing.assert_allclose(change[:, 0], 5 * np.log(100), atol=0.05)


def test_digital_silence_is_finite_and_steady() -> None:
    """Kills the logarithm of zero."""
    found = cepstra(np.zeros(1600))
    assert np.isfinite(found).all()
    assert np.ptp(found, axis=0).max() < 1e-9
    hiss = np.random.default_rng(3).uniform(-0.5, 0.5, 160000) * QUANTUM
    mean = (cepstra(hiss) - cepstra(np.zeros(160000)))[:, 0].mean()
    assert abs(mean) < 5


def test_motion_differs_over_the_model_s_own_spans() -> None:
    """Kills velocity over two frames, acceleration of neighbours, and swapped signs."""
    ramp = np.arange(12.0)[:, None].repeat(13, 1)
    moving = with_motion(ramp**2)
    np.testing.assert_allclose(moving[5, :, 0], [25, 49 - 9, (64 - 16) - (36 - 4)])


def test_bases_are_orthonormal_but_for_the_lifter() -> None:
    basis = cosines() / (1 + 11 * np.sin(np.pi * np.arange(13) / 22))[:, None]
    np.testing.assert_allclose(basis @ basis.T, np.eye(13), atol=1e-12)


def test_scores_are_the_decoder_s_own() -> None:
    """Kills a wrong order of phones, streams or states, and weights read from a wrong offset."""
    audio = load_audio(LINE, mono=True).mono16k()
    ours = cepstra(audio.samples[0])
    scores = load_acoustics().scores(ours - ours.mean(0)).reshape(len(ours), 42, 3).max(-1)
    theirs = phone_scores(audio).numpy()
    count = min(len(scores), len(theirs))
    spoken = ours[:count, 0] > np.quantile(ours[:, 0], 0.5)
    pairs = zip(scores[:count][spoken], theirs[:count][spoken], strict=True)
    agreement = np.array([np.corrcoef(a, b)[0, 1] for a, b in pairs])
    # The decoder also takes out noise, rounds, and keeps four densities: a median of 0.81 was
    # measured, and 0.25 with the phones rolled by one.
    assert np.median(agreement) > 0.7


def test_a_wheel_without_its_model_is_an_asset_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acoustics, "get_model_path", lambda name: str(tmp_path / name))
    acoustics.load_acoustics.cache_clear()
    with pytest.raises(AssetError, match="acoustic model cannot be read"):
        load_acoustics()
    acoustics.load_acoustics.cache_clear()
