"""The price list of the demos' mistakes: what is counted, on hand-made answers and on real images."""

import json
import math

import cv2
import numpy as np
import pytest

from edge_kit.api import create_pipeline
from edge_kit.engines.base import EngineError
from edge_kit.ocr.image import read_image
from edge_kit.ocr.pipeline import Runs
from edge_kit.ocr.result import OcrResult
from edge_kit.verify.regression import RegressionImage, TruthLine, regression_set
from labs.legacy.report import Cost, RunMemory, by_height, comparable, cost_of, legacy_report
from labs.legacy.rules import load_legacy

SPEC = load_legacy()


def _box(x, y, width=100, height=20):
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


def _result(boxes, texts, scores=None):
    polys = np.array(boxes, np.int32).reshape(-1, 4, 2)
    scores = scores or (0.9,) * len(texts)
    return OcrResult(None, polys, (0.9,) * len(texts), tuple(texts), tuple(scores), {}, np.zeros((1, 1, 3), np.uint8))


def _image(truth=None):
    return RegressionImage("page.png", None, truth)


REFERENCE = _result([_box(0, 0), _box(0, 40), _box(0, 80)], ["one", "two", "three"])


def test_the_same_answer_costs_nothing():
    cost = cost_of(_image(), REFERENCE, REFERENCE, SPEC)
    assert (cost.changed, cost.reordered, cost.moved, cost.other_texts, cost.score_loss) == ((), (), 0, 0, 0.0)
    assert (cost.boxes.matched, cost.boxes.missed, cost.boxes.extra, cost.texts.character_accuracy) == (3, 0, 0, 1.0)
    assert math.isnan(cost.moved_iou)


def test_each_kind_of_change_is_counted_once():
    answer = _result([_box(0, 44), _box(0, 0), _box(0, 200)], ["tvo", "one", ""], (0.6, 0.9, math.nan))
    cost = cost_of(_image(), REFERENCE, answer, SPEC)
    assert cost.changed == cost.reordered == ("page.png",)
    assert (cost.boxes.matched, cost.boxes.missed, cost.boxes.extra, cost.moved) == (2, 1, 1, 1)
    assert cost.moved_iou == pytest.approx(16 / 24)
    assert (cost.other_texts, cost.nan_scores) == (1, 1)
    assert cost.score_loss == pytest.approx(0.3)
    assert cost.texts.character_accuracy == pytest.approx(1 - (1 + 5) / 11)


def test_a_wider_box_is_another_box_and_the_same_line():
    answer = _result([_box(-20, -15, 140, 50), _box(0, 40), _box(0, 80)], ["one", "two", "three"])
    cost = cost_of(_image(), REFERENCE, answer, SPEC)
    assert (cost.boxes.missed, cost.boxes.extra) == (1, 1)
    assert cost.texts.character_accuracy == 1.0


def test_a_blank_is_a_character_and_no_letter():
    answer = _result([_box(0, 0), _box(0, 40), _box(0, 80)], ["one", "t wo", "three"])
    cost = cost_of(_image(), REFERENCE, answer, SPEC)
    assert cost.other_texts == 1
    assert cost.texts.character_accuracy == pytest.approx(10 / 11)
    assert cost.letters.character_accuracy == 1.0


def test_truth_is_compared_without_blanks_and_in_half_width():
    truth = (TruthLine("１２ ３ａ", tuple(map(tuple, _box(2, 2)))),)
    cost = cost_of(_image(truth), REFERENCE, _result([_box(0, 0)], ["12 3b"]), SPEC)
    assert comparable("１２ ３ａ") == "123a"
    assert cost.truth.character_accuracy == 0.75
    assert math.isnan(cost_of(_image(), REFERENCE, REFERENCE, SPEC).truth.character_accuracy)


