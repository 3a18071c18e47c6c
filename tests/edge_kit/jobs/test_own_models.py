"""Models of other people from build to texts: what the bundle says of its dictionary, the pipeline does."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_kit import create_pipeline
from edge_kit.jobs.build import build_bundle
from edge_kit.jobs.quantize import quantise_models
from edge_kit.jobs.request import BuildRequest
from edge_kit.spec import load_spec
from edge_kit.verify.regression import regression_set
from model_opt.dictionary import read_dictionary
from model_opt.errors import KitError
from model_opt.paddle_model import read_model, write_model

REQUEST = BuildRequest("arm64", "fp32", Path("unset"), allow_failed_gates=True)


@pytest.fixture
def field(shared_dir) -> Path:
    return shared_dir / "field_inputs"


def built(tmp_path, field, dictionary):
    model = str(field / "rec_paddle3_export")
    return build_bundle(
        replace(REQUEST, out=tmp_path / "b", rec_model=model, rec_dict=dictionary), lambda _: None
    ).manifest


def texts(**settings) -> list[tuple[str, ...]]:
    image = next(image.path for image in regression_set() if image.name == "street_sign.png")
    with create_pipeline("ocr", **settings) as pipeline:
        pipeline.ocr.rules = replace(pipeline.ocr.rules, result=replace(pipeline.ocr.rules.result, drop_score=0))
        return [result.rec_texts for result in pipeline.predict(image)]


@pytest.mark.usefixtures("two_images")
@pytest.mark.parametrize("space", [True, False])
def test_the_classes_of_a_recogniser_decide_on_the_space_up_to_the_bundle(tmp_path, field, space):
    """97 classes: 95 characters and a space, or 96 characters and none."""
    dictionary = tmp_path / "keys.txt"
    characters = read_dictionary(field / "en_dict.txt").characters
    dictionary.write_text("\n".join(characters if space else (*characters, "€")), encoding="utf-8")
    manifest = built(tmp_path, field, dictionary)
    by_name = {gate["name"]: gate for gate in manifest.verification["gates"]}
    assert by_name["rec_max_abs"]["passed"]
    assert {one.ctc.append_space for one in load_spec(tmp_path / "b" / "ocr_spec.json").profiles} == {space}
    assert read_dictionary(tmp_path / "b" / "labels.txt").characters == read_dictionary(dictionary).characters
    found = texts(engine="nb", bundle=str(tmp_path / "b"))
    assert found == texts(
        engine="server", det_model="PP-OCRv4_mobile_det", rec_model=str(field / "rec_paddle3_export"),
        rec_dict=str(dictionary),
    )  # fmt: skip
    assert any(found)


@pytest.mark.usefixtures("two_images")
def test_a_byte_order_mark_does_not_ship_and_duplicates_are_named(tmp_path, field):
    dictionary = tmp_path / "keys.txt"
    lines = (field / "d_bom.txt").read_bytes().split(b"\n")
    lines[1] = b"A"
    dictionary.write_bytes(b"\r\n".join(lines))
    manifest = built(tmp_path, field, dictionary)
    labels = (tmp_path / "b" / "labels.txt").read_bytes().decode()
    assert labels.startswith("0\nA\n")
    bill = json.loads((tmp_path / "b" / "bom.cdx.json").read_bytes())
    licences = {row["bom-ref"]: row.get("licenses") for row in bill["components"]}
    assert licences["model-rec"] == licences["model-dictionary"] == [{"license": {"name": "not stated"}}]
    assert licences["model-det"] == [{"expression": "Apache-2.0"}]
    assert "\r" not in labels
    assert any("'A' in lines 2 and 18" in note for note in manifest.models["rec"]["warnings"])
    assert "more than once" in (tmp_path / "b" / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "b" / "ocr_spec.json").read_bytes())["profiles"]["pp-ocrv4"]["ctc"]["append_space"]


@pytest.mark.parametrize(
    ("name", "words"), [("d_trimmed.txt", "line 95 of the dictionary is empty"), ("en94.txt", "94 characters")]
)
def test_a_dictionary_that_would_garble_texts_is_refused_before_any_stage(tmp_path, field, name, words):
    events = []
    request = replace(REQUEST, out=tmp_path / "b", rec_model=str(field / "rec_paddle3_export"), rec_dict=field / name)
    with pytest.raises(KitError, match=words):
        build_bundle(request, events.append)
    assert {event.stage for event in events} <= {"tool"}


def quantise(request, on_event):
    quantise_models(replace(request, recipe="weight_int8"), ("det",), on_event)


@pytest.mark.parametrize("entry", [build_bundle, quantise])
def test_what_a_file_cannot_give_is_said_before_any_stage(tmp_path, field, entry):
    """Before the converter is looked for, too."""
    events = []
    request = replace(REQUEST, out=tmp_path / "b", det_model=str(field / "det_ptq_onnx_format"))
    with pytest.raises(KitError, match="quantised already"):
        entry(request, events.append)
    assert events == []


def with_input(folder: Path, source: Path, dims: tuple[int, ...], change=lambda op: op) -> Path:
    """Write the model of ``source`` with other declared input sizes and changed operators."""
    model = read_model(source / "inference.pdmodel", source / "inference.pdiparams")
    main = model.program.main
    main = main.with_vars(replace(main.var("x"), dims=dims)).with_ops(map(change, main.ops))
    folder.mkdir()
    model = model.with_program(model.program.with_main(main))
    write_model(model, folder / "inference.pdmodel", folder / "inference.pdiparams")
    return folder


@pytest.mark.usefixtures("two_images")
@pytest.mark.parametrize("width", [-1, 160])
def test_a_recogniser_of_other_sizes_is_fed_in_them(tmp_path, field, width):
    """32 pixels high, as before PP-OCRv3; a fixed width is that of every line."""

    def lower(op):
        tall = op.type == "conv2d"
        return op.with_attr("strides", (32, 4)) if tall else op

    source = field / "rec_paddle3_export"
    model = read_model(source / "inference.pdmodel", source / "inference.pdiparams")
    weight = np.ascontiguousarray(model.params["conv2d_0.w_0"][:, :, :32])
    model = model.with_param("conv2d_0.w_0", weight)
    (tmp_path / "first").mkdir()
    write_model(model, tmp_path / "first" / "inference.pdmodel", tmp_path / "first" / "inference.pdiparams")
    folder = with_input(tmp_path / "m", tmp_path / "first", (-1, 3, 32, width), lower)
    request = replace(REQUEST, out=tmp_path / "b", rec_model=str(folder), rec_dict=field / "en_dict.txt")
    manifest = build_bundle(request, lambda _: None).manifest
    by_name = {gate["name"]: gate for gate in manifest.verification["gates"]}
    assert by_name["rec_max_abs"]["passed"]
    lines = load_spec(tmp_path / "b" / "ocr_spec.json").profiles[0].recognition
    assert lines.height == 32
    assert (lines.min_width, lines.max_width) == ((160, 160) if width == 160 else (320, 3200))
    found = texts(engine="nb", bundle=str(tmp_path / "b"))
    assert found == texts(
        engine="server", det_model="PP-OCRv4_mobile_det", rec_model=str(folder), rec_dict=str(field / "en_dict.txt")
    )
