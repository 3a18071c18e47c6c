"""The main job from request to bundle, on real models."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge_kit.build.events import StageCached, StageFinished
from edge_kit.build.manifest import check_bundle, read_manifest
from edge_kit.cli.build import run_build
from edge_kit.jobs import build as job
from edge_kit.jobs import models
from edge_kit.jobs.build import GatesFailed, build_bundle
from edge_kit.jobs.request import BuildRequest
from edge_kit.jobs.verify import VerifyRequest, recheck
from edge_kit.recipes import load_recipes, without_algorithms
from edge_kit.stages.oracle import NO_INTERPRETER, find_oracle
from edge_kit.verify.gates import recipe_gates
from edge_kit.verify.regression import regression_set
from model_opt.errors import KitError
from model_opt.nb import inspect_nb, read_nb
from tests.no_oracle import NO_ORACLE

ROOT = Path(__file__).resolve().parents[3]
REQUEST = BuildRequest("arm64", "fp32", Path("unset"))


def build(out, events=None, **changes):
    return build_bundle(replace(REQUEST, out=out, **changes), events.append if events is not None else lambda _: None)


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.usefixtures("two_images")
def test_two_builds_from_clean_caches_are_byte_identical(clean_cache, tmp_path):
    build(tmp_path / "one")
    shutil.rmtree(clean_cache / "stages")
    shutil.rmtree(clean_cache / "converted", ignore_errors=True)  # only opt keeps files there
    build(tmp_path / "elsewhere" / "two", jobs=1)
    assert contents(tmp_path / "one") == contents(tmp_path / "elsewhere" / "two")


@pytest.mark.usefixtures("clean_cache", "two_images", "without_oracle")
def test_an_unchanged_build_runs_no_stage_and_writes_nothing(tmp_path):
    events = []
    assert build(tmp_path / "b").changed
    stamp = (tmp_path / "b" / "manifest.json").stat().st_mtime_ns
    assert not build(tmp_path / "b", events).changed
    assert (events[-1].ran, events[-1].cached, events[-1].ok) == (0, 11, True)
    assert (tmp_path / "b" / "manifest.json").stat().st_mtime_ns == stamp


@pytest.mark.usefixtures("clean_cache", "two_images", "without_oracle")
def test_the_manifest_says_what_the_bundle_holds(tmp_path):
    written = build(tmp_path / "b")
    assert all(verdict.status == "ok" for verdict in check_bundle(written.folder))
    manifest = read_manifest(written.folder / "manifest.json")
    for role in ("det", "rec"):
        summary = inspect_nb(read_nb(written.folder / "models" / f"{role}.nb"))
        stated = manifest.models[role]
        assert (stated["ops"], stated["io_copy"], stated["nb"]) == (summary.ops, 0, f"models/{role}.nb")
        assert (summary.place, summary.precision, summary.canonical) == ("arm", "fp32", True)
        assert stated["ops"] <= 139
        assert stated["optimised"]["ops_after"] < stated["optimised"]["ops_before"]
    assert manifest.verification["passed"] is True
    assert manifest.tools["paddlelite"] == manifest.models["det"]["opt_version"]
    assert manifest.created_from["det/inference.pdiparams"]["sha256"].startswith("49ee815e")
    config = json.loads((written.folder / "runtime_config.json").read_text())
    assert config["models"]["det"]["sha256"] == manifest.files["models/det.nb"].sha256
    assert "street_sign.png" in (written.folder / "report.html").read_text()


@pytest.mark.usefixtures("clean_cache", "without_oracle")
def test_a_device_with_a_smaller_limit_is_verified_at_that_limit(tmp_path, monkeypatch):
    text = (ROOT / "configs" / "devices" / "rk3399.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("value: 960", "value: 320"))
    few = tuple(image for image in regression_set() if image.name == "street_sign.png")
    monkeypatch.setattr(models, "regression_set", lambda: few)
    at_960 = build(tmp_path / "a").manifest
    at_320 = build(tmp_path / "b", device_profile=str(tmp_path / "mine.yaml")).manifest
    values = [m.verification["counts"]["det_values"] for m in (at_960, at_320)]
    assert values == [448 * 224, 320 * 160]
    assert [m.verification["limit_side_len"] for m in (at_960, at_320)] == [960, 320]
    assert at_320.verification["specified_limit_side_len"] == 960
    reports = [(tmp_path / name / "report.html").read_text() for name in "ab"]
    assert ["Verified at a longest side of 320 pixels" in text for text in reports] == [False, True]
    assert recheck(tmp_path / "b", VerifyRequest(), lambda _: None).to_dict()["counts"]["det_values"] == 320 * 160


@pytest.mark.usefixtures("env", "two_images")
@pytest.mark.parametrize(("target", "candidate"), [("arm64", "nb"), ("x86", "nb")])
def test_a_build_without_paddle_lites_programs_says_what_was_not_checked(
    clean_cache, tmp_path, monkeypatch, capsys, target, candidate
):
    with_oracle = build(tmp_path / "a", target=target)
    again = recheck(with_oracle.folder, VerifyRequest(), lambda _: None)
    assert (again.passed, again.to_dict()["oracle"]["passed"]) == (True, True)
    monkeypatch.setenv("EDGE_KIT_OPT_PYTHON", "/no/such/python3.7")
    assert run_build(replace(REQUEST, out=tmp_path / "b", target=target), json_events=False) == 0
    assert "not checked: the unquantised models by lite_x86; it needs CPython 3.7" in capsys.readouterr().out
    without = build(tmp_path / "b", target=target)
    for role in ("det", "rec"):
        assert (without.folder / "models" / f"{role}.nb").read_bytes() == (
            with_oracle.folder / "models" / f"{role}.nb"
        ).read_bytes()
    found = without.manifest.verification
    assert (found["passed"], found["candidate"]) == (True, candidate)
    assert found["oracle"] == {
        "candidate": "lite_x86", "recipe": "fp32", "images": 0, "passed": None, "gates": [],
        "not_checked": NO_INTERPRETER,
    }  # fmt: skip
    assert with_oracle.manifest.verification["oracle"]["passed"] is True
    report = (without.folder / "report.html").read_text()
    assert "Not checked: the conversion by an engine that shares no code" in report
    assert "no such" not in report
    assert recheck(without.folder, VerifyRequest(), lambda _: None).passed


@pytest.mark.usefixtures("env", "clean_cache", "two_images")
def test_opt_writes_the_very_files_of_the_own_writer(tmp_path):
    own, opt = (build(tmp_path / name, converter=name) for name in ("own", "opt"))
    assert [b.manifest.tools["converter"] for b in (own, opt)] == ["own", "opt"]
    for role in ("det", "rec"):
        files = [(b.folder / "models" / f"{role}.nb").read_bytes() for b in (own, opt)]
        assert files[0] == files[1]
        assert [b.manifest.models[role]["converter"] for b in (own, opt)] == ["own", "opt"]


@pytest.mark.usefixtures("env", "clean_cache", "two_images")
def test_without_the_passes_the_program_is_converted_as_it_is(tmp_path):
    models = build(tmp_path / "b", optimise=False, converter="opt").manifest.models
    assert (models["det"]["ops"], models["rec"]["ops"], models["det"]["optimised"]) == (243, 266, None)


def test_the_complete_regression_set_passes_the_fp32_gates(clean_cache, tmp_path):
    options = ["--target", "arm64", "--no-apk", "--out", tmp_path / "b", "--json"]
    command = [sys.executable, "-m", "edge_kit.cli", "build", *options]
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "build_finished"
    assert events[-1]["ok"]
    manifest = read_manifest(tmp_path / "b" / "manifest.json")
    assert manifest.verification["images"] == len(regression_set())
    assert manifest.verification["limit_side_len"] == manifest.verification["specified_limit_side_len"] == 960
    assert manifest.verification["counts"]["lines"] > 40
    # The build has just run Paddle Lite's own engine, which takes most of the time, on these images.
    env = {**os.environ, **NO_ORACLE}
    verify = [sys.executable, "-m", "edge_kit.cli", "verify", str(tmp_path / "b")]
    assert subprocess.run(verify, cwd=ROOT, env=env, capture_output=True, check=False).returncode == 0
    (tmp_path / "b" / "labels.txt").write_text("changed")
    assert subprocess.run(verify, cwd=ROOT, env=env, capture_output=True, check=False).returncode == 1


def impossible(recipe, metric):
    """Return the gates with a limit of ``recipe`` that no model keeps; they are part of the key of verification."""

    def changed(name):
        limits = recipe_gates(name)
        gates = (replace(gate, limit=-1.0) if gate.name == metric else gate for gate in limits.gates)
        return replace(limits, gates=tuple(gates)) if name == recipe else limits

    return changed


@pytest.mark.usefixtures("clean_cache", "two_images", "without_oracle")
def test_a_failed_gate_keeps_the_old_bundle_and_shows_the_report(tmp_path, monkeypatch):
    before = contents(build(tmp_path / "b").folder)
    monkeypatch.setattr(models, "recipe_gates", impossible("fp32", "det_max_abs"))
    events = []
    with pytest.raises(GatesFailed, match=r"det_max_abs is .*, limit") as caught:
        build(tmp_path / "b", events)
    # Nothing is paid for behind the gates.
    names = [event.stage for event in events if isinstance(event, StageFinished | StageCached)]
    assert names[-1] == "gates"
    assert "report" not in names
    assert (type(events[-1]).__name__, events[-1].ok) == ("BuildFinished", False)
    assert "allow-failed-gates" in str(caught.value)
    assert contents(tmp_path / "b") == before
    assert (tmp_path / "b.failed-report.html").stat().st_size > 10_000
    assert build(tmp_path / "b", allow_failed_gates=True).manifest.verification["passed"] is False


@pytest.mark.usefixtures("clean_cache")
def test_the_nan_of_an_fp16_detector_fail_its_gates_by_name(tmp_path, monkeypatch):
    few = tuple(image for image in regression_set() if image.name in {"tiny.png", "street_sign.png"})
    monkeypatch.setattr(models, "regression_set", lambda: few)
    changes = {"target": "arm64-fp16", "recipe": "fp16"}
    monkeypatch.setattr(job, "load_recipes", lambda: without_algorithms(load_recipes()))
    with pytest.raises(GatesFailed, match=r"det_non_finite is \d+\.0, limit 0\.0.*differ most: street_sign\.png"):
        build(tmp_path / "b", **changes)
    assert not (tmp_path / "b").exists()
    verified = build(tmp_path / "b", allow_failed_gates=True, **changes).manifest.verification
    assert verified["counts"]["det_candidate_non_finite"] > 1000
    assert verified["counts"]["det_reference_non_finite"] == verified["counts"]["rec_candidate_non_finite"] == 0
    assert verified["oracle"]["passed"] is (None if find_oracle(offline=False).env is None else True)


@pytest.mark.usefixtures("clean_cache", "two_images", "without_oracle")
def test_a_users_own_models_and_images_go_the_same_way(tmp_path, mobile_det, mobile_rec):
    for files, name in ((mobile_det, "my_det"), (mobile_rec, "my_rec")):
        (tmp_path / name).mkdir()
        shutil.copy(files.program_file, tmp_path / name / "inference.pdmodel")
        shutil.copy(files.params_file, tmp_path / name / "inference.pdiparams")
    (tmp_path / "photos").mkdir()
    shutil.copy(ROOT / "configs" / "regression" / "grey.png", tmp_path / "photos" / "mine.png")
    own = {
        "det_model": str(tmp_path / "my_det"),
        "rec_model": str(tmp_path / "my_rec"),
        "rec_dict": mobile_rec.dictionary,
        "images": tmp_path / "photos",
    }
    manifest = build(tmp_path / "b", **own).manifest
    assert manifest.verification["images"] == 3
    assert str(tmp_path) not in (tmp_path / "b" / "manifest.json").read_text()
    with pytest.raises(KitError, match="--det-model"):
        recheck(tmp_path / "b", VerifyRequest(), lambda _: None)
    mine = VerifyRequest(own["det_model"], own["rec_model"], own["rec_dict"], own["images"])
    assert recheck(tmp_path / "b", mine, lambda _: None).passed
    short = tmp_path / "short.txt"
    short.write_text("\n".join(mobile_rec.dictionary.read_text().split("\n")[:5000]) + "\n")
    with pytest.raises(KitError, match=r"5,000 characters, and the model has 6,625 classes"):
        build(tmp_path / "c", **{**own, "rec_dict": short})
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "toaster"}, "toaster"),
        ({"recipe": "int4"}, "int4"),
        ({"recipe": "fp16"}, "ARMv8.2"),
        ({"recipe": "weight_int8", "target": "x86"}, "arm and opencl"),
        ({"device_profile": "no-such-phone"}, "no-such-phone"),
        ({"det_model": "no-such-model"}, "no-such-model"),
        ({"images": Path("absent-folder")}, "absent-folder"),
        ({"rec_model": "./absent.tar"}, "absent.tar"),
        ({"optimise": False}, "add --converter opt"),
        ({"converter": "tflite"}, "use one of: own, opt"),
    ],
)
def test_bad_requests_are_refused_before_any_work(tmp_path, changes, words):
    events = []
    with pytest.raises(KitError) as caught:
        build(tmp_path / "b", events, **changes)
    assert words in str(caught.value)
    assert not any(event.__class__.__name__ == "StageFinished" and event.stage != "tool" for event in events)
    assert not (tmp_path / "b").exists()


def test_an_unreadable_image_of_the_user_is_named_before_any_work(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    events = []
    with pytest.raises(KitError, match=r"torn\.jpg"):
        build(tmp_path / "b", events, images=tmp_path / "photos")
    assert events == []


def test_auto_takes_the_first_recipe_that_passes_and_says_what_it_passed_over(
    clean_cache, two_images, without_oracle, tmp_path, monkeypatch
):
    monkeypatch.setattr(models, "recipe_gates", impossible("weight_int8", "det_non_finite"))
    # Without its algorithms a recipe takes seconds; what they do is tested elsewhere.
    monkeypatch.setattr(job, "load_recipes", lambda: without_algorithms(load_recipes()))
    manifest = build(tmp_path / "b", recipe="auto").manifest
    assert manifest.recipe == "weight_int16"
    chosen_by = manifest.verification["chosen_by"]
    assert chosen_by["recipe"] == "auto"
    assert "gates of recipe weight_int8 failed" in chosen_by["passed_over"]["weight_int8"]
    assert "fp16" in chosen_by["passed_over"]
    assert not list(tmp_path.glob("*.failed-report.html"))
