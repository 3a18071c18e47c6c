from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_kit.verify.compare import ImageRun, compare_runs
from edge_kit.verify.gates import apply_gates
from edge_kit.verify.report import (
    THUMBNAIL_BYTES,
    ConfigRow,
    ModelRow,
    ReportData,
    ReportError,
    make_thumbnail,
    render_report,
    report_picture,
    visible_text,
)

VOID = {"meta", "input", "br", "img", "link"}
ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{ 7*7 }}"


class Page(HTMLParser):
    """Elements, attributes and text of a page; fails on tags that do not nest."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def box(row: int) -> list[list[int]]:
    top = 10 + 40 * row
    return [[10, top], [110, top], [110, top + 30], [10, top + 30]]


def run(name: str, texts: list[str], rows: list[int] | None = None) -> ImageRun:
    rows = list(range(len(texts))) if rows is None else rows
    polys = np.array([box(row) for row in rows], np.int32).reshape(-1, 4, 2)
    prob = np.full((4, 4), 0.5, np.float32)
    logits = [np.full((1, 2, 3), 0.3, np.float32)]
    scores = [0.9] * len(texts)
    return ImageRun(name, None, prob, polys, scores, texts, scores, logits)


def picture_of(reference: ImageRun, candidate: ImageRun, image: np.ndarray | None = None):
    comparison = compare_runs([reference], [candidate], mask_threshold=0.3)
    image = np.full((200, 150, 3), 200, np.uint8) if image is None else image
    return report_picture(image, reference, candidate, comparison.images[0]), comparison


def report_data(reference: ImageRun | None = None, candidate: ImageRun | None = None) -> ReportData:
    reference = reference or run("page.png", ["参期士", "hello"])
    picture, comparison = picture_of(reference, candidate or reference)
    return ReportData(
        target="arm64",
        recipe="fp32",
        device_profile="generic-arm64",
        opt_version="2.14rc0",
        reference_engine="server",
        candidate_engine="lite_x86",
        gates=apply_gates(comparison.total.metrics(), "fp32"),
        images=comparison.worst_first,
        pictures=(picture,),
        models=(
            ModelRow("det", "models/det.nb", 4924214, "ab" * 32, 243, 0, 0, (("FP32", 4876544),), (("conv2d", 62),)),
            ModelRow("rec", "models/rec.nb", 999, "cd" * 32, 266, 1, 2, (), (("conv2d", 38), ("softmax", 3))),
        ),
        tools=(("paddlelite", "2.14rc0"),),
        runtime_config=(ConfigRow("threads", "4", "four big cores"),),
        notes=("not run on a phone",),
    )


def side(source: str, number: int) -> str:
    """The drawing of the server (0) or the device (1)."""
    return re.findall(r"<figure>.*?</figure>", source, re.S)[number]


def test_the_report_is_one_well_formed_page_that_asks_for_nothing():
    source = render_report(report_data())
    page = Page(source)
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("href", "src"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/")), value
    assert "url(" not in source
    assert "@import" not in source
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv"))
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_every_link_in_the_page_has_its_goal():
    page = Page(render_report(report_data()))
    ids = {a["id"] for _, a in page.elements if "id" in a}
    goals = {a["href"][1:] for _, a in page.elements if (a.get("href") or "").startswith("#")}
    assert goals <= ids
    assert len(goals) > 6


def test_the_same_data_gives_the_same_bytes():
    assert render_report(report_data()) == render_report(report_data())


def test_untrusted_text_stays_text_wherever_it_comes_from():
    data = report_data(run(ATTACK, [ATTACK, "same"]), run(ATTACK, ["x" + ATTACK, "same"]))
    data = dataclasses.replace(
        data,
        target=ATTACK,
        recipe=ATTACK,
        device_profile=ATTACK,
        opt_version=ATTACK,
        reference_engine=ATTACK,
        candidate_engine=ATTACK,
        gates=tuple(dataclasses.replace(g, name=ATTACK, why=ATTACK, title=ATTACK) for g in data.gates),
        models=(ModelRow(ATTACK, ATTACK, 1, ATTACK, 1, 1, 1, ((ATTACK, 1),), ((ATTACK, 1),)),),
        tools=((ATTACK, ATTACK),),
        runtime_config=(ConfigRow(ATTACK, ATTACK, ATTACK),),
        notes=(ATTACK,),
    )
    source = render_report(data)
    page = Page(source)
    assert page.all("script") == page.all("img") == []
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count("<script>alert(1)</script>") > 20
    assert "<script" not in source
    assert page.text.count("{{ 7*7 }}") == page.text.count("alert(2)")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_shown_completely_on_both_sides(left, right):
    reference = dataclasses.replace(run("a.png", [left]), rec_texts=[left])
    page = render_report(report_data(reference, run("a.png", [right])))
    cells = re.findall(r'<span class="read" lang="zh">(.*?)</span></td>', page, re.S)
    shown = [Page(cell.replace('<span class="hidden">(missing)</span>', "")).text.replace("␣", " ") for cell in cells]
    assert [text.strip() for text in shown] == [visible_text(t).replace("␣", " ").strip() for t in (left, right)]


def test_characters_that_hide_or_reorder_text_are_shown_as_code_points():
    assert visible_text("a\u202eb\x00\n") == "a⟨U+202E⟩b⟨U+0000⟩⟨U+000A⟩"
    assert visible_text("\ud800") == "⟨U+D800⟩"
    assert visible_text("你好, wörld ␣") == "你好, wörld ␣"
    source = render_report(report_data(run("\ud800.png", ["\ud800\u202e"])))
    assert "\u202e" not in source
    source.encode("utf-8")


def test_characters_that_differ_are_marked_on_both_sides():
    source = render_report(report_data(run("a", ["参期士", "DRPLANT"]), run("a", ["参则士", "DR PLANT"])))
    assert "参<mark>期</mark>士" in source
    assert "参<mark>则</mark>士" in source
    assert 'DR<mark class="gap"><span class="hidden">(missing)</span></mark>PLANT' in source
    assert "DR<mark>␣</mark>PLANT" in source


def test_equal_texts_carry_no_mark():
    assert "<mark" not in render_report(report_data())


def test_the_verdict_is_a_sentence():
    passed, failed = report_data(), report_data(candidate=run("page.png", ["参则士", "hello"]))
    assert passed.passed
    good, bad = Page(render_report(passed)).text, Page(render_report(failed)).text
    assert "✓ passed" in good
    assert f"All {len(passed.gates)} gates passed" in good
    assert "✗ FAIL" not in good
    assert "✗ failed" in bad
    assert f"2 of {len(failed.gates)} gates failed" in bad
    assert bad.count("✗ FAIL") == 2
    assert bad.count("✓ pass") == len(failed.gates) - 2


def test_every_gate_shows_its_number_limit_and_reason():
    data = report_data()
    text = Page(render_report(data)).text
    for gate in data.gates:
        assert gate.title in text
        assert gate.why in text
        assert gate.limit_text in text
        assert gate.value_text in text


def test_a_report_without_a_gate_has_not_passed():
    data = dataclasses.replace(report_data(), gates=())
    assert not data.passed
    assert "No gate was judged" in render_report(data)


def test_the_same_line_has_the_same_number_on_both_sides():
    reference = run("a", ["one", "two", "three"], [0, 1, 2])
    candidate = run("a", ["three", "extra", "one"], [2, 3, 0])
    source = render_report(report_data(reference, candidate))
    numbers = [re.findall(r'<g class="box (\w+)">.*?>(\d+)</text>', side(source, n)) for n in (0, 1)]
    assert numbers[0] == [("same", "1"), ("missed", "2"), ("same", "3")]
    assert numbers[1] == [("same", "1"), ("same", "3"), ("extra", "4")]
    assert "missing on the device" in source
    assert "only on the device" in source


def test_a_moved_box_is_listed_with_its_iou():
    moved = run("a", ["one"])
    moved = dataclasses.replace(moved, dt_polys=moved.dt_polys + 1)
    picture, _ = picture_of(run("a", ["one"]), moved)
    assert picture.lines[0].status == "moved"
    assert picture.lines[0].status_words == "box differs, IoU 0.918"
    changed = dataclasses.replace(moved, rec_texts=["two"])
    assert picture_of(run("a", ["one"]), changed)[0].lines[0].status_words == "text differs, IoU 0.918"


def test_boxes_are_drawn_in_pixels_of_the_image_over_a_picture_stored_once():
    source = render_report(report_data(run("a", ["one"])))
    assert source.count("data:image/") == 1
    assert 'width="150" height="200"' in side(source, 0)
    assert '<use href="#picture-1"/>' in side(source, 1)
    for number in (0, 1):
        assert 'points="10,10 110,10 110,40 10,40"' in side(source, number)


def test_a_page_without_text_says_so():
    assert "No text on either side" in render_report(report_data(run("empty.png", [])))


def test_parts_without_data_do_not_break_the_page():
    data = dataclasses.replace(report_data(), images=(), pictures=(), models=(), tools=(), runtime_config=(), notes=())
    Page(render_report(data))


def test_ops_are_listed_most_frequent_first_for_each_model():
    source = render_report(report_data())
    ops = source[source.index('id="ops"') :]
    assert ops.index("conv2d") < ops.index("softmax")
    assert re.search(r"conv2d</code></td><td>.*?62</td><td>.*?38</td>", ops)


def test_sixteen_dense_pictures_stay_below_four_megabytes():
    noise = np.random.default_rng(0).integers(0, 256, (1400, 1000, 3), np.uint8)
    page = run("page.png", ["一行二十个字的文本一行二十个字的文本"] * 60)
    data = report_data(page)
    picture = dataclasses.replace(data.pictures[0], thumbnail=make_thumbnail(noise))
    source = render_report(dataclasses.replace(data, pictures=(picture,) * 16, images=data.images * 29))
    assert len(source.encode()) < 4_000_000


@pytest.mark.parametrize("shape", [(1, 1, 3), (50, 40, 3), (20, 30_000, 3), (5000, 30, 3), (1200, 2000, 3)])
def test_a_thumbnail_is_bounded_and_keeps_the_size_of_its_image(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    thumb = make_thumbnail(image)
    small = cv2.imdecode(np.frombuffer(thumb.data, np.uint8), cv2.IMREAD_COLOR)
    assert (thumb.height, thumb.width) == shape[:2]
    assert small.shape[1] <= 900
    assert small.shape[0] <= 1600
    assert len(thumb.data) <= THUMBNAIL_BYTES
    assert thumb.data == make_thumbnail(image).data


def test_a_small_picture_keeps_its_pixels():
    image = np.zeros((32, 48, 3), np.uint8)
    image[8:16, 8:40] = (10, 20, 250)
    thumb = make_thumbnail(image)
    assert thumb.mime == "image/png"
    assert np.array_equal(cv2.imdecode(np.frombuffer(thumb.data, np.uint8), cv2.IMREAD_COLOR), image)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_bgr_image_is_refused(image):
    with pytest.raises(ReportError, match=r"uint8 \[h, w, 3\]"):
        make_thumbnail(image)


def test_a_missing_template_is_an_error_with_its_path(tmp_path):
    with pytest.raises(ReportError, match="cannot read") as caught:
        render_report(report_data(), tmp_path / "no.j2")
    assert caught.value.path == str(tmp_path / "no.j2")


@pytest.mark.parametrize("text", ["{% if %}", "{{ data.nothing }}", "{{ 1 | nofilter }}"])
def test_a_broken_template_is_an_error_with_its_path(tmp_path, text):
    path = tmp_path / "report.html.j2"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReportError, match="broken") as caught:
        render_report(report_data(), path)
    assert caught.value.path == str(path)
