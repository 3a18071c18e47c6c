"""The steps as functions give what the pipeline that composes them gives."""

import math
from dataclasses import replace

import numpy as np
import pytest

from edge_kit.ocr import steps
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.spec import profile

RULES = profile()
CHARACTERS = ("a", "b", " ")
BLANK, A, B = np.eye(4, dtype=np.float32)[[0, 1, 2]]


def detector(x):
    """Find two lines on every page."""
    prob_map = np.zeros((1, 1, *x.shape[2:]), np.float32)
    prob_map[0, 0, 10:30, 10:90] = 0.9
    prob_map[0, 0, 60:74, 20:90] = 0.8
    return prob_map


@pytest.fixture
def page():
    page = np.full((96, 128, 3), 255, np.uint8)
    page[12:28, 14:80] = np.arange(66, dtype=np.uint8)[None, :, None]
    return page


def pipeline(rules=RULES, recognise=lambda x: np.stack([A, BLANK, B])[None], classify=None):
    return OcrPipeline(rules, Runs(detector, (recognise,), classify), CHARACTERS)


def test_detection_alone_finds_the_boxes_of_the_pipeline(page):
    mine, piped = steps.detect(page, detector, RULES), pipeline().detect(page)
    assert mine.dt_polys.shape == (2, 4, 2)
    for name in ("prob_map", "dt_polys", "dt_scores"):
        assert getattr(mine, name).tobytes() == getattr(piped, name).tobytes()


@pytest.mark.parametrize("turned", [False, True])
def test_a_lines_input_is_that_of_the_pipeline_classifier_included(page, turned):
    rules = replace(RULES, classifier=replace(RULES.classifier, enabled=True))

    def classify(x):
        return np.array([[0.0, 1.0] if turned else [1.0, 0.0]], np.float32)

    box = steps.detect(page, detector, rules).dt_polys[0]
    mine = steps.line_input(page, box, rules, classify)
    assert mine.tobytes() == pipeline(rules, classify=classify).line_input(page, box).tobytes()
    assert (mine.tobytes() == steps.line_input(page, box, RULES).tobytes()) == (not turned)


@pytest.mark.parametrize(("score", "kept"), [(0.0, False), (0.5, True), (1.0, True), (math.nan, False)])
def test_the_drop_rule_of_the_pipeline_is_that_of_the_steps(page, score, kept):
    rules = replace(RULES, result=replace(RULES.result, drop_score=0.5))
    output = np.array([[[0.0, score, 0.0, 0.0]]], np.float32)
    text_and_score = pipeline(rules).decode(output)
    read = pipeline(rules, lambda x: output).read(page)
    assert steps.keeps(text_and_score[1], rules) == (len(read.rec_texts) == 2)
    assert steps.keeps(score, rules) == kept
