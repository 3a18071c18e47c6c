"""The sets of PaddleX 3 and the profile ``paddlex-3`` answer what PaddleOCR 3.7 answered: every box and text.

Line by line, and in the batches of six that are PaddleOCR's default.

The recordings were made by PaddleOCR 3.7.0 itself (PaddleX 3.7.2) on the same model files. The engine ``server`` runs
these on their own runtime; the engine ``nb`` runs what a device gets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

from edge_kit import create_pipeline
from edge_kit.ocr.pipeline import OcrPipeline

SIXES_FILE = Path(__file__).parent / "data" / "paddleocr_3.7_batch6.json"
"""Further answers of PaddleOCR 3.7.0 with its default batches: set, folder, image, lines."""

RES_FILE = SIXES_FILE.with_name("paddleocr_3.7_res.json")
"""What PaddleOCR 3.7.0 gave as ``json["res"]`` for six images with v6 tiny and ``return_word_box``."""

TURNED_FILE = SIXES_FILE.with_name("paddleocr_3.7_turned.json")
"""What PaddleOCR 3.7.0 gave for turned images with v6 tiny and its classifiers, each line classified by itself
(``textline_orientation_batch_size=1``): "line" or "page", image, degrees clockwise that the image was turned by before.
"""

SCORES = 1e-4
"""How far a score may lie from the recording: other processors and releases of the engines round other last bits."""

RECORDED = {
    "pp-ocrv4-mobile": ("v4mobile_batch1", 137),
    "pp-ocrv5-mobile": ("v5mobile_batch1", 150),
    "pp-ocrv6-tiny": ("v6tiny_onnxruntime_batch1", 134),
    "pp-ocrv6-small": ("v6small_onnxruntime_batch1", 132),
}
IN_SIXES = {
    "pp-ocrv5-mobile": ("v5mobile_batch6", 150),
    "pp-ocrv6-tiny": ("v6tiny_onnxruntime_batch6", 134),
}
NEW = tuple(name for name in RECORDED if name != "pp-ocrv4-mobile")


@pytest.fixture(scope="module")
def server(request):
    with create_pipeline(models=request.param, engine="server", spec="paddlex-3") as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def nb(request):
    with create_pipeline(models=request.param, engine="nb") as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def in_sixes(request):
    models, engine = request.param
    with create_pipeline(models=models, engine=engine, rec_batch_size=6) as pipeline:
        yield pipeline


def recording(shared_dir: Path, name: str) -> dict[str, Any]:
    return json.loads((shared_dir / "server_results" / f"paddleocr_3.7_{name}.json").read_text(encoding="utf-8"))


def compared(recorded: Mapping[str, Any], pipeline: Any, images: Path) -> tuple[int, int, float]:
    """Demand equal boxes and texts on every recorded image; return images, lines, the largest difference of scores."""
    lines, worst = 0, 0.0
    for name, expected in sorted(recorded["results"].items()):
        (result,) = pipeline.predict(images / name)
        assert result.dt_polys.tolist() == [line["box"] for line in expected], name
        assert list(result.rec_texts) == [line["text"] for line in expected], name
        both = zip(result.rec_scores, (line["score"] for line in expected), strict=True)
        worst = max([worst, *(abs(found - wanted) for found, wanted in both)])
        lines += len(expected)
    return len(recorded["results"]), lines, worst


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("server", RECORDED, indirect=True)
def test_the_server_engine_reads_what_paddleocr_3_read(shared_dir, server):
    name, lines = RECORDED[server.settings.models]
    images, found, worst = compared(recording(shared_dir, name), server, shared_dir / "images")
    assert (images, found) == (29, lines)
    assert worst <= SCORES


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("server", ["pp-ocrv5-mobile"], indirect=True)
def test_images_beyond_the_limits_are_read_as_by_paddleocr_3(shared_dir, server):
    """Longer sides above 4,000 pixels, a line wider than 3,200, and an image that is padded first."""
    images, lines, worst = compared(recording(shared_dir, "v5mobile_edge_batch1"), server, shared_dir / "images_edge")
    assert (images, lines) == (3, 30)
    assert worst <= SCORES


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("server", ["pp-ocrv6-tiny"], indirect=True)
def test_the_thresholds_of_the_models_own_file_give_their_lines(shared_dir, server):
    """PaddleOCR's pipeline overrides those; who gives them to it gets these lines."""
    recorded = recording(shared_dir, "v6tiny_onnxruntime_ymlparams_batch1")
    given = {key: recorded["meta"]["text_det_params"][key] for key in ("thresh", "box_thresh", "unclip_ratio")}
    rules = server.ocr.rules
    assert rules.db.max_candidates == 3000
    own = replace(rules, db=replace(rules.db, **given))
    usual, server.ocr = server.ocr, OcrPipeline(own, server.ocr.runs, server.ocr.characters)
    try:
        images, lines, worst = compared(recorded, server, shared_dir / "images")
    finally:
        server.ocr = usual
    assert (images, lines) == (29, 141)
    assert worst <= SCORES


