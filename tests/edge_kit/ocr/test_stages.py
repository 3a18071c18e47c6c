"""Each stage of the pipeline alone, against values worked out by hand or by the library the server uses."""

from dataclasses import replace

import cv2
import numpy as np
import pyclipper
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_kit.ocr.boxes import order_clockwise, reading_order, tidy_boxes
from edge_kit.ocr.crop import crop_line
from edge_kit.ocr.db import boxes_from_map, min_area_quad, polygon_area, polygon_perimeter, scaled, text_mask, unclip
from edge_kit.ocr.detection import detection_input, input_size
from edge_kit.ocr.recognition import ctc_decode, load_characters, recognition_input, recognition_width, turn_line
from edge_kit.ocr.tensor import clipped
from edge_kit.spec import profile
from labs.golden.vectors import offset_case
from model_opt.errors import KitError

RULES = profile()
PADDLEX = profile("paddlex-v4")
PADDLEX_3 = profile("paddlex-3")


def _quad(x0, y0, x1, y1):
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (640, 640, (640, 640)),
        (80, 48, (64, 64)),  # 2.5 -> 2 and 1.5 -> 2: ties go to the even number
        (112, 16, (128, 32)),  # 3.5 -> 4, 0.5 -> 0 -> at least 32
        (1920, 1080, (960, 544)),  # 540/32 = 16.875
        (10, 30000, (32, 960)),
        (1, 1, (32, 32)),
    ],
)
def test_detector_sides_round_half_to_even(height, width, expected):
    assert input_size(height, width, RULES.detection) == expected


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (640, 480, (640, 480)),  # a page keeps its size
        (32, 48, (64, 96)),
        (4000, 3000, (4000, 3008)),  # 4000 is no side above 4000; 93.75 -> 94
        (4030, 81, (4000, 64)),  # int(80.4) = 80 is 2.5 multiples: the even one, 2
        (8000, 3000, (4000, 1504)),
        (9, 613, (64, 4000)),  # brought up to 64 x 4359 first, then int(64 * 4000/4359) = 58, 1.8 -> 2
        (10, 30000, (32, 4000)),
    ],
)
def test_paddlex_3_bounds_the_longer_side_after_it_brought_up_the_shorter(height, width, expected):
    assert input_size(height, width, PADDLEX_3.detection) == expected


def test_a_bounded_side_is_truncated_twice():
    rules = replace(PADDLEX_3.detection, max_side_limit=100, side_multiple=1, min_side=1)
    # 64 x int(69 * 64/20) = 220, then int(64 * 100/220) = 29; in one step it would be int(20 * 100/69) = 28
    assert input_size(20, 69, rules) == (29, 100)
    # 64 x 195, and 195 * (100/195) is a little less than 100 in float64
    assert input_size(20, 61, rules) == (32, 99)


def test_detection_input_divides_before_it_subtracts_in_float32():
    image = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, axis=2).repeat(64, axis=0)
    tensor = detection_input(image, RULES.detection)
    assert tensor.shape == (1, 3, 64, 256)
    value = (np.float32(200) / np.float32(255) - np.float32(0.485)) / np.float32(0.229)
    assert tensor[0, 0, 5, 200] == value


def test_paddlex_3_multiplies_and_adds_factors_made_in_float64():
    image = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, axis=2).repeat(64, axis=0)
    tensor = detection_input(image, PADDLEX_3.detection)
    alpha, beta = np.float32(1 / 255 / 0.229), np.float32(-0.485 / 0.229)
    assert tensor[0, 0, 5].tolist() == [float(np.float32(level) * alpha + beta) for level in range(256)]
    assert (tensor != detection_input(image, PADDLEX.detection)).any()


def test_tiny_images_are_padded_with_black_first():
    image = np.full((10, 20, 3), 255, np.uint8)
    tensor = detection_input(image, RULES.detection)
    assert tensor.shape == (1, 3, 32, 32)
    assert tensor[0, 0, 31, 31] == (np.float32(0) - np.float32(0.485)) / np.float32(0.229)
    assert tensor[0, 0, 5, 5] == (np.float32(1) - np.float32(0.485)) / np.float32(0.229)


def test_mask_compares_floats_not_bytes():
    prob_map = np.array([[0.3, 0.300001, 0.302, 0.299]], np.float32)
    assert text_mask(prob_map, RULES.db).tolist() == [[0, 1, 1, 0]]


