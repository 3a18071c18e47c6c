"""The specification file: complete, validated, exported completely."""

import json
from dataclasses import replace

import pytest

from edge_kit.spec import DetectorFacts, SpecError, export_json, load_spec, profile, profile_name
from model_opt.config import read_yaml
from model_opt.errors import KitError

HOSTS = ("batch", "words", "textline", "page")
"""Sections that only hosts have."""


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


def test_paddlex_3_has_the_settings_of_paddleocr_3s_pipeline():
    rules, older = profile("paddlex-3"), profile("paddlex-v4")
    side = (rules.detection.limit_side_len, rules.detection.limit_type, rules.detection.max_side_limit)
    assert side == (64, "min", 4000)
    assert (rules.db.thresh, rules.db.box_thresh, rules.db.unclip_ratio) == (0.3, 0.6, 1.5)
    assert (rules.boxes, rules.recognition, rules.ctc, rules.result) == (
        older.boxes,
        older.recognition,
        older.ctc,
        older.result,
    )


def test_beta1_reads_like_the_older_profile_but_grows_boxes_as_the_models_own_file_says():
    rules, older = profile("paddlex-3.0b1"), profile("paddlex-v4")
    assert rules == replace(
        older,
        name="paddlex-3.0b1",
        description=rules.description,
        db=replace(older.db, unclip_ratio=1.5),
        host_only=True,
    )


def test_another_name_of_a_profile_leads_to_the_one_that_files_have(tmp_path):
    assert profile("ppocr-2.10") == profile("pp-ocrv4")
    assert (profile_name("ppocr-2.10"), profile_name("paddlex-3"), profile_name("x")) == ("pp-ocrv4", "paddlex-3", "x")
    exported = tmp_path / "ocr_spec.json"
    exported.write_bytes(export_json(load_spec()))
    assert profile("ppocr-2.10", load_spec(exported)).name == "pp-ocrv4"


def test_a_profile_of_hosts_stays_out_of_the_apps_file():
    document = json.loads(export_json(load_spec()))
    assert sorted(document["profiles"]) == ["paddlex-3", "paddlex-v4", "pp-ocrv4"]
    assert all({"host_only", *HOSTS}.isdisjoint(rules) for rules in document["profiles"].values())
    assert all(one.batch.size == 1 for one in load_spec().profiles)


def test_a_bundles_profile_takes_the_rules_of_hosts_from_the_kits_own(tmp_path):
    path = tmp_path / "ocr_spec.json"
    path.write_bytes(export_json(load_spec()))
    rules = profile("paddlex-3", load_spec(path))
    assert rules.in_batches_of(1) == rules
    with pytest.raises(KitError, match="no rules for 6 lines a run"):
        rules.in_batches_of(6)
    own = profile("paddlex-3")
    assert rules.with_host_rules(own) == own
    assert rules.with_host_rules(own).in_batches_of(6).batch.size == 6


def test_a_detectors_own_file_decides_how_many_contours_are_looked_at():
    assert profile("paddlex-3").for_detector(DetectorFacts(max_candidates=3000)).db.max_candidates == 3000
    assert profile("paddlex-3").for_detector(DetectorFacts()) == profile("paddlex-3")
    spec = load_spec().for_detector(DetectorFacts(max_candidates=3000))
    assert {one.db.max_candidates for one in spec.profiles} == {3000}
    assert [one.db.unclip_ratio for one in spec.profiles] == [one.db.unclip_ratio for one in load_spec().profiles]


def test_a_device_bounds_the_longer_side_whichever_side_a_profile_limits():
    longer, shorter = profile("pp-ocrv4").detection, profile("paddlex-3").detection
    assert (longer.longest_side, shorter.longest_side) == (960, 4000)
    assert replace(shorter, max_side_limit=None).longest_side is None
    assert longer.limited_to(1280) == replace(longer, limit_side_len=1280)
    assert shorter.limited_to(640) == replace(shorter, max_side_limit=640)
    assert shorter.limited_to(9000) == shorter


def test_export_is_complete_and_repeats_byte_for_byte(tmp_path):
    exported = export_json(load_spec())
    assert exported == export_json(load_spec())
    document = json.loads(exported)
    assert document["profiles"]["paddlex-v4"]["detection"]["limit_side_len"] == 960
    path = tmp_path / "ocr_spec.json"
    path.write_bytes(exported)
    expected = {one.name: replace(one, **dict.fromkeys(HOSTS)) for one in load_spec().for_app.profiles}
    assert {one.name: one for one in load_spec(path).profiles} == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["profiles"]["paddlex-3"].update(batch={"size": 6}), "no host_only"),
        (lambda d: d["profiles"]["paddlex-3"].update(batch={"size": 0}), "batch.size"),
        (lambda d: d["profiles"]["pp-ocrv4"]["batch"].pop("order"), "lacks batch.order"),
        (lambda d: d["profiles"]["pp-ocrv4"]["db"].update(thresh=1.5), "profiles.pp-ocrv4.db.thresh"),
        (lambda d: d["profiles"]["pp-ocrv4"]["db"].update(threshold=0.5), "threshold"),
        (lambda d: d["profiles"]["pp-ocrv4"]["db"].pop("thresh"), "lacks db.thresh"),
        (lambda d: d["profiles"]["paddlex-v4"].update(extends="nothing"), "'nothing', which is not defined"),
        (lambda d: d["profiles"]["pp-ocrv4"].update(extends="paddlex-v4"), "circle"),
        (lambda d: d.update(default_profile="absent"), "absent"),
        (lambda d: d.update(spec_version=2), "spec_version"),
        (lambda d: d["aliases"].update(mine="absent"), "alias 'mine' of 'absent'"),
        (lambda d: d["aliases"].update({"paddlex-3": "pp-ocrv4"}), "alias 'paddlex-3'"),
        (lambda d: d["profiles"]["paddlex-3"]["detection"].update(max_side_limit=8), "detection.max_side_limit"),
        (lambda d: d["profiles"]["paddlex-3"]["detection"].update(normalise="divide"), "detection.normalise"),
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


def test_each_profile_says_what_becomes_of_transparency_and_a_file_of_before_drops_it(tmp_path):
    assert {one.name: one.image.alpha for one in load_spec().profiles} == {
        "pp-ocrv4": "on_white",
        "paddlex-v4": "drop",
        "paddlex-3.0b1": "drop",
        "paddlex-3": "drop",
    }
    document = json.loads(export_json(load_spec()))
    assert document["profiles"]["pp-ocrv4"]["image"] == {"alpha": "on_white"}
    for rules in document["profiles"].values():
        del rules["image"]
    (tmp_path / "before.json").write_text(json.dumps(document))
    assert {one.image.alpha for one in load_spec(tmp_path / "before.json").profiles} == {"drop"}
