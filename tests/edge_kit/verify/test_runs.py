"""Running two pipelines over the same images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.spec import profile
from edge_kit.verify.runs import Named, verify_pipelines

CHARACTERS = ("a", "b", " ")


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.png"
    cv2.imwrite(str(path), np.full((96, 128, 3), 255, np.uint8))
    return Named("page.png", path)


class Recogniser:
    """Answers "ab" and counts how often it was asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, tensor):
        self.asked += 1
        return np.eye(len(CHARACTERS) + 1, dtype=np.float32)[[1, 2]][None]


def detector(left, poison=0):
    """Return a detector that finds two lines, ``left`` pixels in, and gives that many NaN."""

    def run(tensor):
        found = np.zeros((1, 1, *tensor.shape[2:]), np.float32)
        found[:, :, 12:26, left : left + 60] = 0.9
        found[:, :, 60:74, 20:90] = 0.9
        found.reshape(-1)[:poison] = np.nan
        return found

    return run


def pipelines(detect, at_once=1):
    reader = Recogniser()
    return reader, OcrPipeline(profile(), Runs(detect, (reader,) * at_once), CHARACTERS)


def compared(page, candidate):
    _, reference = pipelines(detector(20))
    return verify_pipelines(reference, {"other": candidate}, [page], lambda _part, _what: None)["other"].comparison


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_line_that_both_found_is_recognised_once(page, at_once):
    reader, candidate = pipelines(detector(20), at_once)
    total = compared(page, candidate).total
    assert (reader.asked, total.texts.lines, total.texts.equal) == (2, 2, 2)


def test_a_moved_line_is_recognised_in_its_own_place_as_well(page):
    reader, candidate = pipelines(detector(26))
    total = compared(page, candidate).total
    assert (reader.asked, total.boxes.identical, total.boxes.matched) == (3, 1, 2)


def test_nan_of_a_detector_are_counted_and_do_not_stop_the_run(page):
    _, candidate = pipelines(detector(20, poison=40))
    comparison = compared(page, candidate)
    assert comparison.total.metrics()["det_non_finite"] == 40
    assert comparison.worst_first[0].name == "page.png"
