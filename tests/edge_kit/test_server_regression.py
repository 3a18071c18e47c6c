"""The server engine answers what PaddleOCR 2.10 answered: every box and text, on all recorded images."""

import json

import cv2
import pytest
from PIL import Image as Pillow

from edge_kit.api import create_pipeline
from edge_kit.ocr.image import read_image
from model_opt.resources import config_dir


@pytest.fixture(scope="session")
def recorded(shared_dir):
    return json.loads((shared_dir / "server_results" / "paddleocr_2.10_batch1.json").read_text())


def _check(pipeline, recorded, images):
    lines = 0
    for name, expected in sorted(recorded.items()):
        # The recorded server was given arrays that OpenCV had read, which drops alpha; its own loader keeps it.
        (result,) = pipeline.predict(read_image(images / name, "drop") if "transparent" in name else images / name)
        assert result.dt_polys.tolist() == [line["box"] for line in expected], name
        assert list(result.rec_texts) == [line["text"] for line in expected], name
        assert list(result.rec_scores) == pytest.approx([line["score"] for line in expected], abs=1e-4), name
        lines += len(expected)
    return lines


@pytest.mark.xdist_group("server")
def test_server_engine_equals_the_recorded_results_on_all_images(shared_dir, recorded):
    with create_pipeline("ocr", engine="server") as pipeline:
        lines = _check(pipeline, recorded, shared_dir / "images")
    assert (len(recorded), lines) == (29, 128)


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("engine", ["server", "nb"])
def test_batches_of_six_read_what_paddleocr_reads_by_default(shared_dir, engine):
    recorded = json.loads((shared_dir / "server_results" / "paddleocr_2.10_batch6.json").read_text())
    with create_pipeline("ocr", engine=engine, rec_batch_size=6) as pipeline:
        assert _check(pipeline, recorded, shared_dir / "images") == 128


@pytest.mark.xdist_group("onnx")
@pytest.mark.parametrize("threads", [1, 2])
def test_onnx_engine_reads_the_same_with_lines_side_by_side(shared_dir, recorded, threads):
    with create_pipeline("ocr", engine="onnx", threads=threads) as pipeline:
        assert _check(pipeline, recorded, shared_dir / "images") == 128


def test_the_example_of_the_readme_works(shared_dir, tmp_path, capsys):
    with create_pipeline("ocr", engine="onnx", device="cpu") as pipeline:
        for result in pipeline.predict(str(shared_dir / "images" / "rapid_en.jpg")):
            result.print()
            result.save_to_img(tmp_path)
            result.save_to_json(tmp_path)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "rapid_en.json").read_text())
    assert set(printed) == {"input_path", "dt_polys", "dt_scores", "rec_texts", "rec_scores", "timings"}
    assert len(printed["dt_polys"]) == len(printed["dt_scores"]) == len(printed["rec_texts"]) == 4
    assert (tmp_path / "rapid_en.jpg").stat().st_size > 10_000


TRANSPARENT = ["HELLOWORLD2026", "Invoice No.48213", "Total 1,234.56"]


@pytest.mark.xdist_group("onnx")
@pytest.mark.parametrize(("profile", "texts"), [("pp-ocrv4", TRANSPARENT), ("paddlex-3", [])])
def test_black_text_on_transparency_is_read_as_the_profiles_server_reads_it(shared_dir, profile, texts):
    path = shared_dir / "field_inputs" / "black_on_transparent.png"
    with create_pipeline("ocr", engine="onnx", spec=profile) as pipeline:
        inputs = [path, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)]
        assert [list(result.rec_texts) for result in pipeline.predict(inputs)] == [texts, texts]


@pytest.mark.integration
@pytest.mark.xdist_group("onnx")
def test_pages_are_results_of_their_own_numbered_from_zero(tmp_path):
    pages = [Pillow.open(config_dir() / "regression" / name).convert("RGB") for name in ("english.png", "tiny.png")]
    for kind in ("tif", "pdf"):
        pages[0].save(tmp_path / f"scan.{kind}", save_all=True, append_images=pages[1:], resolution=72.0)
    with create_pipeline("ocr", engine="onnx", result_schema="paddlex-3") as pipeline:
        (alone,) = pipeline.predict(config_dir() / "regression" / "english.png")
        found = list(pipeline.predict(tmp_path))
    assert [(one["input_path"], one["page_index"]) for one in found] == [
        (str(tmp_path / name), page) for name in ("scan.pdf", "scan.tif") for page in (0, 1)
    ]
    assert alone["page_index"] is None
    assert found[2].rec_texts == alone.rec_texts
    # The PDF's picture is a JPEG drawn at twice its size: the same lines, not the same pixels.
    assert len(found[0].rec_texts) == len(alone.rec_texts)
    assert "jumps" in found[0].rec_texts[0]
    names = [one.save_to_json(tmp_path / "out").name for one in found]
    assert names == ["scan_0_res.json", "scan_1_res.json", "scan_0_2_res.json", "scan_1_2_res.json"]
