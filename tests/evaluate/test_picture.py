"""Picture metrics against arithmetic, brute-force twins and laws."""

import math

import cv2
import numpy as np
import pytest

from evaluate.metrics import picture
from evaluate.metrics.picture import (
    box_mask,
    gmsd,
    mouth_box,
    picture_curves,
    psnr,
    score_pictures,
    sharpness_ratio,
    ssim,
)


def noisy_pictures(frames: int = 2, height: int = 40, width: int = 36, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = [
        cv2.GaussianBlur(rng.uniform(0, 255, (height, width, 3)), (0, 0), 1.5)
        for _ in range(frames)
    ]
    return np.clip(np.stack(smooth) * 1.5 - 60 + rng.normal(0, 6, (3,)), 0, 255).astype(np.uint8)


def test_equal_pictures_score_perfectly() -> None:
    """Kills metrics whose constants or borders leave equal pictures unequal."""
    clip = noisy_pictures()
    scores = score_pictures(clip, clip)
    assert math.isinf(scores.psnr)
    assert scores.psnr > 0
    assert scores.ssim == pytest.approx(1, abs=1e-12)
    assert scores.gmsd == pytest.approx(0, abs=1e-12)
    assert scores.sharpness_ratio == 1


def test_psnr_of_a_constant_offset_is_arithmetic() -> None:
    """Kills another peak, sums over channels, and uint8 differences that wrap around."""
    truth = np.full((3, 8, 8, 3), 250, np.uint8)
    assert psnr(truth - 5, truth) == pytest.approx(20 * math.log10(255 / 5), abs=1e-12)
    assert psnr(truth, truth - 5) == pytest.approx(20 * math.log10(255 / 5), abs=1e-12)


def test_psnr_averages_decibels_over_frames_and_leaves_equal_frames_out() -> None:
    """Kills errors pooled before the logarithm, and an infinity from passed-through frames."""
    truth = np.full((3, 8, 8, 3), 100.0)
    generated = truth.copy()
    generated[0] += 1
    generated[1] += 10
    expected = (20 * math.log10(255) + 20 * math.log10(25.5)) / 2
    assert psnr(generated, truth) == pytest.approx(expected, abs=1e-12)


def test_only_masked_pixels_count() -> None:
    """Kills a mask that is ignored or inverted."""
    truth = noisy_pictures()
    generated = truth.copy()
    generated[:, :, :10] = 255 - generated[:, :, :10]
    mask = np.zeros(truth.shape[:3], bool)
    # 13 columns lie between: sharpness sees 12 pixels far, SSIM 5, GMSD 3.
    mask[:, :, 23:] = True
    scores = score_pictures(generated, truth, mask)
    assert math.isinf(scores.psnr)
    assert scores.ssim == pytest.approx(1, abs=1e-12)
    assert scores.gmsd == pytest.approx(0, abs=1e-12)
    assert scores.sharpness_ratio == pytest.approx(1, abs=1e-12)
    assert psnr(generated, truth, ~mask) < 20


def ssim_by_brute_force(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """Wang et al. 2004, window by window in double loops."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    a, b = (0.299 * p[..., 0] + 0.587 * p[..., 1] + 0.114 * p[..., 2] for p in (a, b))
    values = []
    for r, c in np.argwhere(mask):
        if not (5 <= r < a.shape[0] - 5 and 5 <= c < a.shape[1] - 5):
            continue
        x, y = (p[r - 5 : r + 6, c - 5 : c + 6] for p in (a, b))
        mx, my = (window * x).sum(), (window * y).sum()
        vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
        vxy = (window * (x - mx) * (y - my)).sum()
        values.append(
            (2 * mx * my + 6.5025)
            * (2 * vxy + 58.5225)
            / ((mx**2 + my**2 + 6.5025) * (vx + vy + 58.5225))
        )
    return float(np.mean(values))


@pytest.mark.parametrize("where", ["middle", "corner", "everywhere"])
def test_ssim_equals_its_brute_force_twin(where: str) -> None:
    """Kills box windows, another σ or data range, reflected borders, and masks applied first."""
    truth, generated = noisy_pictures(1), noisy_pictures(1, seed=1)
    mask = np.ones(truth.shape[1:3], bool)
    if where == "middle":
        mask[:] = False
        mask[17:24, 15:22] = True
    if where == "corner":
        mask[12:] = False
        mask[:, 14:] = False
    expected = ssim_by_brute_force(generated[0].astype(float), truth[0].astype(float), mask)
    assert ssim(generated, truth, mask) == pytest.approx(expected, abs=1e-10)


def test_gmsd_equals_its_brute_force_twin() -> None:
    """Kills gradients before halving, Sobel weights, another constant, and mean for deviation."""
    truth, generated = noisy_pictures(1), noisy_pictures(1, seed=1)
    luma = [p[0].astype(float) @ [0.299, 0.587, 0.114] for p in (generated, truth)]
    half = [(p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4 for p in luma]
    similarities = []
    for r in range(3, 15):
        for c in range(4, 14):
            m = []
            for p in half:
                across = (p[r - 1 : r + 2, c + 1] - p[r - 1 : r + 2, c - 1]).sum() / 3
                down = (p[r + 1, c - 1 : c + 2] - p[r - 1, c - 1 : c + 2]).sum() / 3
                m.append(math.hypot(across, down))
            similarities.append((2 * m[0] * m[1] + 170) / (m[0] ** 2 + m[1] ** 2 + 170))
    mask = np.zeros(truth.shape[1:3], bool)
    mask[6:30, 8:28] = True
    assert gmsd(generated, truth, mask) == pytest.approx(np.std(similarities), abs=1e-10)


def test_cropping_to_the_mask_changes_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a crop narrower than a window, and one that shifts the halved grid by a pixel."""
    truth, generated = noisy_pictures(2, 90, 81), noisy_pictures(2, 90, 81, seed=1)
    mask = np.zeros(truth.shape[:3], bool)
    mask[0, 41:52, 37:50] = True
    mask[1, 0:9, 60:81] = True
    cropped = score_pictures(generated, truth, mask)
    monkeypatch.setattr(picture, "roomy_range", lambda occupied: slice(0, len(occupied)))
    whole = score_pictures(generated, truth, mask)
    for name in ("psnr", "ssim", "gmsd", "sharpness_ratio"):
        assert getattr(cropped, name) == pytest.approx(getattr(whole, name), abs=1e-9), name


def test_blur_lowers_sharpness_and_more_blur_lowers_it_more() -> None:
    """Kills an inverted ratio and a band that blur does not reach."""
    truth = noisy_pictures(2, 64, 64).astype(np.float64)
    slight, strong = (
        np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in truth]) for sigma in (1, 3)
    )
    half = truth.copy()
    half[:, :, 32:] = strong[:, :, 32:]
    assert sharpness_ratio(strong, truth) < 0.2 < sharpness_ratio(slight, truth) < 0.9
    assert sharpness_ratio(strong, truth) < sharpness_ratio(half, truth) < 0.8
    assert sharpness_ratio(truth, slight) > 1.1


