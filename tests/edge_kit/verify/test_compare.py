from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from edge_kit.verify.compare import CompareError, ImageRun, Measures, compare_runs, json_number

BOX = np.array([[10, 10], [60, 10], [60, 30], [10, 30]], np.int32)
DOWN = np.array([0, 40])


def run(name="a.png", **changes) -> ImageRun:
    prob = np.zeros((8, 8), np.float32)
    prob[2:4, 1:6] = 0.9
    logits = np.zeros((1, 3, 4), np.float32)
    logits[0, :, 1] = 0.7
    complete = ImageRun(
        name=name,
        image_path=f"/somewhere/{name}",
        prob_map=prob,
        dt_polys=np.array([BOX, BOX + DOWN]),
        dt_scores=[0.9, 0.8],
        rec_texts=["hello", "世界"],
        rec_scores=[0.99, 0.95],
        rec_logits=[logits, logits],
    )
    return dataclasses.replace(complete, **changes)


def compare(reference, candidate):
    return compare_runs(reference, candidate, mask_threshold=0.3)


def test_equal_runs_agree_wholly():
    comparison = compare([run(), run("b.png")], [run(), run("b.png")])
    metrics = comparison.total.metrics()
    shares = ("boxes_identical", "boxes_matched", "box_mean_iou", "texts_equal", "character_accuracy")
    assert all(metrics[name] == 1.0 for name in shares)
    assert all(value == 0.0 for name, value in metrics.items() if name not in shares)


def test_totals_are_the_sum_of_the_rows():
    prob = run().prob_map.copy()
    prob[0, 0], prob[2, 1] = 0.5, np.nan
    other = run(prob_map=prob, rec_texts=["hallo", "世界"], rec_scores=[0.9, 0.95])
    comparison = compare([run(), run("b.png")], [other, run("b.png")])
    first, second = (image.measures for image in comparison.images)
    assert first + second == comparison.total
    m = comparison.total.metrics()
    assert m["det_max_abs"] == 0.5
    assert m["det_non_finite"] == 1.0
    assert m["det_mask_flips"] == 2.0
    assert m["det_mask_flip_share"] == pytest.approx(2 / 21)
    assert m["texts_equal"] == 0.75
    assert m["character_accuracy"] == pytest.approx(1 - 1 / 14)
    assert m["rec_score_max_abs"] == pytest.approx(0.09)
    assert second.metrics()["texts_equal"] == 1.0


def test_recognisers_are_compared_on_the_same_lines_whatever_the_boxes_are():
    lost = run(dt_polys=np.array([BOX]), dt_scores=[0.9], rec_texts=["hello"], rec_scores=[0.99])
    m = compare([run()], [lost]).total.metrics()
    assert m["rec_max_abs"] == 0.0
    assert m["rec_step_flip_share"] == 0.0
    assert m["boxes_matched"] == 0.5
    assert m["texts_equal"] == 0.5


def test_a_nan_of_the_recogniser_is_counted():
    broken = [np.full((1, 3, 4), np.nan, np.float32), run().rec_logits[1]]
    comparison = compare([run()], [run(rec_logits=broken)])
    assert comparison.total.metrics()["rec_non_finite"] == 12.0
    assert comparison.to_dict()["counts"]["rec_candidate_non_finite"] == 12


def test_a_run_without_tensors_measures_none_of_them():
    bare = run(prob_map=None, rec_logits=None)
    m = compare([bare], [bare]).total.metrics()
    assert math.isnan(m["det_max_abs"])
    assert math.isnan(m["det_mask_flips"])
    assert math.isnan(m["rec_max_abs"])
    assert m["texts_equal"] == 1.0


def test_pages_without_text_prove_nothing_about_text():
    empty = run(dt_polys=np.zeros((0, 4, 2)), dt_scores=[], rec_texts=[], rec_scores=[], rec_logits=[])
    m = compare([empty], [empty]).total.metrics()
    assert all(math.isnan(m[name]) for name in ("texts_equal", "boxes_identical", "rec_max_abs"))
    assert m["det_max_abs"] == 0.0


