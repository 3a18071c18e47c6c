from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_kit.verify.metrics import (
    BoxAgreement,
    MaskFlips,
    MetricError,
    Span,
    StepFlips,
    TensorDifference,
    TextAgreement,
    align_texts,
    box_agreement,
    edit_distance,
    mask_flips,
    match_boxes,
    quad_iou,
    step_flips,
    tensor_difference,
    text_agreement,
)

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32)
HALF_OVER = SQUARE + np.array([5, 0], np.float32)
FLAT = np.array([[0, 0], [5, 5], [10, 10], [2, 2]], np.float32)

numbers = st.floats(width=32, allow_nan=True, allow_infinity=True)
tensors = st.lists(numbers, max_size=40).map(lambda v: np.array(v, np.float32))
small_quads = st.lists(st.tuples(st.integers(-40, 40), st.integers(-40, 40)), min_size=4, max_size=4).map(np.array)
short_texts = st.text(alphabet="abc 期则", max_size=8)


def rectangle(x: float, y: float, width: float, height: float) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])


rectangles = st.builds(rectangle, st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 60), st.integers(1, 60))


# --- tensors ---------------------------------------------------------------------------------------------------


def test_tensor_difference_of_known_values():
    d = tensor_difference(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.5], [2.0, 4.0]]))
    assert d == TensorDifference(values=4, finite=4, largest=1.0, total=1.5)
    assert (d.max_abs, d.mean_abs, d.non_finite) == (1.0, 0.375, 0.0)


def test_non_finite_values_are_counted_on_each_side_and_never_hidden():
    a = np.array([1, np.nan, np.inf, 4, 5], np.float32)
    b = np.array([1.5, 2, np.inf, np.nan, 5], np.float32)
    d = tensor_difference(a, b)
    assert (d.reference_non_finite, d.candidate_non_finite, d.non_finite) == (2, 2, 3.0)
    assert (d.finite, d.max_abs, d.mean_abs) == (2, 0.5, 0.25)


def test_a_tensor_without_a_finite_pair_has_no_largest_difference():
    d = tensor_difference(np.array([np.nan, 1.0]), np.array([1.0, np.inf]))
    assert math.isnan(d.max_abs)
    assert math.isnan(d.mean_abs)
    assert d.non_finite == 2.0


def test_nothing_compared_is_nan_and_not_zero():
    nothing = TensorDifference()
    assert math.isnan(nothing.max_abs)
    assert math.isnan(nothing.mean_abs)
    assert math.isnan(nothing.non_finite)


def test_float32_values_are_subtracted_in_float64():
    a = np.array([np.finfo(np.float32).max], np.float32)
    assert tensor_difference(a, -a).max_abs == 2 * float(np.finfo(np.float32).max)


@given(tensors, st.integers(0, 40))
def test_tensor_difference_adds_up_over_parts(values, cut):
    other = np.roll(values, 1)
    complete = tensor_difference(values, other)
    parts = tensor_difference(values[:cut], other[:cut]) + tensor_difference(values[cut:], other[cut:])
    assert parts.total == pytest.approx(complete.total)
    assert (parts.values, parts.finite, parts.largest) == (complete.values, complete.finite, complete.largest)
    assert parts.reference_non_finite == complete.reference_non_finite == complete.candidate_non_finite


@given(tensors)
def test_a_tensor_differs_from_itself_by_its_non_finite_values_only(values):
    d = tensor_difference(values, values)
    assert d.largest == d.total == 0.0
    assert d.values - d.finite == int(np.sum(~np.isfinite(values)))


@pytest.mark.parametrize("compare", [tensor_difference, step_flips, lambda a, b: mask_flips(a, b, 0.3)])
def test_tensors_of_different_shapes_are_refused_with_both_shapes(compare):
    with pytest.raises(MetricError, match=r"\[2, 3\] and \[3, 2\]"):
        compare(np.zeros((2, 3)), np.zeros((3, 2)))


# --- masks and steps -------------------------------------------------------------------------------------------


def test_mask_flips_of_known_values():
    m = mask_flips(np.array([0.2, 0.31, 0.9, 0.3]), np.array([0.4, 0.29, 0.8, 0.3]), 0.3)
    assert m == MaskFlips(pixels=4, reference_mask=2, candidate_mask=2, flips=2)
    assert m.share == pytest.approx(2 / 3)


