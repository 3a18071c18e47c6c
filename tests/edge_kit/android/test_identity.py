"""Ids, names and version codes of an app: what Android takes, and what is refused with its reason."""

from __future__ import annotations

import pytest

from edge_kit.android.errors import AndroidError
from edge_kit.android.identity import MAX_ID, check_app_name, check_application_id, check_version_code


@pytest.mark.parametrize("text", ["org.edgekit.ocr", "a.b", "com.Example_2.reader", "a." + "b" * (MAX_ID - 2)])
def test_ids_of_java_packages_are_taken(text):
    assert check_application_id(text) == text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("reader", "one part"),
        ("", "the part ''"),
        ("com..reader", "the part ''"),
        ("com.example.", "the part ''"),
        ("com.2nd.reader", "the part '2nd'"),
        ("com._x.reader", "the part '_x'"),
        ("com.ex-ample", "the part 'ex-ample'"),
        ("com.example.文字", "the part '文字'"),
        ("com.example.reader\n", "the part"),
        ("com.example.new", "'new' is a keyword of Java"),
        ("com.example.true", "'true' is a keyword of Java"),
        ("a." + "b" * (MAX_ID - 1), f"it has {MAX_ID + 1} characters"),
    ],
)
def test_other_ids_are_refused_with_the_rule_that_they_break(text, rule):
    with pytest.raises(AndroidError) as caught:
        check_application_id(text)
    assert rule in caught.value.what
    assert "com.example.reader" in (caught.value.hint or "")


def test_a_name_is_what_a_launcher_can_show():
    assert check_app_name("  Reader 文字 👓 ") == "Reader 文字 👓"
    for name in ("", "  ", "a" * 51, "a\nb", "a\tb", "a\x00b", "a\u2028b", "\ud800"):
        with pytest.raises(AndroidError, match="the app's name"):
            check_app_name(name)


def test_a_version_code_is_one_that_google_play_takes():
    assert [check_version_code(code) for code in (1, 2_100_000_000)] == [1, 2_100_000_000]
    for code in (0, -1, 2_100_000_001):
        with pytest.raises(AndroidError, match="not a version code"):
            check_version_code(code)