def test_costs_add_up_and_become_json():
    one = cost_of(_image(), REFERENCE, _result([_box(0, 4)], ["one"], (0.7,)), SPEC)
    total = Cost() + one + cost_of(_image(), REFERENCE, REFERENCE, SPEC)
    assert (total.images, total.boxes.matched, total.boxes.missed, total.moved) == (2, 4, 2, 1)
    assert total.score_loss == pytest.approx(0.2)
    document = json.loads(json.dumps(total.to_dict(), allow_nan=False))
    assert (document["boxes"], document["boxes_missed"], document["truth_character_accuracy"]) == (6, 2, None)


def test_an_input_seen_before_is_not_run_again_until_forgotten():
    calls = []

    def run(x):
        calls.append(x.shape)
        return x * 2

    memory = RunMemory()
    runs = memory.over(Runs(run, (run, run)))
    x, y = np.ones((1, 3, 2, 2), np.float32), np.ones((1, 3, 1, 4), np.float32)
    assert (runs.detect(x) == runs.detect(x.copy())).all()
    assert len(calls) == 1
    runs.recognise[0](x)
    runs.recognise[1](x)
    assert len(calls) == 2  # another model, whichever session of it
    runs.detect(y)
    assert len(calls) == 3  # the same bytes in another shape
    memory.forget()
    runs.detect(x)
    assert len(calls) == 4


def test_lines_of_another_height_go_to_the_engine_that_takes_them():
    run = by_height(lambda _: "own", 48, lambda _: "other")
    assert [run(np.zeros((1, 3, height, 8), np.float32)) for height in (48, 32)] == ["own", "other"]


def test_a_mistake_that_a_model_refuses_is_reported_and_the_others_go_on(tmp_path):
    cv2.imwrite(str(tmp_path / "page.png"), np.zeros((96, 320, 3), np.uint8))
    page = np.zeros((1, 1, 96, 320), np.float32)
    page[0, 0, 30:60, 40:280] = 0.9

    def letters(x):
        if x.shape[2] != 48:
            raise EngineError(f"no lines {x.shape[2]} high")
        steps = np.zeros((1, 4, 3), np.float32)
        steps[0, :, 1] = 1.0
        return steps

    images = [RegressionImage("page.png", tmp_path / "page.png", None)]
    steps = []
    runs = Runs(lambda x: np.resize(page, (1, 1, *x.shape[2:])), (letters,))
    report = legacy_report(SPEC, runs, ("a", " "), images, lambda *step: steps.append(step))
    refused = {p.name for p, cost in report.rows if cost.refused}
    assert refused == {"legacy-line-height", "legacy-demo-lite-32"}
    assert report.reasons == ("no lines 32 high",)
    assert next(c for p, c in report.rows if p.name == "legacy-line-height").boxes.missed == 1
    assert (report.base.boxes.matched, report.base.changed, steps) == (1, (), [(0.0, "page.png")])


@pytest.mark.integration
@pytest.mark.xdist_group("onnx")
def test_the_report_shows_on_real_images_what_single_pictures_teach():
    wanted = {"receipt.png", "turned_28.png", "low_contrast.png"}
    images = [image for image in regression_set() if image.name in wanted]
    with create_pipeline("ocr", engine="onnx") as pipeline:
        height = SPEC.base.recognition.height
        other = Runs(
            pipeline.ocr.runs.detect,
            tuple(by_height(run, height, _refuse) for run in pipeline.ocr.runs.recognise),
        )
        report = legacy_report(SPEC, other, pipeline.ocr.characters, images, lambda *_: None)
        direct = [pipeline.ocr.read(read_image(image.path)) for image in images]
    cost = {profile.name: cost for profile, cost in report.rows}
    assert report.base.boxes.identical == sum(len(result.rec_texts) for result in direct)
    assert report.base.changed == ()
    assert "receipt.png" in cost["legacy-contour-order"].reordered
    assert cost["legacy-contour-order"].texts.character_accuracy == 1.0
    assert "low_contrast.png" in cost["legacy-mask-unscaled"].changed
    assert "turned_28.png" in cost["legacy-warp-flags"].changed
    assert set(cost["legacy-unclip-2.0"].changed) == wanted
    assert cost["legacy-mask-bytes"].changed == ()


def _refuse(x):
    raise EngineError(f"no lines {x.shape[2]} high")