def test_sharpness_ignores_brightness_and_squares_contrast() -> None:
    truth = noisy_pictures(1, 64, 64).astype(np.float64)
    assert sharpness_ratio(truth * 0.5 + 90, truth) == pytest.approx(0.25, abs=1e-9)


def test_empty_and_invalid_frames_count_in_no_mean() -> None:
    """Kills an empty mask that scores zero, infinity or a warning."""
    truth = np.full((3, 24, 24, 3), 100.0)
    generated = truth + np.array([5.0, 50.0, 90.0])[:, None, None, None]
    mask = np.ones(truth.shape[:3], bool)
    mask[1] = False
    valid = np.array([True, True, False])
    curves = picture_curves(generated, truth, mask, valid)
    assert np.isfinite(curves.psnr).tolist() == [True, False, False]
    assert curves.scores().psnr == pytest.approx(20 * math.log10(255 / 5), abs=1e-12)
    assert math.isnan(score_pictures(generated, truth, mask & False).ssim)
    assert math.isnan(psnr(generated[:0], truth[:0]))


def test_mouth_box_has_its_margin_and_is_half_open() -> None:
    """Kills a margin of the total rather than of each side, and swapped axes."""
    landmarks = np.full((2, 478, 2), 1000.0)
    landmarks[0, list(picture.LIPS)] = [50.0, 40.0]
    landmarks[0, 61, 0], landmarks[0, 291, 0] = 30.2, 70.2
    landmarks[0, 0, 1], landmarks[0, 17, 1] = 30.1, 50.1
    landmarks[1] = np.nan
    boxes = mouth_box(landmarks)
    assert boxes.tolist() == [[20, 25, 81, 56], [0, 0, 0, 0]]
    assert mouth_box(landmarks[0]).tolist() == [20, 25, 81, 56]


def test_box_mask_covers_exactly_the_box() -> None:
    """Kills closed ends, and negative corners read as counted from the end."""
    masks = box_mask(np.array([[1, 0, 3, 2], [-2, -1, 1, 1], [0, 0, 0, 0]]), 3, 4)
    assert masks.astype(int).tolist() == [
        [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]],
        [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[0] * 4] * 3,
    ]
