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
from edge_kit.ocr.image import read_image
from edge_kit.ocr.result import OcrResult
from edge_kit.ocr.tensor import Run

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
READERS = [("pp-ocrv4-mobile", "server"), *((models, engine) for models in NEW for engine in ("server", "nb"))]
EMULATED = 1e-3
"""The same for the engine ``nb``, which computes with other kernels than those of the recording."""


def remembering(run: Run) -> Run:
    """Return a run that gives its last answer again when its last input is repeated: detection has no batches."""
    last: list[tuple[bytes, Any]] = []

    def again(x: Any) -> Any:
        key = x.tobytes()
        if not last or last[0][0] != key:
            last[:] = [(key, run(x))]
        return last[0][1]

    return again


@pytest.fixture(scope="module")
def reader(request):
    models, engine = request.param
    with create_pipeline(models=models, engine=engine, spec="paddlex-3") as pipeline:
        runs = pipeline.ocr.runs
        pipeline.ocr.runs = replace(runs, detect=remembering(runs.detect))
        yield pipeline


def recording(shared_dir: Path, name: str) -> dict[str, Any]:
    return json.loads((shared_dir / "server_results" / f"paddleocr_3.7_{name}.json").read_text(encoding="utf-8"))


def sixes(models: str) -> dict[str, Any]:
    return json.loads(SIXES_FILE.read_text(encoding="utf-8"))[models]


def read(pipeline: Any, image: Path, batch: int) -> OcrResult:
    """Return what the pipeline reads with ``batch`` lines a run."""
    return pipeline.ocr.under(pipeline.ocr.rules.in_batches_of(batch)).read(read_image(image), str(image))


def lines_equal(result: OcrResult, expected: list[dict[str, Any]], engine: str) -> int:
    """Demand equal boxes and texts, and scores but for last digits; return the number of lines."""
    name = result.input_path
    assert result.dt_polys.tolist() == [line["box"] for line in expected], name
    assert list(result.rec_texts) == [line["text"] for line in expected], name
    allowed = SCORES if engine == "server" else EMULATED
    assert list(result.rec_scores) == pytest.approx([line["score"] for line in expected], abs=allowed), name
    return len(expected)


def totals(pipeline: Any, folder: Path, by_batch: Mapping[int, Mapping[str, Any]]) -> dict[int, tuple[int, int]]:
    """Compare every recorded image, batch by batch; return images and lines of each."""
    lines = dict.fromkeys(by_batch, 0)
    for name in sorted({name for results in by_batch.values() for name in results}):
        for batch, results in by_batch.items():
            if name in results:
                result = read(pipeline, folder / name, batch)
                lines[batch] += lines_equal(result, results[name], pipeline.settings.engine)
    return {batch: (len(results), lines[batch]) for batch, results in by_batch.items()}


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("reader", READERS, indirect=True)
def test_every_box_and_text_is_what_paddleocr_3_read(shared_dir, reader):
    """The original models (``server``), and the files that a device gets in fp32, emulated, at the server's full size.

    Line by line, and in sixes: read line by line, one text of the sixes differs with v5 mobile and two with v6 tiny.
    """
    models = reader.settings.models
    name, lines = RECORDED[models]
    by_batch, expected = {1: recording(shared_dir, name)["results"]}, {1: (29, lines)}
    if models in IN_SIXES:
        name, lines = IN_SIXES[models]
        by_batch[6], expected[6] = recording(shared_dir, name)["results"], (29, lines)
    elif models in NEW:
        by_batch[6] = sixes(models)["images"]
        expected[6] = (29, sum(map(len, by_batch[6].values())))
    assert totals(reader, shared_dir / "images", by_batch) == expected


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("reader", READERS[1:], indirect=True)
def test_images_beyond_the_limits_are_read_as_by_paddleocr_3(shared_dir, reader):
    """Longer sides above 4,000 pixels, a line wider than 3,200, and an image that is padded first."""
    models = reader.settings.models
    by_batch = {6: sixes(models)["images_edge"]}
    expected = {6: (3, sum(map(len, by_batch[6].values())))}
    if (models, reader.settings.engine) == ("pp-ocrv5-mobile", "server"):
        by_batch[1] = recording(shared_dir, "v5mobile_edge_batch1")["results"]
        expected[1] = (3, 30)
    assert totals(reader, shared_dir / "images_edge", by_batch) == expected


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("reader", [("pp-ocrv6-tiny", "server")], indirect=True)
def test_the_thresholds_of_the_models_own_file_give_their_lines(shared_dir, reader):
    """PaddleOCR's pipeline overrides those; who gives them to it gets these lines."""
    recorded = recording(shared_dir, "v6tiny_onnxruntime_ymlparams_batch1")
    given = {key: recorded["meta"]["text_det_params"][key] for key in ("thresh", "box_thresh", "unclip_ratio")}
    assert reader.ocr.rules.db.max_candidates == 3000
    words = {f"text_det_{key}": value for key, value in given.items()}
    lines = 0
    for name, expected in sorted(recorded["results"].items()):
        (result,) = reader.predict(shared_dir / "images" / name, **words)
        lines += lines_equal(result, expected, "server")
    assert (len(recorded["results"]), lines) == (29, 141)


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("reader", [("pp-ocrv6-tiny", "server")], indirect=True)
def test_every_field_of_the_result_is_paddleocr_3s_boxes_of_words_included(shared_dir, reader):
    recorded = json.loads(RES_FILE.read_text(encoding="utf-8"))
    for name, expected in recorded.items():
        result = read(reader, shared_dir / "images" / name, 6)
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
