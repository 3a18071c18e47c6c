"""Texts for users are plain technical English: words of this project's private dialect are found by name."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as tree
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, pages, prose

DIALECT = {
    r"mend(s|ed|ing)?": "fix",
    r"told": "report, said in the message",
    r"guises?": "augment, augmented copy",
    r"last words": "error message",
    r"whole(?! (numbers?|pixels?)\b)": "complete, all of; 'whole number' and 'whole pixels' are the usual terms",
    r"wholly": "completely",
}
"""Each word, as a pattern, with what to write in its place."""
WORD = re.compile(rf"\b({'|'.join(DIALECT)})\b", re.IGNORECASE)
CODE = [path for name in ("edge_kit", "model_opt", "examples") for path in sorted((ROOT / name).rglob("*.py"))]
CONFIGS = [path for path in sorted((ROOT / "configs").rglob("*")) if path.suffix in {".yaml", ".json", ".md", ".j2"}]
OTHER = [*sorted((ROOT / "edge_kit").rglob("*.html")), *sorted((ROOT / "docker").iterdir()), ROOT / "mkdocs.yml"]
SCREENS = sorted((ROOT / "android_app").glob("*/src/main/res/values/strings.xml"))


def found_in(text: str) -> list[str]:
    return [match[0] for match in WORD.finditer(text)]


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the text of each string in a module that a reader may see: literals, docstrings, parts of f-strings.

    A string without a blank is a name, a key or a pattern.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_have_no_word_of_the_dialect(page):
    assert found_in(prose(page.read_text(encoding="utf-8"))) == []


def test_help_error_messages_and_docstrings_have_none():
    assert len(CODE) > 200
    found = {
        f"{path.relative_to(ROOT)}:{line}": words
        for path in CODE
        for line, text in strings(path)
        if (words := found_in(text))
    }
    assert found == {}


def test_configuration_templates_and_the_services_page_have_none():
    found = {path.name: words for path in [*CONFIGS, *OTHER] if (words := found_in(path.read_text(encoding="utf-8")))}
    assert found == {}


def test_the_apps_screens_have_none():
    assert SCREENS
    texts = [str(node.text) for path in SCREENS for node in tree.parse(path).getroot().iter("string")]
    assert len(texts) > 50
    assert [text for text in texts if found_in(text)] == []


def test_the_words_are_found_where_they_stand():
    assert found_in("We mended it; the whole page was told so. Its last words.") == [
        "mended", "whole", "told", "last words",
    ]  # fmt: skip
    assert found_in("A whole number, rounded to whole pixels, amended recommendations.") == []