def test_the_mask_threshold_is_compared_as_float32():
    exactly = np.array([np.float32(0.3)])
    above = np.array([np.nextafter(np.float32(0.3), np.float32(1))])
    assert mask_flips(exactly, exactly, 0.3).reference_mask == 0
    assert mask_flips(exactly, above, 0.3).flips == 1


def test_nan_is_not_text():
    m = mask_flips(np.array([0.9, 0.9]), np.array([np.nan, 0.9], np.float64), 0.3)
    assert (m.candidate_mask, m.flips, m.share) == (1, 1, 0.5)


def test_two_empty_masks_have_no_flips_but_no_pixels_prove_nothing():
    assert mask_flips(np.zeros(4), np.zeros(4), 0.3).share == 0.0
    assert math.isnan(MaskFlips().share)
    assert math.isnan(MaskFlips().count)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_mask_flip_share_is_one_minus_the_iou_of_the_masks(pixels):
    a, b = (np.array(side, np.float32) for side in zip(*pixels, strict=True))
    either = sum(x or y for x, y in pixels)
    both = sum(x and y for x, y in pixels)
    assert mask_flips(a, b, 0.3).share == pytest.approx(1 - both / either if either else 0.0)


def test_step_flips_look_at_the_best_class_of_each_step():
    a = np.array([[[0.9, 0.1], [0.2, 0.8], [0.5, 0.4]]])
    b = np.array([[[0.6, 0.4], [0.7, 0.3], [0.4, 0.5]]])
    assert step_flips(a, b) == StepFlips(steps=3, flips=2)
    assert math.isnan(StepFlips().share)


def test_steps_without_classes_are_refused():
    with pytest.raises(MetricError, match="classes"):
        step_flips(np.zeros((3, 0)), np.zeros((3, 0)))


# --- boxes -----------------------------------------------------------------------------------------------------


def test_iou_of_known_squares():
    assert quad_iou(SQUARE, HALF_OVER) == pytest.approx(50 / 150)
    assert quad_iou(SQUARE, SQUARE + 10) == 0.0
    assert quad_iou(SQUARE, SQUARE * 0.5) == pytest.approx(0.25)


def test_iou_of_a_square_and_itself_turned_by_45_degrees():
    middle, radius = 5.0, 5.0 * math.sqrt(2)
    turned = np.array(
        [[middle, middle - radius], [middle + radius, middle], [middle, middle + radius], [middle - radius, middle]]
    )
    common = 100 * 2 * (math.sqrt(2) - 1)
    assert quad_iou(SQUARE, turned) == pytest.approx(common / (200 - common))


def test_a_quad_without_area_matches_only_the_same_points():
    assert quad_iou(FLAT, FLAT) == 1.0
    assert quad_iou(FLAT, FLAT[::-1]) == 1.0
    assert quad_iou(FLAT, SQUARE) == 0.0
    assert quad_iou(np.zeros((4, 2)), np.zeros((4, 2))) == 1.0
    assert quad_iou(np.zeros((4, 2)), np.ones((4, 2))) == 0.0


def test_a_twisted_quad_and_one_with_a_doubled_corner_count_as_their_hull():
    bow_tie = SQUARE[[0, 2, 1, 3]]
    assert quad_iou(SQUARE, bow_tie) == 1.0
    doubled = SQUARE[[0, 1, 2, 2]]
    assert quad_iou(SQUARE, doubled) == pytest.approx(0.5)


def test_corners_that_are_no_numbers_are_refused():
    with pytest.raises(MetricError, match="not finite"):
        quad_iou(SQUARE, np.full((4, 2), np.nan))


def test_iou_far_from_the_origin_keeps_its_digits():
    far = np.array([30_000.0, 30_000.0])
    a, b = rectangle(0, 0, 20, 8), rectangle(3, 1, 20, 8)
    assert quad_iou(a + far, b + far) == pytest.approx(17 * 7 / (320 - 17 * 7), abs=1e-12)


@given(rectangles, rectangles)
def test_iou_of_upright_rectangles_is_the_closed_form(a, b):
    wide = max(0, min(a[2, 0], b[2, 0]) - max(a[0, 0], b[0, 0]))
    high = max(0, min(a[2, 1], b[2, 1]) - max(a[0, 1], b[0, 1]))
    sides = [np.prod(r[2] - r[0]) for r in (a, b)]
    assert quad_iou(a, b) == pytest.approx(wide * high / (sum(sides) - wide * high))