def test_boxes_below_the_score_are_dropped_and_others_grow():
    prob_map = np.zeros((96, 160), np.float32)
    prob_map[20:40, 20:120] = 0.9
    prob_map[60:80, 20:120] = 0.5
    boxes, scores = boxes_from_map(prob_map, 320, 192, RULES.db)
    assert len(boxes) == 1
    assert scores[0] == pytest.approx(0.9, abs=1e-6)
    # 99 x 19 px rectangle grown by 99 * 19 * 1.5 / 236 = 11.96 px, then scaled by two
    assert boxes[0, 0].tolist() == [16, 16]
    assert boxes[0, 2].tolist() == [262, 102]


@given(st.floats(20, 600), st.floats(20, 600), st.floats(8, 300), st.floats(8, 100), st.floats(-1.5, 1.5))
def test_area_and_perimeter_are_those_of_the_rectangle(cx, cy, w, h, angle):
    corners = cv2.boxPoints(((cx, cy), (w, h), np.degrees(angle)))
    assert polygon_area(corners) == pytest.approx(w * h, rel=1e-3)
    assert polygon_perimeter(corners) == pytest.approx(2 * (w + h), rel=1e-3)


def test_unclip_is_clippers_round_offset():
    quad = _quad(10, 10, 110, 40)
    distance = 100 * 30 * 1.5 / 260
    offset = pyclipper.PyclipperOffset()
    offset.AddPath(quad, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    assert unclip(quad, RULES.db).tolist() == offset.Execute(distance)[0]


def test_paddlex_3_takes_the_distance_from_opencvs_contour():
    """A rectangle of the detector's, and the point that the last bit of the distance moves."""
    case = offset_case(11, 3000, PADDLEX_3)
    changed = 0
    for quad in case.inputs["quads"]:
        distance = cv2.contourArea(quad) * 1.5 / cv2.arcLength(quad, True)
        offset = pyclipper.PyclipperOffset()
        offset.AddPath(quad, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
        grown = unclip(quad, PADDLEX_3.db)
        assert grown.tolist() == offset.Execute(distance)[0]
        changed += grown.tolist() != unclip(quad, replace(PADDLEX_3.db, unclip_distance="shoelace")).tolist()
    assert changed > 0


def test_paddlex_3_scales_a_coordinate_by_one_factor_in_float64():
    values = np.arange(0, 97, dtype=np.float32)
    answer = scaled(values, 96, 1584, PADDLEX_3.db)
    assert answer.tolist() == [round(float(value) * 16.5) for value in values]  # every second one is a tie
    assert answer.tolist() != scaled(values, 96, 1584, PADDLEX.db).tolist()


def test_min_area_quad_starts_at_the_top_left():
    points = np.array([[[50, 10]], [[10, 10]], [[10, 30]], [[50, 30]]], np.int32)
    quad, short_side = min_area_quad(points)
    assert quad.tolist() == [[10, 10], [50, 10], [50, 30], [10, 30]]
    assert short_side == 20


def test_clockwise_order_of_a_turned_box():
    quad = np.array([[100, 60], [10, 50], [12, 20], [102, 30]], np.float32)
    assert order_clockwise(quad).tolist() == [[12, 20], [102, 30], [100, 60], [10, 50]]


def test_small_boxes_are_dropped_and_edges_clipped_to_the_last_pixel():
    boxes = np.stack([_quad(0, 0, 3, 50), _quad(0, 0, 200, 50), _quad(0, 10, 4, 14)])
    tidy, scores = tidy_boxes(boxes, np.array([0.7, 0.8, 0.9]), 50, 100, RULES.boxes)
    assert tidy.tolist() == [_quad(0, 0, 99, 49).tolist(), _quad(0, 10, 4, 14).tolist()]
    assert scores.tolist() == [0.8, 0.9]


def test_paddlex_keeps_small_boxes_and_clips_to_the_size():
    tidy, _ = tidy_boxes(np.stack([_quad(0, 0, 200, 2)]), np.array([0.8]), 50, 100, PADDLEX.boxes)
    assert tidy[0].tolist() == _quad(0, 0, 100, 2).tolist()


def test_reading_order_joins_rows_within_ten_pixels():
    quads = [_quad(200, 12, 250, 30), _quad(10, 20, 60, 40), _quad(100, 15, 150, 33), _quad(5, 60, 50, 80)]
    assert reading_order(quads, RULES.boxes) == [1, 2, 0, 3]


def test_a_row_sort_that_keeps_the_first_box_never_moves_it():
    quads = [_quad(200, 12, 250, 30), _quad(10, 20, 60, 40), _quad(100, 15, 150, 33), _quad(5, 60, 50, 80)]
    assert reading_order(quads, replace(RULES.boxes, row_sort="keep_first")) == [0, 1, 2, 3]


def test_a_tall_crop_is_turned_counter_clockwise():
    image = np.zeros((100, 100, 3), np.uint8)
    image[20:80, 40:60] = 50
    image[20:30, 40:60] = 200  # the top of the column ...
    line = crop_line(image, _quad(40, 20, 60, 80), RULES.crop)
    assert line.shape == (20, 60, 3)
    assert line[10, 5, 0] == 200  # ... becomes the left of the line


@pytest.mark.parametrize("quad", [_quad(5, 3, 30, 3), _quad(7, 2, 7, 9), _quad(4, 4, 4, 4)])
def test_a_line_without_area_is_the_first_pixel_in_paddlex_3(quad):
    """What OpenCV makes of a size of zero; only images of a few pixels have such lines."""
    image = np.random.default_rng(1).integers(0, 256, (20, 50, 3), dtype=np.uint8)
    line = crop_line(image, quad, PADDLEX_3.crop)
    matrix = cv2.getPerspectiveTransform(quad, np.zeros((4, 2), np.float32))
    server = cv2.warpPerspective(image, matrix, (0, 0), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    assert line.shape == image.shape
    assert np.array_equal(line, server)
    assert (line == image[0, 0]).all()
    assert min(crop_line(image, quad, PADDLEX.crop).shape[:2]) == 1


def test_a_crop_beyond_the_image_repeats_the_border():
    image = np.full((40, 40, 3), 77, np.uint8)
    line = crop_line(image, _quad(20, 10, 60, 30), RULES.crop)
    assert (line == 77).all()


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(48, 100, 320), (48, 320, 320), (32, 400, 600), (20, 30000, 3200), (48, 321, 321)]
)
def test_recognition_width_is_at_least_320_and_bounded(height, width, expected):
    assert recognition_width(height, width, RULES.recognition) == expected


def test_recognition_pads_with_zero_after_normalising():
    line = np.full((48, 100, 3), 255, np.uint8)
    tensor = recognition_input(line, RULES.recognition)
    assert tensor.shape == (1, 3, 48, 320)
    assert (tensor[..., :100] == 1.0).all()
    assert (tensor[..., 100:] == 0.0).all()


def test_ctc_collapses_repeats_and_drops_blanks():
    steps = np.full((1, 7, 4), 0.01, np.float32)
    for step, (best, value) in enumerate([(1, 0.9), (1, 0.8), (0, 0.9), (1, 0.7), (3, 0.6), (0, 0.9), (0, 0.9)]):
        steps[0, step, best] = value
    text, score = ctc_decode(steps, ("a", "b", " "), RULES.ctc)
    assert text == "aa "
    assert score == pytest.approx((0.9 + 0.7 + 0.6) / 3)


def test_an_empty_line_scores_zero_not_nan():
    steps = np.zeros((1, 5, 4), np.float32)
    steps[..., 0] = 1
    assert ctc_decode(steps, ("a", "b", " "), RULES.ctc) == ("", 0.0)


def test_a_dictionary_of_the_wrong_length_is_an_error_with_both_numbers():
    with pytest.raises(KitError, match=r"5 classes.*makes 4"):
        ctc_decode(np.zeros((1, 5, 5), np.float32), ("a", "b", " "), RULES.ctc)


def test_characters_keep_odd_ones_and_end_with_a_space(tmp_path):
    path = tmp_path / "dict.txt"
    path.write_text("a\n　\n\u2028\nb\n", encoding="utf-8")
    assert load_characters(path, RULES.ctc) == ("a", "　", "\u2028", "b", " ")


def test_the_classifier_turns_a_line_only_when_sure():
    line = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert (turn_line(line, np.array([[0.05, 0.95]], np.float32), RULES.classifier) == line[::-1, ::-1]).all()
    assert (turn_line(line, np.array([[0.2, 0.8]], np.float32), RULES.classifier) == line).all()


def test_a_line_in_an_image_beyond_the_warps_reach_is_refused():
    quad = np.array([[0, 0], [60, 0], [60, 20], [0, 20]], np.float32)
    assert crop_line(np.zeros((40, 32766, 3), np.uint8), quad, RULES.crop).shape == (20, 60, 3)
    with pytest.raises(KitError, match="32767 x 40 pixels"):
        crop_line(np.zeros((40, 32767, 3), np.uint8), quad, RULES.crop)


def test_a_negative_zero_is_clipped_to_a_positive_one():
    """As NumPy 1 did and NumPy 2 does not: the app's core is compared by bits."""
    found = clipped(np.array([-0.0, -3.0, 2.5, 7.0, np.nan], np.float32), 5)
    assert found.dtype == np.float32
    assert not np.signbit(found[:2]).any()
    np.testing.assert_array_equal(found, np.array([0, 0, 2.5, 5, np.nan], np.float32))
