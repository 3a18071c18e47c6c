"""The table of what is redistributed, and the licences as users read them."""

from __future__ import annotations

import json
import re

import pytest

from edge_kit import __version__
from edge_kit.android.config import load_android
from edge_kit.licences import app_licences, licences_text, load_licences, model_components, texts_dir
from model_opt.errors import KitError
from model_opt.resources import config_dir
from tests.edge_kit.test_bill import schema

TABLE = load_licences()
OPERATORS = {"AND", "OR", "WITH"}
REFERENCE = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")


def test_every_licence_is_one_of_spdx_or_a_reference_with_a_text():
    known = {*schema("spdx")["enum"], *OPERATORS}
    for row in (TABLE.model, *TABLE.components.values()):
        for word in row.licence.split():
            assert word in known or REFERENCE.fullmatch(word), (row.key, word)
        assert row.texts


def test_every_text_is_used_and_a_text():
    used = {name for row in (TABLE.model, *TABLE.components.values()) for name in row.texts}
    assert {path.name for path in texts_dir().iterdir()} == used
    for name in used:
        text = (texts_dir() / name).read_bytes().decode("utf-8")
        assert len(text) > 500
        assert re.search(r"copyright|licen[sc]e", text, re.IGNORECASE)


def test_versions_are_those_of_the_artifacts_and_of_the_kit():
    artifacts = load_android().artifacts
    assert TABLE.components["opencv"].version == artifacts["opencv-android"].version
    assert TABLE.components["kotlin-stdlib"].version == artifacts["kotlin-stdlib"].version
    assert TABLE.components["edge-kit"].version == __version__


def test_only_what_is_in_an_app_is_listed():
    keys = {fact: {row.key for row in TABLE.present(["app", fact])} for fact in ("arm64-v8a", "armeabi-v7a", "x86_64")}
    assert {"carotene", "kleidicv"} <= keys["arm64-v8a"]
    assert "kleidicv" not in keys["armeabi-v7a"]
    assert keys["x86_64"] - keys["arm64-v8a"] == {"ipp", "ipp-iw"}
    assert not [key for key in keys.values() if "paddle-lite" in key]
    assert "paddle-lite" in {row.key for row in TABLE.present(["app", "paddle_lite"])}
    assert {row.key for row in TABLE.present([])} == {"edge-kit"}


def test_the_text_for_users_names_each_component_and_holds_each_text_once():
    rows = (
        *TABLE.present(["app", "arm64-v8a"]),
        *model_components(TABLE.model, {"det": "my_det", "rec": "a_rec"}, ["det"]),
    )
    text = licences_text(rows, texts_dir())
    assert "libpng 1.6.43\n    libpng-2.0, part of opencv\n" in text
    assert "my_det\n    The licence is not known to edge-kit" in text
    assert "dictionary of a_rec\n    Apache-2.0" in text
    assert text.count("Version 2.0, January 2004") == 1
    assert "END OF TERMS AND CONDITIONS" in text
    assert "Intel Simplified Software License" not in text


def test_the_app_gets_a_list_and_exactly_the_texts_that_it_names():
    rows = TABLE.present(["app", "x86_64"])
    files = app_licences(rows, texts_dir())
    listed = json.loads(files["licences/components.json"])["components"]
    assert [row["title"] for row in listed[:2]] == [f"edge-kit {__version__}", "Kotlin's standard library 2.2.20"]
    named = {f"licences/{name}" for row in listed for name in row["texts"]}
    assert named == set(files) - {"licences/components.json"}
    assert files["licences/ipp.txt"] == (texts_dir() / "ipp.txt").read_bytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["components"]["tbb"].update(within="opencvv"), "no component opencvv"),
        (lambda d: d["components"]["tbb"].update(texts=["none.txt"]), "no licence text none.txt"),
        (lambda d: d["components"]["opencv"].update(version={"artifact": "cv"}), "no artifact cv"),
        (lambda d: d["components"]["opencv"].pop("licence"), "'licence' is a required property"),
        (lambda d: d["components"]["tbb"].update(version=2021.11), "version"),
    ],
)
def test_a_wrong_table_is_named(changed_config, change, words):
    path = changed_config("components.yaml", change, config_dir() / "licences")
    with pytest.raises(KitError, match=words) as caught:
        load_licences(path)
    assert caught.value.path == str(path)