@pytest.mark.xdist_group("nb")
@pytest.mark.parametrize("nb", NEW, indirect=True)
def test_the_shipped_files_read_what_paddleocr_3_read(shared_dir, nb):
    """The files that a device gets in fp32, emulated, at the server's full size."""
    name, lines = RECORDED[nb.settings.models]
    images, found, worst = compared(recording(shared_dir, name), nb, shared_dir / "images")
    assert (images, found) == (29, lines)
    assert worst <= 1e-3


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize(
    "in_sixes", [(models, engine) for models in IN_SIXES for engine in ("server", "nb")], indirect=True
)
def test_batches_of_six_read_what_paddleocr_3_reads_by_default(shared_dir, in_sixes):
    """Line by line one text differs with v5 mobile, two with v6 tiny."""
    name, lines = IN_SIXES[in_sixes.settings.models]
    images, found, worst = compared(recording(shared_dir, name), in_sixes, shared_dir / "images")
    assert (images, found) == (29, lines)
    assert worst <= (SCORES if in_sixes.settings.engine == "server" else 1e-3)


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("in_sixes", [(models, engine) for models in NEW for engine in ("server", "nb")], indirect=True)
def test_images_beyond_the_limits_are_read_in_sixes_as_by_paddleocr_3(shared_dir, in_sixes):
    """And all images with v6 small, of which no other recording has batches."""
    recorded = json.loads(SIXES_FILE.read_text(encoding="utf-8"))[in_sixes.settings.models]
    allowed = SCORES if in_sixes.settings.engine == "server" else 1e-3
    for folder, results in recorded.items():
        images, lines, worst = compared({"results": results}, in_sixes, shared_dir / folder)
        assert images == len(results)
        assert lines == sum(map(len, results.values())) > 0
        assert worst <= allowed


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("in_sixes", [("pp-ocrv6-tiny", "server")], indirect=True)
def test_every_field_of_the_result_is_paddleocr_3s_boxes_of_words_included(shared_dir, in_sixes):
    recorded = json.loads(RES_FILE.read_text(encoding="utf-8"))
    for name, expected in recorded.items():
        (result,) = in_sixes.predict(shared_dir / "images" / name)
        found = replace(result, input_path=name, schema="paddlex-3", return_word_box=True).json["res"]
        assert list(found) == list(expected), name
        assert found.pop("rec_scores") == pytest.approx(expected.pop("rec_scores"), abs=SCORES)
        assert found == expected, name


TURNS = {"90": cv2.ROTATE_90_CLOCKWISE, "180": cv2.ROTATE_180, "270": cv2.ROTATE_90_COUNTERCLOCKWISE}


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("engine", ["server", "nb"])
@pytest.mark.parametrize("kind", ["line", "page"])
def test_turned_lines_and_pages_are_read_as_by_paddleocr_3(shared_dir, engine, kind):
    """PaddleOCR ran the same model files; page and line classifiers both where pages were turned."""
    pages = {"use_doc_orientation_classify": True, "doc_orientation_model": "text_image_orientation"}
    recorded = json.loads(TURNED_FILE.read_text(encoding="utf-8"))
    with create_pipeline(
        models="pp-ocrv6-tiny",
        engine=engine,
        rec_batch_size=6,
        result_schema="paddlex-3",
        use_textline_orientation=True,
        **(pages if kind == "page" else {}),
    ) as pipeline:
        for name, expected in recorded.items():
            what, file, degrees = name.split()
            if what != kind:
                continue
            image = cv2.imread(str(shared_dir / "images" / file))
            (result,) = pipeline.predict(image if degrees == "0" else cv2.rotate(image, TURNS[degrees]))
            found = result.json["res"]
            assert found.pop("rec_scores") == pytest.approx(expected.pop("rec_scores"), abs=1e-3)
            assert found == expected, name
