"""The mistakes of demos: each switch alone does what it says and nothing else; all off is the server's pipeline."""

import dataclasses
import math

import cv2
import numpy as np
import pytest

from edge_kit.api import create_pipeline
from edge_kit.ocr.boxes import tidy_boxes
from edge_kit.ocr.crop import crop_line
from edge_kit.ocr.db import boxes_from_map, text_mask
from edge_kit.ocr.detection import detection_input
from edge_kit.ocr.image import read_image
from edge_kit.ocr.pipeline import Line, Runs
from edge_kit.ocr.recognition import recognition_input
from edge_kit.ocr.words import Columns
from edge_kit.spec import profile
from edge_kit.verify.regression import regression_set
from labs.legacy.pipeline import (
    LegacyPipeline,
    Scale,
    below_size,
    cut_upright,
    demo_crop,
    demo_mask,
    divided_as_integers,
    inflated,
    scaled,
    with_values,
)
from labs.legacy.rules import LegacyRules, Unclip, load_legacy

BASE = profile("pp-ocrv4")
OFF = LegacyRules()
SWITCHES = {p.name: p.rules for p in load_legacy().profiles if len(p.rules.rows) == 1}


def _quad(x0, y0, x1, y1):
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def _page():
    """Return a probability map that most rules have something to do with."""
    prob_map = np.zeros((96, 160), np.float32)
    prob_map[20:40, 20:110] = 0.9  # starts below its neighbour: read first, and found after it
    prob_map[15:35, 130:150] = 0.95
    prob_map[54:60, 20:70] = 0.8
    prob_map[54:60, 70:80] = 0.301  # above the float threshold, not above it in bytes
    prob_map[78:90, 20:70] = 0.55
    prob_map[68:92, 100:104] = prob_map[88:92, 100:140] = 0.9  # an L fills its contour, not its rectangle
    return prob_map