@given(small_quads, small_quads)
def test_iou_equals_opencv_on_convex_quads(a, b):
    hulls = [cv2.convexHull(q.astype(np.float32)) for q in (a, b)]
    areas = [cv2.contourArea(h) for h in hulls]
    if min(areas) < 1.0:
        return
    common = cv2.intersectConvexConvex(*hulls)[0]
    assert quad_iou(a, b) == pytest.approx(common / (sum(areas) - common), abs=2e-3)


@given(small_quads, small_quads, st.permutations(range(4)))
def test_iou_is_symmetric_bounded_and_blind_to_the_order_of_corners(a, b, order):
    iou = quad_iou(a, b)
    assert 0.0 <= iou <= 1.0
    assert quad_iou(b, a) == pytest.approx(iou, abs=1e-9)
    assert quad_iou(a[list(order)], b) == iou
    assert quad_iou(a, a) == 1.0


def test_matching_pairs_the_best_boxes_and_names_the_rest():
    reference = np.array([SQUARE, SQUARE + 100, SQUARE + 200])
    candidate = np.array([SQUARE + 201, SQUARE, SQUARE + 400])
    matching = match_boxes(reference, candidate)
    assert [(p.reference, p.candidate) for p in matching.pairs] == [(0, 1), (2, 0)]
    assert (matching.missed, matching.extra) == ((1,), (2,))
    assert matching.pairs[0].iou == 1.0
    assert matching.pairs[1].iou == pytest.approx(81 / 119)
    assert matching.pairs[1].shift == pytest.approx(math.sqrt(2))


def test_the_better_overlap_wins_over_the_earlier_index():
    higher, highest = rectangle(0, 1, 10, 10), rectangle(0, 3, 10, 10)
    reference, candidate = np.array([SQUARE, highest]), np.array([highest, higher])
    assert [(p.reference, p.candidate) for p in match_boxes(reference, candidate).pairs] == [(0, 1), (1, 0)]


def test_boxes_below_the_limit_do_not_pair():
    lists = np.array([SQUARE]), np.array([HALF_OVER])
    assert match_boxes(*lists).pairs == ()
    assert len(match_boxes(*lists, min_iou=0.3).pairs) == 1


def test_equal_boxes_pair_in_the_order_of_their_indices():
    twins = np.array([SQUARE, SQUARE, SQUARE])
    assert [(p.reference, p.candidate) for p in match_boxes(twins, twins).pairs] == [(0, 0), (1, 1), (2, 2)]


def test_empty_lists_match():
    nothing = np.zeros((0, 4, 2))
    assert match_boxes(nothing, nothing).pairs == ()
    assert match_boxes(np.array([SQUARE]), np.array([])).missed == (0,)
    assert match_boxes(nothing, np.array([SQUARE])).extra == (0,)


def test_boxes_of_another_shape_are_refused():
    with pytest.raises(MetricError, match=r"\[n, 4, 2\]; got \[4, 2\]"):
        match_boxes(SQUARE, SQUARE)


@given(st.lists(rectangles, max_size=6), st.lists(rectangles, max_size=6))
def test_matching_uses_every_box_at_most_once_and_loses_none(a, b):
    matching = match_boxes(np.array(a), np.array(b))
    used = [p.candidate for p in matching.pairs]
    assert sorted(used + list(matching.extra)) == list(range(len(b)))
    assert sorted([p.reference for p in matching.pairs] + list(matching.missed)) == list(range(len(a)))
    assert all(p.iou >= 0.5 for p in matching.pairs)


@given(st.lists(rectangles, min_size=1, max_size=6))
def test_a_list_agrees_wholly_with_itself(boxes):
    agreement = box_agreement(match_boxes(np.array(boxes), np.array(boxes)))
    assert agreement.identical_share == agreement.matched_share == agreement.mean_iou == 1.0
    assert agreement.max_shift == 0.0


def test_box_agreement_counts_missed_and_extra_boxes():
    reference = np.array([SQUARE, SQUARE + 100])
    candidate = np.array([SQUARE, SQUARE + 50, SQUARE + 101])
    agreement = box_agreement(match_boxes(reference, candidate))
    assert (agreement.matched, agreement.missed, agreement.extra, agreement.identical) == (2, 0, 1, 1)
    assert agreement.identical_share == pytest.approx(1 / 3)
    assert agreement.matched_share == pytest.approx(2 / 3)
    assert agreement.mean_iou == pytest.approx((1 + 81 / 119) / 3)
    assert agreement.max_shift == pytest.approx(math.sqrt(2))


