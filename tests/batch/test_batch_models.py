"""Bulk runs with real models: rows are what ``predict`` reads, comparisons are what ``verify`` measures."""

import dataclasses
import json

import pytest

from edge_kit.api import create_pipeline
from edge_kit.batch.compare import judge, measures_from, sums_of
from edge_kit.batch.inputs import Sources, walk
from edge_kit.batch.reading import open_reader
from edge_kit.batch.rows import read_entry
from edge_kit.batch.tables import COMPARE
from edge_kit.batch.work import describe
from edge_kit.settings import from_mapping
from edge_kit.verify.runs import Named, verify_pipelines
from tests.batch.running import rows, run

SET = "pp-ocrv6-tiny"
NAMES = ("cnocr_helloworld.jpg", "rapid_en.jpg", "rapid_short.png")


@pytest.fixture(scope="module")
def pictures(shared_dir):
    return [shared_dir / "images" / name for name in NAMES]


@pytest.fixture(scope="module")
def pipelines():
    with create_pipeline(models=SET, engine="server") as server, create_pipeline(models=SET) as own:
        yield server, own


def in_reader(reader):
    """Return an executor that reads in this process with that reader."""

    def execute(entries):
        sources = Sources()
        for entry in entries:
            yield read_entry(reader, sources, entry)

    return execute


@pytest.mark.parametrize("schema", ["kit", "paddlex-3"])
def test_rows_are_what_predict_reads_in_both_formats(tmp_path, pictures, pipelines, schema):
    settings = {**dataclasses.asdict(pipelines[1].settings), "result_schema": schema, "return_word_box": True}
    reader = in_reader(open_reader([settings]))
    for form in ("jsonl", "parquet"):
        summary = run(pictures, tmp_path / form, reader, form=form, description={"format": form}, schema=schema)
        assert (summary.rows, summary.failed) == (3, 0)
    found = rows(tmp_path / "jsonl", schema=schema)
    assert rows(tmp_path / "parquet", "parquet", schema=schema) == [
        {name: value for name, value in row.items() if value is not None or name in ("member", "page_index", "error")}
        for row in found
    ]
    for row, result in zip(found, pipelines[1].predict(list(map(str, pictures)), return_word_box=True), strict=True):
        expected = dataclasses.replace(result, schema=schema).json["res"]
        assert row["rec_texts"] == expected["rec_texts"] != []
        assert {name: row[name] for name in ("dt_polys", "rec_scores", "text_word_boxes")} == {
            name: expected[name] for name in ("dt_polys", "rec_scores", "text_word_boxes")
        }


def test_a_comparison_measures_what_verify_measures(tmp_path, pictures, pipelines):
    server, own = pipelines
    reader = in_reader(open_reader([dataclasses.asdict(one.settings) for one in pipelines]))
    given = list(walk(tuple(map(str, pictures))))
    answers = list(reader(given))
    verdict = judge("server", "nb", "fp32", [sums_of(answers[:2]), sums_of(answers[2:])])
    named = [Named(path.name, path) for path in pictures]
    verified = verify_pipelines(server.ocr, {"nb": own.ocr}, named, lambda part, what: None)["nb"]
    assert verdict.metrics == pytest.approx(verified.comparison.total.metrics(), rel=1e-12)
    assert verdict.passed
    assert (verdict.images, verdict.equal) == (3, 3)
    assert sum(measures_from(json.loads(answer.lines)["measures"]).texts.lines for answer in answers) > 5
    run(pictures, tmp_path / "out", reader, form="parquet", schema=COMPARE)
    assert [row["reference_texts"] for row in rows(tmp_path / "out", "parquet", schema=COMPARE)] == [
        json.loads(answer.lines)["reference_texts"] for answer in answers
    ]


@pytest.mark.integration
def test_the_description_names_models_profile_and_versions():
    first = describe([from_mapping({"models": SET, "threads": 2})], format="jsonl")
    again = describe([from_mapping({"models": SET, "threads": 1, "offline": True})], format="jsonl")
    assert first == again
    other = describe([from_mapping({"models": SET, "use_textline_orientation": True})], format="jsonl")
    assert set(other["models"]) - set(first["models"]) == {"nb.textline"}
    assert first["models"]["nb.det"].startswith("PP-OCRv6_tiny_det ")
    assert first["profile"] == "paddlex-3"
    assert describe([from_mapping({"models": SET, "spec": "paddlex-v4"})])["profile"] == "paddlex-v4"