def _pipeline(mistakes, prob_map=None):
    """Return a pipeline whose detector answers ``prob_map`` (or calls it) and whose recogniser sees blanks only."""
    detect = prob_map if callable(prob_map) else lambda _: prob_map[np.newaxis, np.newaxis]

    def blanks(tensor):
        steps = np.zeros((1, tensor.shape[3] // 8, 3), np.float32)
        steps[..., 0] = 1.0
        return steps

    return LegacyPipeline(BASE, mistakes, Runs(detect, (blanks,)), ("a", " "))


def _stages(mistakes):
    """Return what each stage makes of hand-made inputs, in a form that can be compared."""
    image = np.random.default_rng(7).integers(0, 256, (95, 150, 3), np.uint8)
    pipeline = _pipeline(mistakes, _page())
    slanted = np.array([[10, 20], [110, 36], [106, 66], [6, 50]], np.float32)
    other = np.array([[10, 20], [90, 24], [100, 60], [12, 44]], np.float32)
    boxes, _ = pipeline.find_boxes(_page(), 190, 300)
    small, _ = pipeline.find_boxes(_page(), 36, 60)
    return {
        "det_input": pipeline.det_input(image).tobytes(),
        "boxes": boxes.tolist(),
        "small boxes": sorted(map(str, small.tolist())),
        "crops": [pipeline.cut_line(image, quad).tobytes() for quad in (slanted, other, _quad(60, 20, 149, 94))],
        "line": recognition_input(image[:30, :60], pipeline.rules.recognition).tobytes(),
        "empty": repr(pipeline.decode(np.eye(1, 3, dtype=np.float32).reshape(1, 1, 3))),
        "kept": [pipeline.keeps(Line("x", score, (0, 0, 0), Columns((), 320), -1)) for score in (0.2, 0.5, math.nan)],
        "whole": pipeline.read(image[:90, :100]).dt_polys.tolist(),
    }


CHANGES = {
    "legacy-side-below": {"det_input"},
    "legacy-squash": set(),
    "legacy-mask-bytes": {"boxes", "small boxes"},
    "legacy-mask-unscaled": {"boxes", "small boxes"},
    "legacy-box-thresh": {"boxes", "small boxes"},
    "legacy-unclip-1.6": {"boxes", "small boxes"},
    "legacy-unclip-2.0": {"boxes", "small boxes"},
    "legacy-unclip-rectangle": {"boxes", "small boxes"},
    "legacy-contour-score": {"boxes", "small boxes"},
    "legacy-dilation": {"boxes", "small boxes"},
    "legacy-integer-boxes": {"boxes", "small boxes"},
    "legacy-min-side-4": {"small boxes"},
    "legacy-min-side-10": {"small boxes"},
    "legacy-contour-order": {"boxes"},
    "legacy-warp-flags": {"crops"},
    "legacy-cut-first": {"crops"},
    "legacy-first-sides": {"crops"},
    "legacy-line-height": {"line"},
    "legacy-no-padding": {"line"},
    "legacy-pad-black": {"line"},
    "legacy-pad-grey": {"line"},
    "legacy-empty-nan": {"empty", "kept", "whole"},  # the blank lines of the whole page are shown
    "legacy-keep-all": {"kept", "whole"},
    "legacy-rgb-lines": {"line"},
    "legacy-first-scale": {"small boxes"},  # the second image that the pipeline sees
}
"""What each mistake alone changes. The whole page holds blank lines only, which the server does not show."""


@pytest.fixture(scope="module")
def server_stages():
    return _stages(OFF)


def test_all_off_gives_the_servers_stages(server_stages):
    boxes, scores = boxes_from_map(_page(), 300, 190, BASE.db)
    tidy, _ = tidy_boxes(boxes, scores, 190, 300, BASE.boxes)
    assert server_stages["boxes"] == tidy.tolist()
    assert server_stages["kept"] == [False, True, False]
    assert with_values(BASE, OFF) == BASE


@pytest.mark.parametrize("name", list(SWITCHES))
def test_each_switch_changes_what_it_says_and_nothing_else(name, server_stages):
    now = _stages(SWITCHES[name])
    assert {stage for stage in now if now[stage] != server_stages[stage]} == CHANGES[name]


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (640, 640, (640, 640)),  # 32 divides both: left alone
        (540, 641, (480, 608)),
        (31, 33, (32, 32)),
        (64, 95, (64, 32)),
        (1280, 960, (960, 672)),  # 720 -> 672, and the server rounds to 704
    ],
)
def test_row_1_goes_one_block_below(height, width, expected):
    assert below_size(height, width, BASE.detection) == expected


def test_row_2_reads_a_square_and_gives_boxes_of_the_image():
    page = np.zeros((448, 448), np.float32)
    page[100:140, 100:300] = 0.9
    seen = []

    def detect(tensor):
        seen.append(tensor.shape)
        return page[np.newaxis, np.newaxis]

    demo = _pipeline(LegacyRules(squash_to=448, keep_all=True), detect)
    (box,) = demo.read(np.zeros((224, 896, 3), np.uint8)).dt_polys
    (squared,) = _pipeline(LegacyRules(keep_all=True), detect).read(np.zeros((448, 448, 3), np.uint8)).dt_polys
    assert seen == [(1, 3, 448, 448)] * 2
    assert box.tolist() == [[2 * x, round(y / 2)] for x, y in squared.tolist()]


def test_row_3_and_4_compare_bytes():
    values = np.array([[0.3, 0.3001, 0.3019, 0.302, 0.5, 0.5001, 1.0]], np.float32)
    assert text_mask(values, BASE.db).tolist() == [[0, 1, 1, 1, 1, 1, 1]]
    assert demo_mask(values, BASE.db, SWITCHES["legacy-mask-bytes"]).tolist() == [[0, 0, 0, 1, 1, 1, 1]]
    assert demo_mask(values, BASE.db, SWITCHES["legacy-mask-unscaled"]).tolist() == [[0, 0, 0, 0, 0, 1, 1]]
    grown = dataclasses.replace(BASE.db, use_dilation=True)
    assert demo_mask(values, grown, SWITCHES["legacy-mask-unscaled"]).tolist() == [[0, 0, 0, 0, 0, 1, 1]]


