"""The app's words: each in English and in Chinese, with the same places for values."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from edge_kit import __version__
from edge_kit.android.sources import APP, sources_dir

RES = sources_dir() / APP / "src" / "main" / "res"
PLACE = re.compile(r"%(?:\d+\$)?[a-z]")


def words(folder: str) -> dict[str, list[str]]:
    """Return the texts of each name: one of a string, several of a plural."""
    root = ElementTree.parse(RES / folder / "strings.xml").getroot()
    return {str(row.get("name")): [text.text or "" for text in (list(row) or [row])] for row in root}


def places(texts: list[str]) -> set[str]:
    return {place for text in texts for place in PLACE.findall(text)}


def test_every_text_is_there_in_chinese_with_the_same_places():
    english, chinese = words("values"), words("values-zh")
    assert english.keys() == chinese.keys()
    for name, texts in english.items():
        assert places(texts) == places(chinese[name]), name
        assert all(text.strip() for text in (*texts, *chinese[name])), name


@pytest.mark.parametrize("folder", ["layout", "layout-land", "menu"])
def test_no_screen_holds_hard_coded_text(folder):
    worded = re.compile(r'android:(?:text|hint|title|contentDescription)="(?!@string/|\?)[^"]')
    for path in (RES / folder).iterdir():
        assert not worded.search(path.read_text(encoding="utf-8")), path.name


def test_the_app_and_its_libraries_have_the_kits_version():
    folder = sources_dir()
    report = (folder / APP / "src/main/kotlin/org/edgekit/ocr/app/SelfTestReport.kt").read_text(encoding="utf-8")
    assert f'APP_VERSION = "{__version__}"' in report
    assert f'versionName = "{__version__}"' in (folder / APP / "build.gradle.kts").read_text(encoding="utf-8")
    for pom in folder.glob("**/pom.xml"):
        assert f"<version>{__version__}</version>" in pom.read_text(encoding="utf-8"), pom.parent.name
