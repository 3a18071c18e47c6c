"""The app's report: read strictly, judged by the recipe's gates."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from edge_kit.deploy.adb import DeployError
from edge_kit.deploy.report import read_report
from edge_kit.deploy.verdict import expected_runs, judge
from edge_kit.verify.gates import GateError

PLACE = Path("selftest.json")


def judged(device, apk, recipe="fp32", **changes):
    """Return the verdict on the device's report after ``changes`` of its top level."""
    data = json.dumps({**device.report, **changes}).encode()
    return judge(read_report(data, PLACE), expected_runs(apk), recipe)


def images(device, change):
    """Return the report's images after ``change`` of the first."""
    rows = json.loads(json.dumps(device.report["images"]))
    change(rows[0])
    return rows


def failed(verdict):
    return {gate.name for gate in verdict.gates if not gate.passed}


def test_a_device_that_reads_the_same_passes(device, apk):
    verdict = judged(device, apk)
    assert verdict.passed
    assert {gate.name for gate in verdict.gates} == {
        "boxes_identical",
        "boxes_matched",
        "texts_equal",
        "character_accuracy",
    }
    assert "det_max_abs" in verdict.not_measured
    assert verdict.golden == 1
    assert verdict.faults == ()


def test_another_text_fails_the_gates_of_texts(device, apk):
    verdict = judged(device, apk, images=images(device, lambda row: row["texts"].__setitem__(1, "Renmln")))
    assert not verdict.passed
    assert failed(verdict) == {"texts_equal", "character_accuracy"}
    assert verdict.comparison.worst_first[0].name == "sign.png"


def test_a_moved_box_fails_where_the_recipe_says_so(device, apk):
    moved = images(device, lambda row: row["boxes"][0].__setitem__(0, [2, 2]))
    assert failed(judged(device, apk, images=moved)) == {"boxes_identical"}
    assert judged(device, apk, "weight_int8", images=moved, bundle_recipe="weight_int8").passed


def test_a_lost_line_and_an_image_that_was_not_read_fail(device, apk):
    def lose(row):
        for key in ("boxes", "box_scores", "texts", "scores"):
            row[key].pop()

    assert failed(judged(device, apk, images=images(device, lose))) >= {"boxes_identical", "texts_equal"}
    verdict = judged(device, apk, images=device.report["images"][1:])
    assert not verdict.passed
    assert verdict.faults == ("the app did not read sign.png",)
    assert failed(verdict) == {"boxes_identical", "boxes_matched", "texts_equal", "character_accuracy"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"errors": ["images: too little memory"]}, "too little memory"),
        ({"bundle_recipe": "weight_int8"}, "recipe weight_int8, the bundle fp32"),
        ({"golden": []}, "no golden vectors"),
    ],
)
def test_what_makes_a_report_incomplete_fails_it(device, apk, changes, words):
    verdict = judged(device, apk, **changes)
    assert not verdict.passed
    assert words in "; ".join(verdict.faults)
    assert failed(verdict) == set()


def test_one_golden_vector_that_does_not_hold_fails(device, apk):
    golden = [*device.report["golden"], {"name": "offset", "passed": False, "detail": "12.5, expected 12.25"}]
    verdict = judged(device, apk, golden=golden)
    assert not verdict.passed
    assert [check.name for check in verdict.golden_failed] == ["offset"]


def test_an_image_beyond_the_apks_is_named(device, apk):
    extra = {**device.report["images"][1], "name": "stranger.png"}
    assert "stranger.png" in judged(device, apk, images=[*device.report["images"], extra]).faults[0]


def test_a_recipe_without_gates_is_an_error(device, apk):
    with pytest.raises(GateError, match="no gates"):
        judged(device, apk, "int4")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.update(report_version=1), "report_version"),
        (lambda r: r.pop("device"), "device"),
        (lambda r: r.update(surprise=1), "surprise"),
        (lambda r: r["images"][0]["boxes"][0].pop(), "boxes"),
        (lambda r: r["images"][0]["texts"].pop(), "2 boxes, 1 texts"),
        (lambda r: r["images"][0]["scores"].__setitem__(0, 7), "scores"),
        (lambda r: r["images"][0]["boxes"][0].__setitem__(0, [10**12, 0]), "boxes"),
        (lambda r: r["images"].append(r["images"][0]), "'sign.png' twice"),
        (lambda r: r["bench"].append(bench_row(total_ms=[1.0])), "2 of rec_ms, 1 of total_ms"),
        (lambda r: r["bench"].append(bench_row(power_mode="TURBO")), "power_mode"),
        (lambda r: r["bench"].append(bench_row(thermal=[0])), "1 of thermal"),
        (lambda r: r["bench"].append(bench_row(thermal=[0, 9])), "thermal"),
    ],
)
def test_a_report_that_is_not_as_agreed_is_an_error(device, change, words):
    change(device.report)
    with pytest.raises(DeployError) as caught:
        read_report(json.dumps(device.report).encode(), PLACE)
    assert words in str(caught.value)
    assert "next:" in str(caught.value)


def bench_row(**changes):
    row = {
        "threads": 1, "power_mode": "LITE_POWER_HIGH", "det_ms": [1.0, 2.0], "rec_ms": [1.0, 2.0],
        "thermal": [0, None], "hidden": [False, False],
    }  # fmt: skip
    return {**row, "total_ms": [2.0, 4.0], **changes}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b"[" * 100_000])
def test_what_is_no_report_is_an_error(data):
    with pytest.raises(DeployError):
        read_report(data, PLACE)


@pytest.mark.parametrize(
    "content", [None, b"{}", b"[" * 100_000, b'{"images": [{"file": "a", "lines": [{}]}]}', b'{"images": [3]}']
)
def test_an_apk_without_answers_is_an_error(tmp_path, content):
    path = tmp_path / "other.apk"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("classes.dex", b"")
        if content is not None:
            archive.writestr("assets/selftest/expected.json", content)
    with pytest.raises(DeployError, match="no answers to compare with"):
        expected_runs(path)


def test_a_file_that_is_no_apk_is_an_error(tmp_path):
    (tmp_path / "a.apk").write_bytes(b"hello")
    for name in ("a.apk", "absent.apk"):
        with pytest.raises(DeployError, match="cannot read the APK"):
            expected_runs(tmp_path / name)