def test_row_6_inflates_both_sides_by_the_short_one():
    grown = inflated(_quad(20, 40, 120, 60), BASE.db, ratio=1.95)
    assert grown.tolist() == pytest.approx(np.array([[10.5, 30.5], [129.5, 30.5], [129.5, 69.5], [10.5, 69.5]]))
    turned = cv2.boxPoints(((200.0, 200.0), (100.0, 20.0), 30.0))
    rectangle = cv2.minAreaRect(inflated(turned, BASE.db, ratio=1.95))
    assert sorted(rectangle[1]) == pytest.approx([39, 119], abs=1e-3)
    assert rectangle[0] == pytest.approx((200, 200), abs=1e-3)


def test_row_9_rounds_before_it_divides_and_cuts_the_fraction_off():
    boxes = np.array([[[10.5, 10.4], [31, 10.4], [31, 20], [10.5, 20]]], np.float32)
    scale = Scale(map_height=100, map_width=150, height=100, width=200)
    assert scaled(boxes, scale)[0].tolist() == [[14, 10], [41, 10], [41, 20], [14, 20]]
    # 11 / 0.75 = 14.67 and 31 / 0.75 = 41.33
    assert divided_as_integers(boxes, scale)[0].tolist() == [[14, 10], [41, 10], [41, 20], [14, 20]]
    boxes[0, 0, 0] = 11.0
    assert (scaled(boxes, scale)[0, 0, 0], divided_as_integers(boxes, scale)[0, 0, 0]) == (15, 14)


@pytest.mark.parametrize(("exclusive", "kept"), [(3, [4, 5, 11]), (4, [5, 11]), (10, [11])])
def test_row_10_drops_sides_up_to_the_demos_number(exclusive, kept):
    rules = with_values(BASE, LegacyRules(min_side_exclusive=exclusive)).boxes
    boxes = np.stack([_quad(0, 20 * i, 50, 20 * i + side) for i, side in enumerate((3, 4, 5, 11))])
    tidy, _ = tidy_boxes(boxes, np.ones(4), 200, 200, rules)
    assert [quad[3, 1] - quad[0, 1] for quad in tidy] == kept


def test_row_11_gives_contours_from_the_last():
    prob_map = np.zeros((200, 200), np.float32)
    prob_map[20:40, 100:180] = prob_map[24:44, 10:80] = prob_map[120:140, 10:180] = 0.9
    server, _ = _pipeline(OFF).find_boxes(prob_map, 200, 200)
    demo, _ = _pipeline(SWITCHES["legacy-contour-order"]).find_boxes(prob_map, 200, 200)
    raw, _ = boxes_from_map(prob_map, 200, 200, BASE.db)
    assert [box[0].tolist() for box in demo] == [box[0].tolist() for box in raw[::-1]]
    # The row of two is read from left to right by the server, from right to left by the demo.
    assert [bool(box[0, 0] < 50) for box in server] == [True, False, True]
    assert [bool(box[0, 0] < 50) for box in demo] == [False, True, True]


def test_row_12_warps_bilinear_and_black_outside():
    image = np.full((40, 40, 3), 77, np.uint8)
    beyond = demo_crop(image, _quad(20, 10, 60, 30), BASE.crop, SWITCHES["legacy-warp-flags"])
    assert (crop_line(image, _quad(20, 10, 60, 30), BASE.crop) == 77).all()
    assert (beyond[:, 21:] == 0).all()
    assert (beyond[:, :19] == 77).all()


def test_row_13_sees_nothing_outside_the_upright_box():
    image = np.full((60, 120, 3), 30, np.uint8)
    image[20:40, 20:100] = 200
    cut, corners = cut_upright(image, _quad(20, 20, 100, 40))
    assert cut.shape == (20, 80, 3)
    assert (cut == 200).all()
    assert corners.tolist() == _quad(0, 0, 80, 20).tolist()
    point, _ = cut_upright(image, _quad(5, 5, 5, 5))
    assert point.shape == (1, 1, 3)


