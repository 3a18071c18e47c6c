"""Models of other people from build to texts: what the bundle says of its dictionary, the pipeline does."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_kit import create_pipeline
from edge_kit.spec import load_spec
from edge_kit.stages.job import build_bundle
from edge_kit.stages.request import BuildRequest
from edge_kit.verify.regression import regression_set
from model_opt.dictionary import read_dictionary
from model_opt.errors import KitError

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
        pipeline.ocr.profile = replace(pipeline.ocr.profile, result=replace(pipeline.ocr.profile.result, drop_score=0))
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
