"""What Android does differently for an app of target SDK 35 and 36, held against the app's sources."""

from __future__ import annotations

import re
import xml.etree.ElementTree as tree

import pytest

from edge_kit.android.sources import APP, sources_dir

ANDROID = "{http://schemas.android.com/apk/res/android}"
MAIN = sources_dir() / APP / "src" / "main"
CODE = {path.name: path.read_text(encoding="utf-8") for path in sorted((MAIN / "kotlin").rglob("*.kt"))}
STYLES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((MAIN / "res").glob("values*/*.xml")))


def activities() -> list[tree.Element]:
    return list(tree.parse(MAIN / "AndroidManifest.xml").getroot().iter("activity"))


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("onBackPressed", "not called any more: the system draws where Back leads (predictive back)"),
        ("KEYCODE_BACK", "not sent any more"),
        ("requestedOrientation", "ignored on displays of 600 dp and more"),
        ("scheduleAtFixedRate", "runs that were missed are not made up for"),
        ("windowOptOutEdgeToEdgeEnforcement", "without effect: windows reach from edge to edge"),
    ],
)
def test_nothing_is_used_that_android_16_takes_away(word, why):
    assert [name for name, text in CODE.items() if word in text] == [], why
    assert word not in STYLES, why


def test_no_screen_asks_for_an_orientation_or_a_size():
    asked = ("screenOrientation", "resizeableActivity", "minAspectRatio", "maxAspectRatio")
    assert activities()
    for activity in activities():
        assert not [name for name in asked if f"{ANDROID}{name}" in activity.attrib]


def test_every_screen_keeps_clear_of_bars_and_cutouts():
    for activity in activities():
        name = activity.attrib[f"{ANDROID}name"].rpartition(".")[2]
        assert "showLayout(R.layout." in CODE[f"{name}.kt"], name
    types = ("systemBars", "displayCutout", "ime")
    assert all(f"WindowInsets.Type.{name}()" in CODE["Screens.kt"] for name in types)


def test_bars_without_a_colour_of_their_own_lie_on_the_screens_ground():
    """The bars' colours are ignored from Android 15 on: what is behind them is the root of the layout."""
    for layout in sorted((MAIN / "res").glob("layout*/activity_*.xml")):
        ids = [element.attrib.get(f"{ANDROID}id") for element in tree.parse(layout).getroot().iter()]
        assert ids.count("@+id/root") == 1, layout.name
    camera = tree.parse(MAIN / "res" / "layout" / "activity_camera.xml").getroot()
    assert camera.attrib[f"{ANDROID}background"] == "@color/canvas"
    assert re.search(r'name="android:windowBackground">@color/background<', STYLES)
