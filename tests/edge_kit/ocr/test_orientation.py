"""Lines and pages are turned the right way up by PaddleX 3's rules."""

from dataclasses import replace

import numpy as np
import pytest

from edge_kit.ocr import steps
from edge_kit.ocr.orientation import degrees_of, page_input, textline_input, turned
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.spec import profile
from model_opt.errors import KitError

RULES = profile("paddlex-3")


@pytest.fixture
def image():
    return np.random.default_rng(1).integers(1, 256, (30, 50, 3)).astype(np.uint8)


def test_a_turn_by_180_degrees_is_a_warp_that_loses_the_first_row_and_column(image):
    found = turned(image, 180, "cubic")
    assert found.shape == image.shape
    assert not found[0].any()
    assert not found[:, 0].any()
    assert (found[1:, 1:] == image[::-1, ::-1][:-1, :-1]).all()


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (270, 3)])
def test_a_quarter_turn_is_counter_clockwise(image, degrees, quarters):
    found = turned(image, degrees, "cubic")
    expected = np.rot90(image, quarters)
    assert found.shape == expected.shape
    same = (found[1:, 1:] == expected[:-1, :-1]).all() or (found[:, 1:] == expected[:, :-1]).all()
    assert same or (found[1:] == expected[:-1]).all()


def test_upright_is_left_as_it_is(image):
    assert turned(image, 0, "cubic") is image


def test_a_side_beyond_the_warps_reach_is_refused():
    with pytest.raises(KitError, match="cannot be turned"):
        turned(np.zeros((2, 40_000, 3), np.uint8), 180, "cubic")


def test_a_line_is_stretched_to_the_classifiers_size_in_rgb():
    line = np.zeros((20, 30, 3), np.uint8)
    line[..., 2] = 255
    tensor = textline_input(line, RULES.textline)
    assert tensor.shape == (1, 3, 80, 160)
    assert tensor.dtype == np.float32
    assert tensor[0, 0] == pytest.approx((1 - 0.485) / 0.229)
    assert tensor[0, 2] == pytest.approx(-0.406 / 0.225)


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (10, 1000), (224, 224), (1, 1)])
def test_the_middle_of_a_page_is_classified(shape):
    assert page_input(np.zeros((*shape, 3), np.uint8), RULES.page).shape == (1, 3, 224, 224)


def test_the_most_probable_class_decides_without_a_threshold():
    assert degrees_of(np.array([[0.49, 0.51]], np.float32), RULES.textline.labels) == 180
    assert degrees_of(np.array([[0.2, 0.1, 0.1, 0.6]], np.float32), RULES.page.labels) == 270
    with pytest.raises(KitError, match="2 classes, the specification 4"):
        degrees_of(np.array([[0.5, 0.5]], np.float32), RULES.page.labels)


def test_each_profile_turns_lines_by_its_servers_classifier():
    newer, older = RULES.with_lines_turned(True), profile("pp-ocrv4").with_lines_turned(True)
    assert (newer.textline.enabled, newer.classifier.enabled) == (True, False)
    assert (older.textline, older.classifier.enabled) == (None, True)
    assert RULES.with_pages_turned(True).turns_pages
    assert profile("pp-ocrv4").with_pages_turned(False) == profile("pp-ocrv4")
    with pytest.raises(KitError, match="no rules for turning pages"):
        profile("pp-ocrv4").with_pages_turned(True)
    assert not any(one.turns_lines or one.turns_pages for one in (RULES, profile("pp-ocrv4")))


def test_a_line_on_its_head_is_turned_before_it_is_read(image):
    rules = RULES.with_lines_turned(True)
    for probabilities, class_ in (([0.6, 0.4], 0), ([0.4, 0.6], 1)):
        found = steps.upright(image, rules, lambda x, p=probabilities: np.array([p], np.float32))
        assert found.turned == class_
        assert (found.image is image) == (class_ == 0)
    assert steps.upright(image, rules).turned == -1


def test_a_page_is_turned_before_text_is_sought():
    page = np.full((60, 100, 3), 255, np.uint8)
    seen = []

    def detect(x):
        seen.append(x.shape)
        return np.zeros((1, 1, *x.shape[2:]), np.float32)

    def upside(x):
        return np.array([[0, 1, 0, 0]], np.float32)

    rules = RULES.with_pages_turned(True)
    pipeline = OcrPipeline(rules, Runs(detect, (detect,), classify_page=upside), ("a",))
    result = replace(pipeline.read(page), schema="paddlex-3")
    assert result.image.shape == (100, 60, 3)
    assert result["model_settings"] == {"use_doc_preprocessor": True, "use_textline_orientation": False}
    assert result["doc_preprocessor_res"]["angle"] == 90
    assert "page" in result.timings
    plain = OcrPipeline(RULES, Runs(detect, (detect,), classify_page=upside), ("a",)).read(page)
    assert plain.image.shape == page.shape
    assert "doc_preprocessor_res" not in replace(plain, schema="paddlex-3")