def test_the_same_box_with_another_first_corner_is_not_identical():
    agreement = box_agreement(match_boxes(np.array([SQUARE]), np.array([np.roll(SQUARE, 1, axis=0)])))
    assert (agreement.identical, agreement.mean_iou) == (0, 1.0)


def test_no_boxes_prove_nothing():
    nothing = BoxAgreement()
    assert all(math.isnan(v) for v in (nothing.identical_share, nothing.matched_share, nothing.mean_iou))


# --- texts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("", "", 0),
        ("abc", "", 3),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("flaw", "lawn", 2),
        ("参期士醒肤活力", "参则士醒肤活力", 1),
        ("DRPLANT", "DR PLANT", 1),
        ("aa", "aaaa", 2),
        ("𠮷野家", "吉野家", 1),
    ],
)
def test_edit_distance_of_known_words(a, b, distance):
    assert edit_distance(a, b) == distance


@given(short_texts, short_texts, short_texts)
def test_edit_distance_is_a_metric(a, b, c):
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))


def test_text_agreement_of_known_lines():
    boxes = np.array([SQUARE, SQUARE + 100, SQUARE + 200])
    others = np.array([SQUARE, SQUARE + 100, SQUARE + 300])
    agreement = text_agreement(["one", "two", "three"], ["one", "tvo", "four"], match_boxes(boxes, others))
    # "three" is missed (5 edits), "four" is extra (4 edits), "two" has 1.
    assert agreement == TextAgreement(lines=4, equal=1, characters=11, edits=10)
    assert agreement.equal_share == 0.25
    assert agreement.character_accuracy == pytest.approx(1 - 10 / 11)


def test_texts_follow_their_boxes_and_not_their_place_in_the_list():
    boxes = np.array([SQUARE, SQUARE + 100])
    agreement = text_agreement(["one", "two"], ["two", "one"], match_boxes(boxes, boxes[::-1]))
    assert agreement.equal_share == 1.0


def test_an_extra_empty_line_is_not_equal():
    boxes = np.array([SQUARE])
    agreement = text_agreement([], [""], match_boxes(np.zeros((0, 4, 2)), boxes))
    assert (agreement.lines, agreement.equal) == (1, 0)


def test_character_accuracy_is_micro_averaged_and_not_below_zero():
    long_line, short_line = TextAgreement(1, 1, 99, 0), TextAgreement(1, 0, 1, 1)
    assert (long_line + short_line).character_accuracy == 0.99
    assert TextAgreement(lines=1, equal=0, characters=2, edits=9).character_accuracy == 0.0


def test_no_characters_prove_nothing_but_invented_ones_are_wrong():
    assert math.isnan(TextAgreement().character_accuracy)
    assert math.isnan(TextAgreement().equal_share)
    assert TextAgreement(lines=1, equal=0, characters=0, edits=3).character_accuracy == 0.0


def test_texts_are_compared_code_point_by_code_point():
    boxes = np.array([SQUARE])
    composed, decomposed = "\u00e9", "e\u0301"
    assert text_agreement([composed], [decomposed], match_boxes(boxes, boxes)).equal == 0


def test_alignment_of_known_texts():
    assert align_texts("参期士", "参则士") == (
        Span("equal", "参", "参"),
        Span("different", "期", "则"),
        Span("equal", "士", "士"),
    )
    assert align_texts("DRPLANT", "DR PLANT") == (
        Span("equal", "DR", "DR"),
        Span("different", "", " "),
        Span("equal", "PLANT", "PLANT"),
    )
    assert align_texts("", "") == ()
    assert align_texts("same", "same") == (Span("equal", "same", "same"),)


@given(short_texts, short_texts)
def test_alignment_holds_both_texts_and_costs_the_edit_distance(a, b):
    spans = align_texts(a, b)
    assert "".join(s.reference for s in spans) == a
    assert "".join(s.candidate for s in spans) == b
    assert all((s.kind == "equal") == (s.reference == s.candidate) for s in spans)
    assert all(x.kind != y.kind for x, y in pairwise(spans))
    assert sum(max(len(s.reference), len(s.candidate)) for s in spans if s.kind == "different") <= edit_distance(a, b)
