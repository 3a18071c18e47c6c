from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_kit.build.files import FileSum
from edge_kit.build.manifest import (
    CheckedFile,
    Manifest,
    ManifestError,
    check_bundle,
    listed_names,
    manifest_bytes,
    read_manifest,
)
from edge_kit.build.output import write_bundle
from model_opt.fs import sha256_bytes


def sum_of(data: bytes) -> FileSum:
    return FileSum(sha256_bytes(data), len(data))


@pytest.fixture
def bundle(tmp_path: Path, manifest: Manifest) -> Path:
    files = {"models/det.nb": b"det", "models/rec.nb": b"rec", "labels.txt": "文\n".encode()}
    return write_bundle(tmp_path / "arm64", files, manifest).folder


def test_a_manifest_reads_back_as_it_was_written(bundle: Path, manifest: Manifest) -> None:
    files = {
        "labels.txt": sum_of("文\n".encode()),
        "models/det.nb": sum_of(b"det"),
        "models/rec.nb": sum_of(b"rec"),
    }
    verification = {"det": {"max_diff": 1.23457e-07}}
    assert read_manifest(bundle / "manifest.json") == replace(manifest, files=files, verification=verification)


def test_the_bytes_depend_on_the_values_alone(manifest: Manifest) -> None:
    one = replace(manifest, tools={"opt": "2.14rc0", "paddle": "2.6.2"}, models={"det": {"a": 1, "b": (2, 3)}})
    two = replace(manifest, tools={"paddle": "2.6.2", "opt": "2.14rc0"}, models={"det": {"b": [2, 3], "a": 1}})
    text = manifest_bytes(one)
    assert text == manifest_bytes(two)
    assert text.endswith(b"}\n")
    assert text.startswith(b'{\n  "created_from"')


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.1 + 0.2, "0.3"),
        (123456.789, "123457.0"),
        (1.23456789e-12, "1.23457e-12"),
        (-0.0, "0.0"),
        (1.0, "1.0"),
        (7, "7"),
        (True, "true"),
        (1234567890123, "1234567890123"),
    ],
)
def test_floats_keep_six_significant_digits_and_integers_all(value: float, written: str, manifest: Manifest) -> None:
    text = manifest_bytes(replace(manifest, verification={"figure": value})).decode()
    assert f'"figure": {written}\n' in text


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (math.nan, "verification/det/1 is nan"),
        (-math.inf, "verification/det/1 is -inf"),
        (Path("x"), "verification/det/1 is a PosixPath"),
        (b"x", "verification/det/1 is a bytes"),
        ({1: 2}, "verification/det/1 has the key 1"),
        ("/home/me/model.nb", "path of this machine"),
        ("opt --model=/srv/.cache/det", "path of this machine"),
        ("a path, /tmp/x/y, inside", "path of this machine"),
        ("file:///x", "path of this machine"),
        ("C:\\models\\det", "path of this machine"),
        ({"/home/me/det": 1}, "path of this machine"),
    ],
)
def test_what_a_manifest_must_not_hold_is_named_with_its_place(value: object, part: str, manifest: Manifest) -> None:
    bad = replace(manifest, verification={"det": [0, value]})  # type: ignore[list-item]
    with pytest.raises(ManifestError) as caught:
        manifest_bytes(bad)
    assert part in caught.value.what


@pytest.mark.parametrize(
    "value", ["https://example.com/a/b", "models/det/x", "and/or", "3/4/5", "/", "100 km/h", "n/a: x"]
)
def test_texts_that_only_look_like_paths_are_fine(value: str, manifest: Manifest) -> None:
    text = manifest_bytes(replace(manifest, verification={"text": value}))
    assert json.loads(text)["verification"]["text"] == value


def test_an_input_without_a_sum_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ManifestError, match=r"created_from\.det: 'sha256' is a required property"):
        manifest_bytes(replace(manifest, created_from={"det": {"source": "wheel"}}))


def test_a_complete_bundle_is_ok(bundle: Path) -> None:
    verdicts = check_bundle(bundle)
    assert [(v.path, v.status) for v in verdicts] == [
        ("labels.txt", "ok"),
        ("models/det.nb", "ok"),
        ("models/rec.nb", "ok"),
    ]


def test_missing_changed_and_extra_files_are_distinguished(bundle: Path) -> None:
    (bundle / "labels.txt").unlink()
    (bundle / "models/det.nb").write_bytes(b"dEt")
    (bundle / "notes").write_bytes(b"mine")
    assert check_bundle(bundle) == [
        CheckedFile("labels.txt", "missing", sum_of("文\n".encode()), None),
        CheckedFile("models/det.nb", "changed", sum_of(b"det"), sum_of(b"dEt")),
        CheckedFile("models/rec.nb", "ok", sum_of(b"rec"), sum_of(b"rec")),
        CheckedFile("notes", "extra", None, sum_of(b"mine")),
    ]


