"""YAML from outside never ends in anything but a value or a ``YAMLError``."""

from __future__ import annotations

import pytest
import yaml

from model_opt.config import MOST_NESTING, load_yaml


def test_plain_documents_are_read():
    assert load_yaml("a: [1, 0.5, yes, text]\nb: {c: null}\n") == {"a": [1, 0.5, True, "text"], "b": {"c": None}}
    assert load_yaml("字: 人民北路".encode()) == {"字": "人民北路"}
    assert load_yaml("") is None


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: "], ids=["list", "map", "dash", "key", "both"])
def test_absurd_nesting_is_an_error_that_names_the_line(opening: str):
    # PyYAML's C library may reach its own limit first, since it reads ahead; its message names the line too.
    message = rf"nested deeper than {MOST_NESTING} levels at line 3|maximum nesting depth\n.* line 3"
    with pytest.raises(yaml.YAMLError, match=message):
        load_yaml("x: 1\ny:\n  " + opening * 300_000)


def test_nesting_that_a_file_may_have_is_read():
    assert load_yaml("[" * MOST_NESTING + "]" * MOST_NESTING) is not None
    assert len(load_yaml("[" + "[]," * 5000 + "]")) == 5000


@pytest.mark.parametrize(
    "text",
    [
        "a: 2024-13-45", "a: !!bool maybe", "a: !!int ''", "a: !!timestamp soon", "a: !!float x", "? [a]\n: b",
        "a: !!python/object/apply:os.getcwd []", "a: &x [*x", "a: *missing", "\ta: b", "a: b: c", "%YAML 9.9\n---\na",
        f"a: {'9' * 5000}", "a: \x00", "--- a\n--- b", "a: !!binary é", "<<: 3",
    ],
)  # fmt: skip
def test_what_no_plain_document_holds_is_a_yaml_error(text: str):
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)
    with pytest.raises(yaml.YAMLError):
        load_yaml(text.encode())


def test_aliases_of_aliases_do_not_fill_the_memory():
    lines = ["a0: &a0 {k: v}"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(yaml.YAMLError, match="more than 1000000 values, aliases written out at line"):
        load_yaml("\n".join(lines))
    assert load_yaml("\n".join(lines[:4]))["a1"] == [{"k": "v"}] * 9


def test_a_character_list_as_large_as_a_recognisers_is_read():
    characters = [chr(0x4E00 + n) for n in range(20_000)]
    text = "PostProcess:\n  character_dict:\n" + "".join(f"  - {c}\n" for c in characters)
    assert load_yaml(text)["PostProcess"]["character_dict"] == characters
