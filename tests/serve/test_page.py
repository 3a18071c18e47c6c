"""The page works in a real browser: by mouse, by keyboard, with the clipboard, in both colour schemes."""

import io
import json
from dataclasses import replace

import pytest
from PIL import Image as Pillow

from tests.serve.chromium import browser, find_chromium
from tests.serve.running import STUB, running
from tests.serve.test_documents import encoded, pdf

pytestmark = pytest.mark.xdist_group("browser")

TAB, ENTER = ("Tab", 9), ("Enter", 13)
CONTROL = 2
SHOWN = "!document.getElementById('result').hidden"
TEXTS = ["first line", "<b>second</b> & last"]


@pytest.fixture(scope="module")
def chromium(lacking):
    program = find_chromium()
    if program is None:
        lacking("not installed: chromium")
    with browser(program) as page:
        yield page


@pytest.fixture(scope="module")
def service():
    with running(STUB) as client:
        yield str(client.base_url).rstrip("/")


@pytest.fixture
def page(chromium, service):
    chromium.console.clear()
    chromium.look(1280, 900)
    chromium.call(
        "Browser.grantPermissions", origin=service, permissions=["clipboardReadWrite", "clipboardSanitizedWrite"]
    )
    chromium.open(service + "/")
    yield chromium
    assert chromium.console == []


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "photo.png"
    file.write_bytes(encoded(100, 80))
    return file


def lines(page):
    return page.run("[...document.querySelectorAll('#lines .text')].map((one) => one.textContent)")


def lit(page):
    return page.run("[...document.querySelectorAll('polygon')].map((one) => one.classList.contains('on'))")


def test_a_dropped_picture_shows_its_boxes_lines_times_and_json(page, picture):
    page.drop("#drop", picture)
    page.wait(SHOWN)
    assert lines(page) == TEXTS
    assert page.text("#count") == "2 lines"
    assert page.run("document.querySelector('polygon').getAttribute('points')") == "10,10 90,10 90,30 10,30"
    assert page.run("document.getElementById('boxes').getAttribute('viewBox')") == "0 0 100 80"
    assert (
        page.run(
            "document.getElementById('picture').decode().then(() => document.getElementById('picture').naturalWidth)"
        )
        == 100
    )
    # the boxes lie on the picture, whatever its size on the screen
    assert (
        page.run(
            "(() => { const a = document.getElementById('boxes').getBoundingClientRect(),"
            "b = document.getElementById('picture').getBoundingClientRect();"
            "return Math.abs(a.width - b.width) + Math.abs(a.height - b.height) + Math.abs(a.left - b.left); })()"
        )
        < 1
    )
    assert "detect 12 ms" in page.text("#times")
    assert json.loads(page.text("#json"))["result"]["dataInfo"]["width"] == 100


def test_a_pasted_picture_is_read(page):
    page.run(
        "new Promise((done) => { const c = document.createElement('canvas'); c.width = c.height = 50;"
        "c.toBlob((blob) => navigator.clipboard.write([new ClipboardItem({'image/png': blob})]).then(done)); })"
    )
    page.press("v", 86, modifiers=CONTROL, command="paste")
    page.wait(SHOWN)
    assert lines(page) == TEXTS


def test_a_chosen_picture_is_read(page, picture):
    page.choose("#file", picture)
    page.wait(SHOWN)
    assert lines(page) == TEXTS


def test_box_and_line_light_up_together(page, picture):
    page.drop("#drop", picture)
    page.wait(SHOWN)
    page.move("#lines li:nth-child(2) button")
    assert lit(page) == [False, True]
    page.move("polygon:nth-child(1)")
    assert lit(page) == [True, False]
    assert page.run("document.querySelector('#lines button').classList.contains('on')")
    page.move("h1")
    assert lit(page) == [False, False]


def test_text_and_json_are_copied(page, picture):
    page.drop("#drop", picture)
    page.wait(SHOWN)
    page.run("document.getElementById('copy').click()")
    page.wait("document.getElementById('status').textContent === 'Text copied'")
    assert page.run("navigator.clipboard.readText()") == "\n".join(TEXTS)
    page.run("document.getElementById('copy-json').click()")
    page.wait("document.getElementById('status').textContent === 'JSON copied'")
    assert json.loads(page.run("navigator.clipboard.readText()"))["errorMsg"] == "Success"


