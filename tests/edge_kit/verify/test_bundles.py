"""Bundles side by side: figures from manifests, never from thin air."""

import json
import xml.etree.ElementTree as ET

import pytest

from edge_kit.build.files import FileSum
from edge_kit.build.manifest import Manifest, manifest_bytes
from edge_kit.verify.bundles import COLUMNS, compare_bundles, comparison_svg
from model_opt.errors import KitError
from model_opt.fs import sha256_bytes

METRICS = {"texts_equal": 0.985, "character_accuracy": 0.9975, "det_mask_flip_share": 0.002}


def bundle(folder, recipe, nbytes, metrics=METRICS, images=16):
    folder.mkdir()
    models = {role: {"bytes": nbytes, "ops": 100} for role in ("det", "rec")}
    verification = {"metrics": metrics, "images": images, "passed": recipe != "int4"}
    data = b"model"
    (folder / "models").mkdir()
    (folder / "models" / "det.nb").write_bytes(data)
    files = {"models/det.nb": FileSum(sha256_bytes(data), len(data))}
    manifest = Manifest("arm64", recipe, "generic-arm64", {}, models, verification, files=files)
    (folder / "manifest.json").write_bytes(manifest_bytes(manifest))
    return folder


def test_rows_hold_what_the_manifests_say(tmp_path):
    folders = [bundle(tmp_path / "a", "fp32", 7_610_000), bundle(tmp_path / "b", "int4", 900_000, {})]
    first, second = compare_bundles(folders)
    assert [first.text(column) for column in COLUMNS] == ["15.22", "200", "98.50", "99.75", "0.20"]
    assert (first.passed, second.passed) == (True, False)
    assert second.text("texts_equal") == "not measured"


def test_the_picture_has_a_bar_for_each_bundle_and_figure(tmp_path):
    rows = compare_bundles([bundle(tmp_path / "a<b", "fp32", 2_000_000), bundle(tmp_path / "c", "int8", 1_000_000)])
    root = ET.fromstring(comparison_svg(rows))
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.get("width")) for bar in root.findall(f"{space}rect")[1:]]
    assert len(widths) == 2 * len(COLUMNS)
    assert widths[1] == pytest.approx(widths[0] / 2, abs=0.1)
    assert "a<b: fp32" in [text.text for text in root.findall(f"{space}text")]


def test_bundles_of_different_images_are_not_compared(tmp_path):
    folders = [bundle(tmp_path / "a", "fp32", 1), bundle(tmp_path / "b", "fp32", 1, images=29)]
    with pytest.raises(KitError, match="a on 16, b on 29"):
        compare_bundles(folders)


@pytest.mark.parametrize("status", ["changed", "missing", "extra"])
def test_a_bundle_that_is_not_what_its_manifest_says_is_not_compared(tmp_path, status):
    folders = [bundle(tmp_path / name, "fp32", 1) for name in "ab"]
    bad = folders[1] / "models" / ("more.nb" if status == "extra" else "det.nb")
    bad.unlink() if status == "missing" else bad.write_bytes(b"MODEL")
    with pytest.raises(KitError, match=f"not what its manifest says; the first is {status}") as caught:
        compare_bundles(folders)
    assert caught.value.path == str(bad)


def test_a_folder_that_is_no_bundle_is_named(tmp_path):
    with pytest.raises(KitError) as caught:
        compare_bundles([tmp_path])
    assert caught.value.path == str(tmp_path / "manifest.json")
    (tmp_path / "manifest.json").write_text(json.dumps({"name": "something else"}))
    with pytest.raises(KitError):
        compare_bundles([tmp_path])
