"""Dictionaries: PaddleOCR's reading of them, minus what only garbles texts, and the classes they make."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from model_opt.dictionary import KNOWN_EMPTY, DictionaryError, parse_dictionary, read_dictionary, space_follows

CASES = json.loads(
    (Path(__file__).resolve().parents[2] / "android_app/ocr-core/src/test/resources/labels_cases.json").read_text()
)
"""The app's tests run them too."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_dictionaries_are_read_and_refused_as_in_the_app(case):
    data = bytes.fromhex(case["hex"])
    if "fails" in case:
        with pytest.raises(DictionaryError, match=case["fails"]):
            parse_dictionary(data)
        return
    found = parse_dictionary(data)
    assert list(found.characters) == case["characters"]
    assert parse_dictionary(found.text.encode()) == found
    if "byte-order mark" not in case["name"]:
        lines = [line + b"\n" for line in data.split(b"\n")]
        server = [line.decode().strip("\n").strip("\r\n") for line in lines if line != b"\n"]
        assert list(found.characters) == server


def test_the_dictionaries_of_the_field_are_read_or_refused(shared_dir):
    folder = shared_dir / "field_inputs"
    whole = read_dictionary(folder / "en_dict.txt").characters
    assert len(whole) == 95
    assert whole[-1] == " "
    marked = read_dictionary(folder / "d_bom.txt")
    assert marked.characters == whole
    assert "\ufeff" not in marked.text
    with pytest.raises(DictionaryError, match=r"line 95 of the dictionary is empty: .* blank") as caught:
        read_dictionary(folder / "d_trimmed.txt")
    assert str(folder / "d_trimmed.txt") in str(caught.value)
    assert read_dictionary(folder / "en94.txt").characters == whole[:-1]


def test_every_empty_line_is_named_up_to_five():
    with pytest.raises(DictionaryError, match="lines 2 and 4 of the dictionary are empty"):
        parse_dictionary(b"a\n\nb\n\n")
    with pytest.raises(DictionaryError, match="lines 2, 3, 4, 5, 6 and 4 more of"):
        parse_dictionary(b"a\n" + b"\n" * 9 + b"b\n")


def test_a_dictionary_that_is_known_to_have_empty_lines_keeps_them(monkeypatch):
    data = b"a\n\nb\n"
    monkeypatch.setitem(KNOWN_EMPTY, hashlib.sha256(data).hexdigest(), "a test's")
    assert parse_dictionary(data).characters == ("a", "", "b")


def test_characters_that_come_twice_are_named_and_kept():
    found = parse_dictionary(b"a\nb\na\nb\nc \nb\n")
    assert found.characters == ("a", "b", "a", "b", "c ", "b")
    first, second = found.notes
    assert "2 characters more than once: 'a' in lines 1 and 3, 'b' in lines 2, 4 and 6" in first
    assert "1 line of the dictionary has a blank before or behind" in second
    assert "'c ' in line 5" in second
    assert parse_dictionary(b"a\n \nb\n").notes == ()


def test_the_encoding_is_named_with_the_place():
    with pytest.raises(DictionaryError, match=r"byte 4, line 3\); it may be GBK") as caught:
        parse_dictionary("a\nb\n中\n".encode("gbk"), Path("keys.txt"))
    assert "keys.txt" in str(caught.value)
    assert "UTF-8" in str(caught.value.hint)


@pytest.mark.parametrize(("characters", "classes", "space"), [(95, 97, True), (95, 96, False), (95, None, None)])
def test_the_classes_decide_on_the_space(characters, classes, space):
    assert space_follows(characters, classes) is space


@pytest.mark.parametrize("characters", [93, 94, 98, 6623])
def test_a_dictionary_that_fits_neither_way_is_refused_with_the_numbers(characters):
    with pytest.raises(DictionaryError, match=r"model has 98 classes: .* 96 characters and a space .* 97 and none"):
        space_follows(characters, 98)
