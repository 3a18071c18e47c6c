"""A build of each set of models: its files, rules and characters in the bundle, and the same gates."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edge_kit.jobs.build import build_bundle
from edge_kit.jobs.request import BuildRequest
from edge_kit.jobs.verify import VerifyRequest, recheck
from model_opt.zoo import fetch, load_zoo

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("clean_cache", "two_images")]

REQUEST = BuildRequest("arm64", "fp32", Path("unset"))
SETS = {
    "pp-ocrv5-mobile": ({"inference.json", "inference.pdiparams"}, 18383, 1000),
    "pp-ocrv6-tiny": ({"inference.onnx"}, 6904, 3000),
    "pp-ocrv6-small": ({"inference.onnx"}, 18708, 3000),
}


@pytest.mark.parametrize("name", SETS)
def test_a_bundle_of_a_set_holds_its_rules_and_characters(name, tmp_path):
    files, characters, max_candidates = SETS[name]
    bundle = tmp_path / "b"
    manifest = build_bundle(replace(REQUEST, models=name, out=bundle), lambda _: None).manifest
    assert manifest.verification["passed"]
    assert {entry.split("/")[1] for entry in manifest.created_from if entry.startswith("det/")} == files
    assert manifest.created_from["ocr_spec"]["profile"] == "paddlex-3"
    assert json.loads((bundle / "runtime_config.json").read_text())["spec"]["profile"] == "paddlex-3"
    rules = json.loads((bundle / "ocr_spec.json").read_text())["profiles"]["paddlex-3"]
    assert rules["db"]["max_candidates"] == max_candidates
    assert rules["ctc"]["append_space"]
    assert len((bundle / "labels.txt").read_text(encoding="utf-8").split("\n")) == characters + 1
    assert recheck(bundle, VerifyRequest(), lambda _: None).passed


def test_a_published_onnx_file_under_any_name_is_the_users_own_model(tmp_path):
    """The detector as one file, the recogniser as a folder with its ``inference.yml``, which holds the dictionary."""
    chosen = load_zoo().model_set("pp-ocrv6-tiny")
    det, rec = fetch(chosen.det), fetch(chosen.rec)
    shutil.copy(det.program_file, tmp_path / "my detector.bin.onnx")
    (tmp_path / "rec").mkdir()
    shutil.copy(rec.program_file, tmp_path / "rec" / "model.onnx")
    entries = rec.dictionary.read_text(encoding="utf-8").split("\n")[:-1]
    yml = {"PostProcess": {"name": "CTCLabelDecode", "character_dict": entries}}
    (tmp_path / "rec" / "inference.yml").write_text(json.dumps(yml, ensure_ascii=False), encoding="utf-8")
    own = {"det_model": str(tmp_path / "my detector.bin.onnx"), "rec_model": str(tmp_path / "rec"), "spec": "paddlex-3"}
    manifest = build_bundle(replace(REQUEST, out=tmp_path / "b", **own), lambda _: None).manifest
    published = build_bundle(replace(REQUEST, models=chosen.name, out=tmp_path / "c"), lambda _: None).manifest
    for role in ("det", "rec"):
        assert manifest.models[role]["sha256"] == published.models[role]["sha256"]
    assert (tmp_path / "b" / "labels.txt").read_bytes() == (tmp_path / "c" / "labels.txt").read_bytes()
