"""The report: read back as HTML and JSON, as a reader or a script would."""

import base64
import io
import json
import math
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ResourceError
from evaluate.curve import curve_svg, round_ticks
from evaluate.metrics.picture import PictureScores
from evaluate.report import write_report

VOID = {"meta", "img", "br", "hr", "link", "input"}

FIGURES = {
    "mouth": PictureScores(31.254, 0.91239, 0.0712, 0.93),
    "landmarks": {"lmd_px256": 2.345, "opening_corr": 0.91, "opening_mae_px256": np.float32(1.5)},
    "sync": {"offset_frames": -1.0, "confidence": 0.4, "margin": math.nan},
    "leak": 0.02,
    "seam_ratio": 1.1,
    "baselines": {
        "nearest_frame": {"mouth": {"psnr": 28.1, "ssim": 0.85}, "leak": 0.5},
        "no_prior": {"mouth": {"psnr": 29.9, "ssim": math.nan}},
    },
    "ground_truth": {"sync": {"offset_frames": 0.0, "confidence": 0.5, "margin": 0.3}},
    "time": {"track": 12.34, "adapt_net": 100},
    "peak_rss_mb": 812,
    "codec": "h264 <crf 18>",
    "mouth_crop": np.array([1, 2]),
}


class Page(HTMLParser):
    """Tables as lists of rows of cell texts, headings, image sources; fails on unbalanced tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.headings: list[str] = []
        self.images: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.links += [v for k, v in attrs if k in ("href", "src", "srcset") and v is not None]
        if tag in VOID:
            if tag == "img":
                self.images.append(attributes["src"] or "")
            return
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag in ("h1", "h2"):
            self.headings.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings[-1] += data


@pytest.fixture
def report(tmp_path: Path) -> Path:
    picture = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
    curves = {"Opening & truth": {"this result": [0.1, math.nan, 0.3], "truth": [0.1, 0.2, 0.3]}}
    write_report(tmp_path / "report", "Shot <7> & more", FIGURES, {"contact": picture}, curves)
    return tmp_path / "report"


def test_tables_hold_the_result_the_baselines_and_the_truth(report: Path) -> None:
    """Kills rows in the wrong table, figures under the wrong heading, and a truth left out."""
    page = Page((report / "report.html").read_text())
    assert page.headings[0] == "Shot <7> & more"
    tables = dict(zip(page.headings[1:], page.tables, strict=False))
    mouth = tables["Mouth"]
    assert [cell.split(",")[0] for cell in mouth[0]][1] == "PSNR"
    assert mouth[1:] == [
        ["this result", "31.25", "0.9124", "0.0712", "0.930"],
        ["nearest frame", "28.10", "0.8500", "–", "–"],
        ["no prior", "29.90", "–", "–", "–"],
        ["ground truth", "∞", "1.0000", "0.0000", "1.000"],
    ]
    assert tables["Sync"][1] == ["this result", "−1.0", "0.400", "–"]
    assert tables["Sync"][-1] == ["ground truth", "0.0", "0.500", "0.300"]
    assert tables["Shot"][1] == ["this result", "0.020", "1.100"]
    assert tables["Shot"][-1] == ["ground truth", "–", "1.000"]


def test_time_and_conditions_are_shown_escaped(report: Path) -> None:
    text = (report / "report.html").read_text()
    page = Page(text)
    assert page.tables[-1][1:] == [["track", "12.3"], ["adapt net", "100.0"]]
    assert "h264 &lt;crf 18&gt;" in text
    assert "<dt>peak rss mb</dt><dd>812</dd>" in text


def test_the_page_needs_nothing_from_anywhere(report: Path) -> None:
    """Kills links to files or hosts: the page must survive being mailed alone."""
    page = Page((report / "report.html").read_text())
    assert len(page.images) == 1
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    embedded = Image.open(io.BytesIO(base64.b64decode(page.images[0].split(",", 1)[1])))
    np.testing.assert_array_equal(
        np.asarray(embedded), np.asarray(Image.open(report / "contact.png"))
    )


def test_json_is_strict_and_unknown_is_null(report: Path) -> None:
    """Kills NaN in JSON, numpy types that do not serialise, and rounded figures."""

    def refuse(token: str) -> None:
        raise AssertionError(token)

    document = json.loads((report / "report.json").read_text(), parse_constant=refuse)
    assert document["mouth"]["psnr"] == 31.254
    assert document["sync"]["margin"] is None
    assert document["baselines"]["no_prior"]["mouth"] == {"psnr": 29.9, "ssim": None}
    assert document["landmarks"]["opening_mae_px256"] == 1.5
    assert document["mouth_crop"] == [1, 2]


def test_an_empty_report_is_still_a_page(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path, "Nothing", {}, {}, {}).read_text())
    assert page.headings == ["Nothing"]


def test_an_unwritable_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        write_report(tmp_path / "file", "Title", {}, {}, {})


def test_a_gap_breaks_the_line_and_the_axis_encloses_the_values() -> None:
    """Kills NaN written into paths and lines drawn across a gap."""
    svg = curve_svg("a", {"x": [0.0, 1.0, math.nan, 2.0]})
    assert "nan" not in svg
    assert svg.count("M") == 2
    for low, high in ((0.0, 1.0), (-3.2, 17.0), (1e-5, 3e-5), (5.0, 5.0)):
        ticks = round_ticks(low, high)
        assert ticks[0] <= low + 1e-9
        assert ticks[-1] >= high - 1e-9
        assert 2 <= len(ticks) <= 8


@pytest.mark.parametrize("curve", [[], [1.0], [math.nan, math.nan], [math.inf, 2.0]])
def test_short_and_unknown_curves_draw(curve: list[float]) -> None:
    Page(curve_svg("a", {"x": curve}))
