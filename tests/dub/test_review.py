"""The review page: both pictures of every frame, the right findings, the right plate."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from core.errors import InputError, QualityError
from core.progress import Silent
from dub.bench import PERFORMER
from dub.review import (
    Openings,
    Review,
    astray,
    plate_of,
    review_shot,
    sidecar_of,
    worth_a_look,
)
from dub.review_page import WAVE, WIDTH, waveform
from dub.sidecar import SCHEMA, clip_facts, sidecar_path
from media.audio import Audio
from media.clip import Clip
from media.writer import ClipWriter

FRAMES = range(4, 16)


@pytest.fixture(scope="module")
def dubbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames of the performer, a little darker, as if they had been dubbed."""
    output = tmp_path_factory.mktemp("review") / "dark.mkv"
    clip = Clip.open(PERFORMER)
    with ClipWriter(output, clip) as writer:
        for frame in clip.frames(FRAMES):
            luma = np.maximum(frame.planes[0], 56) - 40
            writer.write(replace(frame, planes=(luma, *frame.planes[1:])))
    document = {
        "kind": SCHEMA.kind,
        "schema": SCHEMA.version,
        "plate": clip_facts(clip),
        "range": [FRAMES.start, FRAMES.stop],
        "speech": None,
        "passed_through": [
            {"start": 6, "stop": 8, "reason": "kept"},
            {"start": 15, "stop": 16, "reason": "no face"},
        ],
        "confidence": [0.9] * 9 + [0.2, 0.9, 0.9],
        "intent_opening_millimetres": list(np.linspace(0, 5, len(FRAMES))),
    }
    sidecar_path(output).write_text(json.dumps(document))
    return output


@pytest.mark.parametrize("content", ["{", '{"kind": "redub-sidecar", "schema": 99}'])
def test_a_sidecar_that_cannot_be_read_is_a_sentence(tmp_path: Path, content: str) -> None:
    """Kills a KeyError for a newer sidecar, and a trace for one cut short."""
    sidecar_path(tmp_path / "shot.mkv").write_text(content)
    with pytest.raises(InputError, match=r"cannot be read|update redub"):
        sidecar_of(tmp_path / "shot.mkv")


def test_the_page_holds_plate_above_dub_of_every_frame(dubbed: Path) -> None:
    """Kills swapped halves, a frame too few, a page that needs the network, and a strict review
    that fails without leaving its page."""
    page = dubbed.with_name("page.html")
    found = review_shot(Review(dubbed, PERFORMER, page), Silent())
    assert found["page"] == str(page)
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="?https?:', text)
    assert "{{" not in text
    videos = re.findall(r'data-view="(\w+)" playsinline.*?base64,([^"]+)"', text)
    assert [name for name, _ in videos] == ["frame", "face"]
    for name, data in videos:
        path = dubbed.with_name(f"{name}.mp4")
        path.write_bytes(base64.b64decode(data))
        with av.open(str(path)) as container:
            shown = [f.to_ndarray(format="gray").astype(float) for f in container.decode(video=0)]
        assert len(shown) == len(FRAMES)
        height = shown[0].shape[0] // 2
        for picture in shown:
            assert 20 < (picture[:height] - picture[height:]).mean() < 50
    why = {(one["start"], one["stop"], one["why"]) for one in found["worth_a_look"]}
    assert (2, 4, "passed through: kept") in why
    assert (9, 10, "the track is not sure") in why
    checks = {check["name"]: check["passed"] for check in found["checks"]}
    assert checks["frame rate"]
    assert checks["size"]
    assert not checks["frames that could not be painted"]
    page.unlink()
    with pytest.raises(QualityError, match=r"could not be painted: 1, asked none.*page\.html"):
        review_shot(Review(dubbed, PERFORMER, page, strict=True), Silent())
    assert page.exists()


def test_only_the_plate_that_was_dubbed_is_shown(dubbed: Path, tmp_path: Path) -> None:
    """Kills a wipe against another take of the same name: the bytes decide."""
    document = json.loads(sidecar_path(dubbed).read_text())
    assert plate_of(Review(dubbed, PERFORMER), document) == PERFORMER
    other = tmp_path / PERFORMER.name
    other.write_bytes(PERFORMER.read_bytes() + b"x")
    with pytest.raises(InputError, match=r"is not the plate .* give it with --plate"):
        plate_of(Review(dubbed, other), document)
    with pytest.raises(InputError, match="--plate"):
        plate_of(Review(dubbed), document)
    with pytest.raises(InputError, match="sidecar"):
        review_shot(Review(PERFORMER, PERFORMER), Silent())


def test_a_file_that_was_cut_since_is_refused(dubbed: Path, tmp_path: Path) -> None:
    """Kills a page whose dub runs a frame ahead of its plate."""
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(dubbed.read_bytes())
    document = json.loads(sidecar_path(dubbed).read_text())
    sidecar_path(cut).write_text(json.dumps(document | {"range": [4, 17]}))
    with pytest.raises(InputError, match=r"12 frames .* tells of 13"):
        review_shot(Review(cut, PERFORMER), Silent())


def test_a_mouth_that_disobeys_is_found() -> None:
    """Kills a comparison of millimetres with eye distances, and one that a gap of the asked
    opening upsets."""
    asked = 5 + 5 * np.sin(np.arange(60) / 3)
    dub = 0.02 * asked + 0.01
    dub[20:22] = 0.3
    asked[40:45] = np.nan
    openings = Openings(np.zeros(60), dub, asked)
    assert np.flatnonzero(astray(openings)).tolist() == [20, 21]
    document = {"range": [0, 60], "passed_through": [], "confidence": [1.0] * 60}
    (finding,) = worth_a_look(document, openings)
    assert (finding.start, finding.stop) == (20, 22)


def test_the_waveform_is_tall_where_it_is_loud() -> None:
    """Kills a waveform drawn against another clock than the frames'."""
    samples = np.zeros((1, 8000), np.float32)
    samples[0, 4000:] = 0.5
    heights = [float(pair.split()[1]) for pair in waveform(Audio(samples, 8000))[1:-1].split("L")]
    assert len(heights) == 2 * WIDTH
    assert set(heights[: WIDTH // 2 - 1]) == {WAVE / 2}
    assert max(heights[WIDTH // 2 + 1 : WIDTH]) < 0.1 * WAVE