def test_images_come_worst_first_and_ties_by_name():
    worse, reference = [], []
    for name, changes in {
        "d_same.png": {},
        "c_score.png": {"rec_scores": [0.5, 0.95]},
        "b_box.png": {"dt_polys": np.array([BOX, BOX + DOWN + 1])},
        "a_text.png": {"rec_texts": ["hallo", "世界"]},
        "e_nan.png": {"prob_map": np.full((8, 8), np.nan, np.float32)},
    }.items():
        reference.append(run(name))
        worse.append(run(name, **changes))
    comparison = compare(reference, worse)
    order = ["e_nan.png", "a_text.png", "b_box.png", "c_score.png", "d_same.png"]
    assert [image.name for image in comparison.worst_first] == order
    assert comparison.to_dict()["worst_first"] == order
    assert [image.name for image in comparison.images] == [r.name for r in reference]


def test_the_same_runs_give_the_same_json_wherever_the_images_lie():
    moved = run(image_path="/elsewhere/a.png")
    first, second = (json.dumps(compare([r], [r]).to_dict(), allow_nan=False) for r in (run(), moved))
    assert first == second


def test_json_holds_null_for_what_was_not_measured():
    bare = run(prob_map=None, rec_logits=None)
    document = json.loads(json.dumps(compare([bare], [bare]).to_dict(), allow_nan=False))
    assert document["metrics"]["det_max_abs"] is None
    assert document["images"][0]["metrics"]["texts_equal"] == 1.0
    assert document["counts"]["lines_equal"] == 2


def test_json_numbers_keep_six_digits():
    assert json_number(1 / 3) == 0.333333
    assert json_number(123456789.0) == 123457000.0
    assert json_number(math.nan) is None
    assert json_number(-math.inf) is None


def test_no_image_measures_nothing():
    comparison = compare([], [])
    assert comparison.total == Measures()
    assert all(math.isnan(value) for value in comparison.total.metrics().values())


@pytest.mark.parametrize(
    ("candidate", "what"),
    [
        ([run("b.png")], "different images: a.png, b.png"),
        ([], "different images: a.png"),
        ([run(prob_map=None)], "a.png: only one run kept the detector"),
        ([run(prob_map=np.zeros((4, 4), np.float32))], r"a.png: tensors of shapes \[8, 8\] and \[4, 4\]"),
        ([run(rec_logits=None)], "a.png: the recognisers were not run on the same lines: 2 outputs against none"),
        ([run(rec_logits=[np.zeros((1, 3, 4))])], "2 outputs against 1"),
        ([run(rec_logits=[np.zeros((1, 5, 4))] * 2)], r"a.png: tensors of shapes \[1, 3, 4\] and \[1, 5, 4\]"),
        ([run(rec_texts=["hello"])], "dt_polys 2, dt_scores 2, rec_texts 1, rec_scores 2"),
        ([run(dt_polys=np.zeros((2, 4, 3)))], r"a.png: boxes must have the shape \[n, 4, 2\]"),
        ([run(dt_polys=np.full((2, 4, 2), np.nan))], "a.png: a box has corners that are not finite"),
    ],
)
def test_runs_that_do_not_fit_are_refused_with_the_image(candidate, what):
    with pytest.raises(CompareError, match=what) as caught:
        compare([run()], candidate)
    assert caught.value.path == ("/somewhere/a.png" if "different images" not in what else None)


def test_runs_in_another_order_are_refused():
    with pytest.raises(CompareError, match="order"):
        compare([run("a"), run("b")], [run("b"), run("a")])


def test_an_image_twice_is_refused():
    with pytest.raises(CompareError, match="twice"):
        compare([run(), run()], [run(), run()])