def test_row_14_takes_the_top_and_the_left_side():
    image = np.zeros((100, 200, 3), np.uint8)
    trapezium = np.array([[50, 10], [100, 10], [150, 50], [50, 30]], np.float32)
    assert crop_line(image, trapezium, BASE.crop).shape == (64, 101, 3)
    assert demo_crop(image, trapezium, BASE.crop, SWITCHES["legacy-first-sides"]).shape == (20, 50, 3)


def test_rows_15_16_17_and_20_change_the_line():
    line = np.zeros((48, 100, 3), np.uint8)
    line[..., 0] = 255

    def tensor(name):
        return recognition_input(line, with_values(BASE, SWITCHES[name]).recognition)

    server = recognition_input(line, BASE.recognition)
    assert tensor("legacy-line-height").shape == (1, 3, 32, 320)
    assert tensor("legacy-no-padding").shape == (1, 3, 48, 100)
    assert (tensor("legacy-no-padding") == server[..., :100]).all()
    for name, pixel in (("legacy-pad-black", 0), ("legacy-pad-grey", 127)):
        padded = tensor(name)
        assert (padded[..., :100] == server[..., :100]).all()
        assert (padded[..., 100:] == (np.float32(pixel) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)).all()
    assert (tensor("legacy-rgb-lines") == server[:, ::-1]).all()


def test_row_18_scores_an_empty_line_nan_and_shows_it():
    image = np.zeros((200, 300, 3), np.uint8)
    page = np.zeros((192, 288), np.float32)
    page[50:80, 50:200] = 0.9
    assert _pipeline(OFF, page).read(image).rec_scores == ()
    (score,) = _pipeline(SWITCHES["legacy-empty-nan"], page).read(image).rec_scores
    assert math.isnan(score)
    assert _pipeline(SWITCHES["legacy-keep-all"], page).read(image).rec_scores == (0.0,)


def test_row_21_is_right_on_the_first_image_and_wrong_on_the_next():
    page = np.zeros((320, 320), np.float32)
    page[100:140, 60:200] = 0.9
    demo, server = _pipeline(SWITCHES["legacy-first-scale"]), _pipeline(OFF)
    first, second = (demo.find_boxes(page, side, side)[0] for side in (640, 320))
    assert (first == server.find_boxes(page, 640, 640)[0]).all()
    assert (second == np.clip(first, 0, 319)).all()
    assert (server.find_boxes(page, 320, 320)[0] == first / 2).all()
    again = _pipeline(SWITCHES["legacy-first-scale"])
    assert (again.find_boxes(page, 320, 320)[0] == first / 2).all()


def test_switches_combine():
    rules = LegacyRules(unclip=Unclip("offset", 2.0), box_thresh=0.5, empty_nan=True, line_height=32, pad_pixel=0)
    values = with_values(BASE, rules)
    assert (values.db.unclip_ratio, values.db.box_thresh, values.recognition.height) == (2.0, 0.5, 32)
    assert values.recognition.pad_value == -1.0
    assert math.isnan(values.ctc.empty_score)
    assert (values.detection, values.boxes, values.crop, values.result) == (
        BASE.detection,
        BASE.boxes,
        BASE.crop,
        BASE.result,
    )


@pytest.mark.integration
@pytest.mark.xdist_group("onnx")
def test_all_off_is_the_servers_pipeline_bit_for_bit_on_real_images():
    with create_pipeline("ocr", engine="onnx") as pipeline:
        demo = LegacyPipeline(pipeline.ocr.rules, OFF, pipeline.ocr.runs, pipeline.ocr.characters)
        lines = 0
        for image in regression_set():
            pixels = read_image(image.path)
            expected, found = pipeline.ocr.read(pixels), demo.read(pixels)
            assert demo.det_input(pixels).tobytes() == detection_input(pixels, BASE.detection).tobytes()
            assert found.dt_polys.tolist() == expected.dt_polys.tolist(), image.name
            assert (found.dt_scores, found.rec_texts, found.rec_scores) == (
                expected.dt_scores,
                expected.rec_texts,
                expected.rec_scores,
            ), image.name
            lines += len(found.rec_texts)
        demo.close()
    assert lines > 50
