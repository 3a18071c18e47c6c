"""The server engine answers what PaddleOCR 2.10 answered: every box and text, on all recorded images."""

import json

import pytest

from edge_kit.api import create_pipeline


@pytest.fixture(scope="session")
def recorded(shared_dir):
    return json.loads((shared_dir / "server_results" / "paddleocr_2.10_batch1.json").read_text())


def _check(pipeline, recorded, images):
    lines = 0
    for name, expected in sorted(recorded.items()):
        (result,) = pipeline.predict(images / name)
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
