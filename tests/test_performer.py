"""The bundled performer: what its files promise to every test and demo that leans on them."""

from fractions import Fraction
from pathlib import Path

import av
import mediapipe as mp
import numpy as np
import pytest
import torch

from scripts.acting.speech import Phoneme
from scripts.acting.truth import Truth, load_truth
from scripts.acting.visemes import CONTROLS, SHAPES, mouth_curves, plateau, segments

FOLDER = Path(__file__).parents[1] / "scripts" / "performer"
FPS = 25


@pytest.fixture(scope="module")
def truth() -> Truth:
    return load_truth(FOLDER / "truth.safetensors")


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    with av.open(str(FOLDER / "clip.mp4")) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def detections(pictures: list[np.ndarray]) -> list[np.ndarray | None]:
    """MediaPipe's 478 landmarks `[478 2]` in pixels of each picture."""
    found: list[np.ndarray | None] = []
    with mp.solutions.face_mesh.FaceMesh(refine_landmarks=True) as detector:
        for picture in pictures:
            faces = detector.process(picture).multi_face_landmarks
            size = picture.shape[1::-1]
            found.append(
                np.array([(p.x, p.y) for p in faces[0].landmark]) * size if faces else None
            )
    return found


def frames_of(phoneme: Phoneme) -> slice:
    """Frames any part of which shows the phoneme."""
    return slice(int(phoneme.start * FPS), int(np.ceil(phoneme.end * FPS)))


def test_files_are_small_enough_to_bundle():
    sizes = [path.stat().st_size for path in FOLDER.iterdir() if path.is_file()]
    assert sum(sizes) <= 3_000_000


def test_clip_sound_and_truth_last_equally_long(truth, pictures):
    """Kills a truth of another take, and sound that outlasts its picture."""
    frames = len(pictures)
    assert pictures[0].shape == (512, 512, 3)
    for values in (truth.rotation, truth.translation, truth.lips_pixels, truth.opening_metres):
        assert len(values) == frames
    assert truth.phonemes[-1].end == pytest.approx(frames / FPS, abs=1e-3)
    with av.open(str(FOLDER / "clip.mp4")) as container:
        assert container.streams.video[0].average_rate == Fraction(FPS)
        sound = sum(frame.samples for frame in container.decode(audio=0))
    # AAC fills its last block of 1024.
    assert 0 <= sound - frames * 22050 // FPS < 2048


def test_line_is_mono_speech_of_its_own():
    with av.open(str(FOLDER / "line.flac")) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
        stream = container.streams.audio[0]
        assert (stream.rate, stream.channels) == (22050, 1)
    samples = np.concatenate(blocks, 1) / 32768
    assert 4 <= samples.shape[1] / 22050 <= 5
    assert 0.3 < np.abs(samples).max() <= 1


def test_lips_meet_in_every_closure_and_part_in_open_vowels(truth):
    """Kills coarticulation that leaks into m, b, p, and a mouth that hardly moves."""
    opening = truth.opening_metres.numpy()
    closures = [p for p in truth.phonemes if p.symbol in ("m", "b", "p")]
    assert len(closures) > 15
    for phoneme in closures:
        assert opening[frames_of(phoneme)].min() < 2e-4, phoneme
    for phoneme in truth.phonemes:
        if phoneme.symbol in ("ɑː", "æ"):
            assert opening[frames_of(phoneme)].max() > 8e-3, phoneme


def test_head_turns_and_stays_in_view(truth):
    """Kills a frozen head, degrees stored as radians, and truth in another camera's pixels."""
    reach = torch.rad2deg(truth.rotation.abs().amax(0))
    assert (reach > torch.tensor([4.0, 10.0, 3.0])).all()
    assert (reach < 13).all()
    assert (truth.translation[:, 2] < -0.5).all()
    lips = truth.camera.pixels_from_camera(truth.translation)
    assert ((truth.lips_pixels.mean(1) - lips).norm(dim=-1) < 130).all()


def test_detected_lips_follow_true_lips(truth, detections):
    """Kills truth a frame late, mirrored, or bound to other landmarks; px256: face box to 256."""
    assert all(found is not None for found in detections)
    found = np.stack([f for f in detections if f is not None])
    scale = 256 / np.ptp(found[:, :468], axis=1).max(-1)[:, None]
    detected, true = found[:, list(truth.lip_landmarks)], truth.lips_pixels.numpy()
    error = np.linalg.norm(detected - true, axis=-1) * scale
    assert error.mean() < LIP_LIMIT
    assert np.percentile(error, 95) < 2 * LIP_LIMIT

    inner = [truth.lip_landmarks.index(index) for index in (13, 14)]
    apart = [
        np.linalg.norm(np.diff(lips[:, inner], axis=1), axis=-1)[:, 0] for lips in (true, detected)
    ]
    agreement = [
        np.corrcoef(apart[0][2:-2], np.roll(apart[1], lag)[2:-2])[0, 1] for lag in (-1, 0, 1)
    ]
    assert agreement[1] == max(agreement)
    assert agreement[1] > 0.95


LIP_LIMIT = 1.5


def test_a_plateau_reaches_one_in_some_frame_however_the_frames_fall():
    """Kills a hold shorter than a frame: the shortest b would then close in half of all takes."""
    for phase in np.linspace(0, 1 / FPS, 17):
        times = np.arange(10) / FPS + phase
        assert plateau(Phoneme("b", 0.2, 0.201), times).max() == pytest.approx(1)


def test_coarticulated_controls_stay_between_the_shapes():
    """Kills dominances that do not sum to one."""
    line = [Phoneme("m", 0.0, 0.1), Phoneme("aɪ", 0.1, 0.3), Phoneme("s", 0.3, 0.4)]
    curves = mouth_curves(line, np.linspace(0, 0.4, 81))
    for name in set(CONTROLS) - {"jawOpen"}:
        highest = max(shape.get(name, 0.0) for shape in SHAPES.values())
        assert (curves[name] >= -1e-9).all()
        assert (curves[name] <= highest + 1e-9).all()
    assert curves["seal"][10] == pytest.approx(1)
    assert curves["seal"][40] == 0


def test_diphthongs_split_and_unknown_symbols_are_refused():
    """Kills an unknown sound that silently keeps the mouth at rest."""
    split = segments([Phoneme("aʊ", 0.0, 0.2), Phoneme("tʃ", 0.2, 0.3), Phoneme("iː", 0.3, 0.4)])
    assert [(p.symbol, p.start) for p in split] == [("a", 0.0), ("ʊ", 0.1), ("tʃ", 0.2), ("i", 0.3)]
    with pytest.raises(KeyError):
        segments([Phoneme("ǃ", 0.0, 0.1)])