def test_the_keyboard_reaches_everything(page, picture):
    page.choose("#file", picture)
    page.wait(SHOWN)
    seen = []
    page.run("document.activeElement.blur()")
    for _ in range(8):
        page.press(*TAB)
        seen.append(page.run("document.activeElement.id || document.activeElement.textContent"))
    assert seen[:3] == ["Interface", "file", "copy"]
    assert seen[3].startswith("1first line")
    page.run("document.querySelectorAll('#lines button')[1].focus()")
    assert lit(page) == [False, True]
    page.press(*ENTER, text="\r")
    page.wait("document.getElementById('status').textContent === 'Line 2 copied'")
    assert page.run("navigator.clipboard.readText()") == TEXTS[1]
    assert "JSON" in seen


def test_pages_of_a_pdf_are_turned(page, tmp_path):
    file = tmp_path / "two.pdf"
    file.write_bytes(pdf((100, 80), (100, 80)))
    page.choose("#file", file)
    page.wait(SHOWN)
    assert page.text("#page") == "Page 1 of 2"
    assert page.run("document.getElementById('picture').src").startswith("data:image/jpeg;base64,")
    page.run("document.getElementById('next').click()")
    assert page.text("#page") == "Page 2 of 2"
    assert page.run("document.getElementById('next').disabled")


def test_a_refused_file_says_why_as_text(chromium, service, tmp_path):
    chromium.open(service + "/")
    file = tmp_path / "bad.png"
    file.write_bytes(b"BAD")
    chromium.choose("#file", file)
    chromium.wait("!document.getElementById('error').hidden")
    assert chromium.text("#error") == "body.file: bad <i>file</i>"
    assert chromium.run("document.getElementById('result').hidden")


def test_the_page_asks_for_the_key(chromium, picture):
    key = "a key of many letters"
    with running(replace(STUB, api_key=key)) as client:
        chromium.open(str(client.base_url))
        chromium.choose("#file", picture)
        chromium.wait("!document.getElementById('key').hidden")
        assert chromium.run("document.activeElement.id") == "secret"
        chromium.run(f"document.getElementById('secret').value = {json.dumps(key)}")
        chromium.press(*ENTER, text="\r")
        chromium.wait(SHOWN)
        assert chromium.run("document.getElementById('key').hidden")


def test_both_colour_schemes_have_contrast(page, picture):
    page.choose("#file", picture)
    page.wait(SHOWN)
    darkness = []
    for dark in (False, True):
        page.look(1280, 900, dark=dark)
        colours = page.run(
            "[...document.querySelectorAll("
            "'h1, header p, .file, #count, #copy, .text, .score, #times, summary, header a')]"
            ".map((one) => [getComputedStyle(one).color, ground(one)]);"
            "function ground(one) { const own = getComputedStyle(one).backgroundColor;"
            "return own === 'rgba(0, 0, 0, 0)' && one.parentElement ? ground(one.parentElement) : own; }"
        )
        assert all(contrast(*pair) >= 4.5 for pair in colours), [pair for pair in colours if contrast(*pair) < 4.5]
        shot = Pillow.open(io.BytesIO(page.screenshot())).convert("L")
        darkness.append(shot.getpixel((5, 5)))
    assert darkness[0] > 200 > 60 > darkness[1]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two CSS colours by WCAG 2."""

    def light(text: str) -> float:
        parts = [int(part) / 255 for part in text[text.index("(") + 1 : -1].split(",")[:3]]
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_description_of_the_interface_is_shown(page, service):
    page.open(service + "/docs")
    page.wait("document.querySelectorAll('section').length === 4")
    assert "POST /ocr" in page.run("[...document.querySelectorAll('h2')].map((one) => one.textContent)")


def test_a_narrow_window_needs_no_sideways_scrolling(page, picture):
    page.choose("#file", picture)
    page.wait(SHOWN)
    page.look(360, 800)
    assert page.run("document.documentElement.scrollWidth") <= 360
