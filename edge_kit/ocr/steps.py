"""The steps between an image and its texts, as functions of the specification's rules and ``run(tensor)`` callables.

``OcrPipeline`` composes them; calibration and verification use them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr.boxes import Boxes, tidy_boxes
from edge_kit.ocr.crop import crop_line
from edge_kit.ocr.db import boxes_from_map
from edge_kit.ocr.detection import detection_input
from edge_kit.ocr.image import Image
from edge_kit.ocr.orientation import degrees_of, page_input, textline_input
from edge_kit.ocr.orientation import turned as turned_by
from edge_kit.ocr.recognition import classifier_input, recognition_input, turn_line
from edge_kit.ocr.tensor import Float32Array, Run
from edge_kit.spec.model import SpecProfile


@dataclass(frozen=True)
class Detection:
    """The detector's answer for one image."""

    prob_map: Float32Array
    """[h, w] of the detector's input size."""
    dt_polys: Boxes
    """[n, 4, 2] in reading order, pixels of the image."""
    dt_scores: NDArray[np.float64]


def detect(image: Image, run: Run, rules: SpecProfile) -> Detection:
    """Return the probability map and the boxes of a BGR image."""
    prob_map = run(detection_input(image, rules.detection))[0, 0]
    boxes, scores = find_boxes(prob_map, image.shape[0], image.shape[1], rules)
    return Detection(prob_map, boxes, scores)


def find_boxes(
    prob_map: Float32Array, height: int, width: int, rules: SpecProfile
) -> tuple[Boxes, NDArray[np.float64]]:
    """Return the boxes of a probability map in reading order, in pixels of an image of that size, and their scores."""
    boxes, scores = boxes_from_map(prob_map, width, height, rules.db)
    return tidy_boxes(boxes, scores, height, width, rules.boxes)


def line_input(image: Image, box: NDArray[np.float32], rules: SpecProfile, classify: Run | None = None) -> Float32Array:
    """Return the recogniser's input tensor for the line in ``box``."""
    return upright_input(crop_line(image, box, rules.crop), rules, classify)


def upright_input(line: Image, rules: SpecProfile, classify: Run | None = None) -> Float32Array:
    """Return the recogniser's input tensor for a line cut out, turned by the classifier where the rules want one."""
    return recognition_input(upright(line, rules, classify).image, rules.recognition)


@dataclass(frozen=True)
class Upright:
    """A line as the recogniser gets it."""

    image: Image
    turned: int = -1
    """1 when it was turned by 180 degrees, 0 when the classifier left it, -1 when there was none."""


def upright(line: Image, rules: SpecProfile, classify: Run | None = None) -> Upright:
    """Return a line cut out, turned by the classifier where the rules want one."""
    if not rules.turns_lines or classify is None:
        return Upright(line)
    textline = rules.textline
    if textline is not None and textline.enabled:
        degrees = degrees_of(classify(textline_input(line, textline)), textline.labels)
        return Upright(turned_by(line, degrees, textline.turn_interpolation), int(degrees != 0))
    turned = turn_line(line, classify(classifier_input(line, rules.classifier)), rules.classifier)
    return Upright(turned, int(turned is not line))


def upright_page(image: Image, rules: SpecProfile, classify: Run | None = None) -> tuple[Image, int | None]:
    """Return a page the right way up and the degrees that it was turned by; None where the rules leave it as it is."""
    page = rules.page
    if page is None or not page.enabled or classify is None:
        return image, None
    degrees = degrees_of(classify(page_input(image, page)), page.labels)
    return turned_by(image, degrees, page.turn_interpolation), degrees


def keeps(score: float, rules: SpecProfile) -> bool:
    """Return whether a line of this score is part of the result."""
    return score >= rules.result.drop_score
