from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_kit.build.files import is_plain, json_bytes, name_fault, parse_json, walk_files
from model_opt.errors import KitError


@given(st.text(alphabet="ab./\\\0é\n\ud800", max_size=8))
def test_a_name_without_fault_stays_inside_its_folder(name: str) -> None:
    if name_fault(name) is not None:
        return
    path = PurePosixPath("/bundle") / name
    assert os.path.normpath(path) == str(path) == "/bundle/" + name
    assert str(path) != "/bundle"
    assert name.encode("utf-8").isascii() or "é" in name


@pytest.mark.parametrize("name", ["a", "models/det.nb", "..a", "a..", ".hidden", "文字/标签.txt", "a b"])
def test_plain_names_have_no_fault(name: str) -> None:
    assert name_fault(name) is None


def test_the_walk_yields_files_and_links_by_name_and_follows_none(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "secret").mkdir(parents=True)
    folder = tmp_path / "folder"
    (folder / "b" / "c").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "b" / "c" / "x").write_bytes(b"1")
    (folder / "a").write_bytes(b"22")
    (folder / "link").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    assert [(name, is_plain(status)) for name, status in walk_files(folder)] == [
        ("a", True),
        ("b/c/x", True),
        ("link", False),
        ("pipe", False),
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé\n"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab文"), inner),
    max_leaves=20,
)


@given(VALUES)
def test_json_reads_back_as_it_was_written_and_always_in_the_same_bytes(value: object) -> None:
    text = json_bytes(value, what="it")  # type: ignore[arg-type]
    assert parse_json(text) == value
    assert json_bytes(parse_json(text), what="it") == text  # type: ignore[arg-type]
    assert text.endswith(b"\n")


def test_what_json_cannot_hold_is_named() -> None:
    with pytest.raises(KitError, match="the facts cannot be written as JSON"):
        json_bytes({"x": float("inf")}, what="the facts")
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(KitError, match="the facts cannot be written as JSON"):
        json_bytes(endless, what="the facts")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [b'{"a":1,"a":1}', b"[NaN]", b"[-Infinity]", b"\xff", b"[" * 200_000, b""])
def test_json_that_others_let_pass_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_numbers_keep_their_kind() -> None:
    assert json.loads(json_bytes({"i": 1, "f": 1.0, "b": True}, what="it")) == {"i": 1, "f": 1.0, "b": True}
    assert json_bytes(1.0, what="it") == b"1.0\n"
