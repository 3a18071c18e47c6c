from __future__ import annotations

import json

import pytest

from edge_kit.android.assets import BundleFacts, Expected, bundle_assets, golden_assets, selftest_assets
from edge_kit.android.errors import AndroidError
from model_opt.fs import sha256_bytes
from model_opt.nb import read_nb
from model_opt.nb.to_onnx import to_onnx

FACTS = BundleFacts("arm64", "fp32", "v2.14-rc", None, False)


def test_the_list_of_assets_holds_every_file_with_its_sum():
    made = bundle_assets({"models/det.nb": b"det", "labels.txt": b"a"}, FACTS)
    listed = json.loads(made["bundle/assets.json"])
    assert listed["files"] == {
        "labels.txt": {"sha256": sha256_bytes(b"a"), "bytes": 1},
        "models/det.nb": {"sha256": sha256_bytes(b"det"), "bytes": 3},
    }
    assert (listed["has_paddle_lite"], listed["opt_version"]) == (False, "v2.14-rc")
    assert made["bundle/models/det.nb"] == b"det"


def test_an_onnx_file_without_a_declared_size_is_refused(shared_dir):
    data = to_onnx(read_nb(shared_dir / "lite_golden" / "rec_fp32.nb"))
    with pytest.raises(AndroidError, match="leaves a side open") as caught:
        bundle_assets({"models/rec.onnx": data}, FACTS)
    assert caught.value.path == "models/rec.onnx"


def test_the_self_test_has_each_image_with_its_lines_and_none_of_the_users_own(tmp_path):
    (tmp_path / "a.png").write_bytes(b"png")
    rows = [
        Expected("a.png", [[[1, 2], [3, 2], [3, 4], [1, 4]]], [0.5], ["文"], [0.25]),
        Expected("own/b.png", [], [], [], []),
    ]
    made = selftest_assets({"a.png": tmp_path / "a.png"}, rows, "nb")
    assert set(made) == {"selftest/a.png", "selftest/expected.json"}
    line = {"polygon": [1, 2, 3, 2, 3, 4, 1, 4], "box_score": 0.5, "text": "文", "score": 0.25}
    expected = {"engine": "nb", "images": [{"file": "a.png", "lines": [line]}]}
    assert json.loads(made["selftest/expected.json"]) == expected


def test_a_checkout_without_golden_vectors_is_reported(tmp_path):
    with pytest.raises(AndroidError, match="golden vectors are missing"):
        golden_assets(tmp_path)
    (tmp_path / "manifest.json").write_bytes(b"{}")
    assert golden_assets(tmp_path) == {"golden/manifest.json": b"{}"}