def test_links_are_not_followed(bundle: Path, tmp_path: Path) -> None:
    (bundle / "models").rename(tmp_path / "elsewhere")
    (bundle / "models").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "labels.txt").write_text("文\n", encoding="utf-8")
    (bundle / "labels.txt").unlink()
    (bundle / "labels.txt").symlink_to(tmp_path / "labels.txt")
    assert [(v.path, v.status) for v in check_bundle(bundle)] == [
        ("labels.txt", "changed"),
        ("models", "extra"),
        ("models/det.nb", "missing"),
        ("models/rec.nb", "missing"),
    ]


def test_an_undecodable_extra_name_is_shown_escaped(bundle: Path) -> None:
    (Path(str(bundle)) / b"\xff\xfe".decode("utf-8", "surrogateescape")).write_bytes(b"")
    extra = [v.path for v in check_bundle(bundle) if v.status == "extra"]
    assert extra == ["\\udcff\\udcfe"]


def edit(bundle: Path, change: Callable[[dict[str, object]], object]) -> None:
    path = bundle / "manifest.json"
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/hostname", "a/../../b", "a//b", "./a", "a/", "", "a\\b", "a\nb", "manifest.json"]
)
def test_a_manifest_that_lists_files_outside_its_folder_is_refused(name: str, bundle: Path) -> None:
    edit(bundle, lambda value: value["files"].update({name: {"sha256": "0" * 64, "bytes": 1}}))  # type: ignore[attr-defined]
    with pytest.raises(ManifestError, match="manifest") as caught:
        check_bundle(bundle)
    assert caught.value.path == str(bundle / "manifest.json")


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "damaged"),
        (b'{"schema_version": 1', "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"\xef\xbb\xbf{}", "damaged"),
        (b'{"a": 1, "a": 2}', "the name 'a' occurs twice"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b"[" * 100_000, "damaged"),
        (b'{"a": ' + b"9" * 5000 + b"}", "damaged|wrong"),
        (b"[]", "not a JSON object"),
        (b"{}", "required property"),
        (b'{"name": "a web app", "icons": []}', "wrong at \\(top level\\)"),
        (b'{"schema_version": 2}', "schema version 2, this kit reads up to 1"),
        (b'{"schema_version": "1"}', "wrong at"),
    ],
)
def test_a_damaged_or_foreign_manifest_is_an_error_naming_the_file(data: bytes, part: str, bundle: Path) -> None:
    (bundle / "manifest.json").write_bytes(data)
    with pytest.raises(ManifestError, match=part) as caught:
        check_bundle(bundle)
    assert caught.value.path == str(bundle / "manifest.json")
    assert caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["files"]["labels.txt"].update(sha256="0" * 63 + "\n"),
        lambda value: value["files"]["labels.txt"].update(sha256="0" * 64 + "\n"),
        lambda value: value["files"]["labels.txt"].update(bytes=-1),
        lambda value: value["files"]["labels.txt"].update(bytes="3"),
        lambda value: value["files"].update(x=None),
        lambda value: value.pop("target"),
        lambda value: value.update(unknown=1),
        lambda value: value.update(files=[]),
        lambda value: value.update(schema_version=True),
    ],
)
def test_a_manifest_of_another_shape_is_refused(change: Callable[[dict[str, object]], object], bundle: Path) -> None:
    edit(bundle, change)
    with pytest.raises(ManifestError, match="the manifest is wrong at"):
        read_manifest(bundle / "manifest.json")


def test_an_absent_or_linked_manifest_is_an_error(bundle: Path, tmp_path: Path) -> None:
    (bundle / "manifest.json").rename(tmp_path / "real.json")
    with pytest.raises(ManifestError, match="there is no manifest"):
        check_bundle(bundle)
    (bundle / "manifest.json").symlink_to(tmp_path / "real.json")
    with pytest.raises(ManifestError, match="there is no manifest"):
        check_bundle(bundle)
    with pytest.raises(ManifestError, match="there is no such folder"):
        check_bundle(tmp_path / "nothing")


def test_our_manifests_are_distinguished_from_those_of_other_programs(bundle: Path, tmp_path: Path) -> None:
    assert listed_names(bundle) == frozenset({"labels.txt", "models/det.nb", "models/rec.nb"})
    edit(bundle, lambda value: value.update(schema_version=99, more=1))
    assert listed_names(bundle) == frozenset({"labels.txt", "models/det.nb", "models/rec.nb"})
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text('{"name": "a web app", "files": {}}')
    assert listed_names(tmp_path / "web") is None
    assert listed_names(tmp_path / "nothing") is None


def test_the_readme_of_the_shape_states_the_digits_that_the_code_keeps() -> None:
    from edge_kit.build.manifest import SIGNIFICANT_DIGITS
    from model_opt.resources import config_dir

    schema = json.loads((config_dir() / "manifest.schema.json").read_text())
    assert f"{SIGNIFICANT_DIGITS} significant digits" in schema["description"]
