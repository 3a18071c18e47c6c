"""The bill of materials: every file, class and library of a bundle and its app belongs to a component."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import referencing

from edge_kit.bill import App, Subject, bill_of_materials, libraries_in
from edge_kit.build.files import FileSum
from edge_kit.licences import load_licences, model_components
from model_opt.errors import KitError

SCHEMAS = Path(__file__).parent / "data" / "cyclonedx"
BUNDLE = ("models/det.nb", "models/rec.nb", "labels.txt", "ocr_spec.json", "runtime_config.json", "report.html")
MEMBERS = (
    "AndroidManifest.xml", "classes.dex", "resources.arsc", "res/layout/a.xml", "assets/bundle/assets.json",
    "assets/bundle/models/det.onnx", "assets/bundle/models/rec.onnx", "assets/bundle/labels.txt",
    "assets/licences/components.json", "lib/arm64-v8a/libopencv_java4.so", "lib/arm64-v8a/libc++_shared.so",
)  # fmt: skip
CLASSES = ("org/edgekit/ocr/app/MainActivity", "kotlin/Unit", "org/opencv/core/Mat")
NOT_IN_THE_APP = Subject("arm64", "fp32", {name: FileSum("0" * 64, 1) for name in BUNDLE})


@cache
def schema(name: str) -> dict:
    return json.loads(gzip.decompress((SCHEMAS / f"{name}.schema.json.gz").read_bytes()))


def check_form(document: object) -> None:
    """Hold a bill to the JSON Schema of CycloneDX."""
    named = {schema(name)["$id"]: schema(name) for name in ("jsf-0.82", "spdx")}
    registry = referencing.Registry().with_contents(named.items())
    jsonschema.Draft7Validator(schema("bom-1.6"), registry=registry).validate(document)


def components(*facts: str, own: tuple[str, ...] = ()):
    licences = load_licences()
    models = model_components(licences.model, {"det": "some_det", "rec": "some_rec"}, own)
    return (*licences.present(facts), *models)


def subject(**changes: object) -> Subject:
    sums = {name: FileSum(f"{index:064x}", index) for index, name in enumerate(MEMBERS)}
    app = App("edge-ocr.apk", sums, frozenset(CLASSES), frozenset({"tbb", "libpng"}))
    files = {**NOT_IN_THE_APP.files, "edge-ocr.apk": FileSum("1" * 64, 9)}
    return replace(NOT_IN_THE_APP, files=files, app=replace(app, **changes))


def read(data: bytes) -> tuple[dict, dict[str, dict], dict[str, list[str]]]:
    """Return a bill that has the form of CycloneDX, its components by reference, and what each is made of."""
    document = json.loads(data)
    check_form(document)
    found = {}
    pending = list(document["components"])
    while pending:
        row = pending.pop()
        assert row["bom-ref"] not in found
        found[row["bom-ref"]] = row
        pending += row.get("components", [])
    links = {row["ref"]: row["dependsOn"] for row in document["dependencies"]}
    assert set().union(*links.values()) <= set(found)
    assert set(links) == {*found, "bundle"}
    return document, found, links


def test_a_bill_names_every_file_with_its_sum_and_what_it_is_made_of():
    about = subject()
    _, found, links = read(bill_of_materials(about, components("app", "arm64-v8a")))
    for name, total in about.files.items():
        assert found[f"file:{name}"]["hashes"] == [{"alg": "SHA-256", "content": total.sha256}]
    app = found["file:edge-ocr.apk"]["components"]
    assert {row["name"]: row["hashes"][0]["content"] for row in app} == {
        name: total.sha256 for name, total in about.app.members.items()
    }
    assert links["file:models/det.nb"] == ["model-det"]
    assert links["file:edge-ocr.apk!classes.dex"] == ["edge-kit", "kotlin-stdlib", "opencv-java"]
    assert links["file:edge-ocr.apk!lib/arm64-v8a/libopencv_java4.so"] == ["opencv"]
    assert {"tbb", "libpng", "carotene"} <= set(links["opencv"])
    assert found["libpng"]["licenses"] == [{"expression": "libpng-2.0"}]
    assert set(links["bundle"]) == {f"file:{name}" for name in about.files}


def test_a_bundle_without_an_app_names_no_part_of_one():
    _, found, _ = read(bill_of_materials(NOT_IN_THE_APP, components()))
    others = {ref for ref in found if not ref.startswith("file:")}
    assert others == {"edge-kit", "model-det", "model-rec", "model-dictionary"}
    assert found["model-rec"]["type"] == "machine-learning-model"
    assert found["model-rec"]["licenses"] == [{"expression": "Apache-2.0"}]


def test_of_a_users_own_model_no_licence_is_claimed():
    _, found, _ = read(bill_of_materials(NOT_IN_THE_APP, components(own=("rec", "dictionary"))))
    unknown = [{"license": {"name": "not stated"}}]
    assert found["model-rec"]["licenses"] == found["model-dictionary"]["licenses"] == unknown
    assert found["model-det"]["licenses"] == [{"expression": "Apache-2.0"}]


def test_the_same_facts_give_the_same_bytes_in_any_order():
    about, rows = subject(), components("app", "arm64-v8a")
    members = dict(reversed(about.app.members.items()))
    turned = replace(about, files=dict(reversed(about.files.items())), app=replace(about.app, members=members))
    assert bill_of_materials(about, rows) == bill_of_materials(turned, rows)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"members": {"lib/arm64-v8a/libnew.so": FileSum("2" * 64, 1)}}, "file lib/arm64-v8a/libnew.so"),
        ({"classes": frozenset({"com/example/Thing"})}, "class com/example/Thing"),
        ({"classes": frozenset({"com/baidu/paddle/lite/Tensor"})}, "class com/baidu/paddle/lite/Tensor"),
        ({"libraries": frozenset({"tbb", "ffmpeg"})}, "ffmpeg, which OpenCV's library says it contains"),
        ({"libraries": frozenset({"ippicv"})}, "ippicv"),
    ],
)
def test_what_no_component_claims_ends_the_build(changes, what):
    app = subject().app
    about = subject(**{name: getattr(app, name) | value for name, value in changes.items()})
    with pytest.raises(KitError, match=what) as caught:
        bill_of_materials(about, components("app", "arm64-v8a"))
    assert "configs/licences/components.yaml" in (caught.value.hint or "")


def test_what_is_in_opencvs_library_is_read_from_its_own_build_information():
    library = (
        b"\0  Extra dependencies:          z kleidicv_hal dl m log\n"
        b"    3rdparty dependencies:       ade tbb IlmImf\n"
        b"  Flatbuffers:                 builtin/3rdparty (23.5.9)\n\0"
    )
    assert libraries_in(library) == {"kleidicv_hal", "ade", "tbb", "IlmImf", "flatbuffers"}
    with pytest.raises(KitError, match="does not say what was compiled into it"):
        libraries_in(b"\x7fELF")
