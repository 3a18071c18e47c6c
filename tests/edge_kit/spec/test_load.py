"""The specification file: complete, validated, exported completely."""

import json

import pytest

from edge_kit.spec import SpecError, export_json, load_spec, profile
from model_opt.config import read_yaml
from model_opt.errors import KitError


def test_default_profile_states_the_server_defaults():
    rules = profile()
    assert rules.name == "pp-ocrv4"
    assert (rules.detection.limit_side_len, rules.db.thresh, rules.db.box_thresh) == (960, 0.3, 0.6)
    assert (rules.db.unclip_ratio, rules.result.drop_score, rules.recognition.min_width) == (1.5, 0.5, 320)
    assert not rules.classifier.enabled


def test_paddlex_profile_differs_where_its_pipeline_does():
    rules, base = profile("paddlex-v4"), profile("pp-ocrv4")
    assert (rules.db.unclip_ratio, rules.result.drop_score, rules.boxes.clip) == (2.0, 0.0, "image_size")
    assert rules.boxes.min_side_exclusive is None
    assert rules.detection == base.detection
    assert rules.recognition == base.recognition


def test_export_is_complete_and_repeats_byte_for_byte(tmp_path):
    exported = export_json(load_spec())
    assert exported == export_json(load_spec())
    document = json.loads(exported)
    assert document["profiles"]["paddlex-v4"]["detection"]["limit_side_len"] == 960
    path = tmp_path / "ocr_spec.json"
    path.write_bytes(exported)
    assert {p.name: p for p in load_spec(path).profiles} == {p.name: p for p in load_spec().profiles}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["profiles"]["pp-ocrv4"]["db"].update(thresh=1.5), "profiles.pp-ocrv4.db.thresh"),
        (lambda d: d["profiles"]["pp-ocrv4"]["db"].update(threshold=0.5), "threshold"),
        (lambda d: d["profiles"]["pp-ocrv4"]["db"].pop("thresh"), "lacks db.thresh"),
        (lambda d: d["profiles"]["paddlex-v4"].update(extends="nothing"), "'nothing', which is not defined"),
        (lambda d: d["profiles"]["pp-ocrv4"].update(extends="paddlex-v4"), "circle"),
        (lambda d: d.update(default_profile="absent"), "absent"),
        (lambda d: d.update(spec_version=1), "spec_version"),
        (lambda d: d["profiles"]["pp-ocrv4"]["boxes"].update(row_sort="bubble"), "boxes.row_sort"),
    ],
)
def test_a_bad_file_names_the_key(changed_config, change, words):
    with pytest.raises(SpecError, match=words):
        load_spec(changed_config("ocr_spec.yaml", change))


def test_unknown_profile_lists_the_known_ones():
    with pytest.raises(SpecError) as caught:
        profile("pp-ocrv9")
    assert "pp-ocrv4" in str(caught.value)
    assert "paddlex-v4" in str(caught.value)


def test_a_file_that_is_not_yaml_or_missing_is_an_error(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("a: [1,")
    with pytest.raises(SpecError, match="not a YAML file"):
        load_spec(path)
    with pytest.raises(SpecError, match="cannot read"):
        load_spec(tmp_path / "absent.yaml")


def test_a_file_nested_beyond_reason_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 100_000)
    with pytest.raises(KitError, match=r"nested deeper than|maximum nesting depth") as caught:
        read_yaml(path)
    assert caught.value.path == str(path)
    assert caught.value.hint
