"""The pipeline with the mistakes of device demos: each switch of ``LegacyRules`` changes one value or one stage.

For comparison only; with every switch off it answers as ``OcrPipeline`` does, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr.boxes import Boxes, clean_boxes, reading_order
from edge_kit.ocr.crop import crop_line, length, line_corners, turn_tall, warp
from edge_kit.ocr.db import Quad, boxes_of_mask, dilated, text_mask
from edge_kit.ocr.detection import input_size, limit_ratio, pad_small, sized_input
from edge_kit.ocr.image import Image
from edge_kit.ocr.pipeline import Line, OcrPipeline, Runs
from edge_kit.ocr.result import OcrResult
from edge_kit.ocr.tensor import CV_INTERPOLATION, Float32Array, normalise, resize
from edge_kit.spec.model import CropRules, DbPost, DetectionInput, RecognitionInput, SpecProfile
from labs.legacy.rules import LegacyRules


@dataclass(frozen=True)
class Scale:
    """Sizes in pixels that lead from the probability map to the image."""

    map_height: int
    map_width: int
    height: int
    width: int


class LegacyPipeline(OcrPipeline):
    """Reads images as a demo with the mistakes in ``mistakes`` does.

    It keeps the scale of its first image, as one of the mistakes wants it: read images one after the other, and make
    a new pipeline for a new series.
    """

    def __init__(self, base: SpecProfile, mistakes: LegacyRules, runs: Runs, characters: Sequence[str]) -> None:
        super().__init__(with_values(base, mistakes), runs, characters)
        self.mistakes = mistakes
        self._first_scale: Scale | None = None

    def read(self, image: Image, input_path: str | None = None) -> OcrResult:
        """Return what the demo reads; boxes in pixels of ``image``."""
        side = self.mistakes.squash_to
        if side is None:
            return super().read(image, input_path)
        result = super().read(resize(image, side, side, "linear"), input_path)
        height, width = image.shape[:2]
        factors = np.array([width / side, height / side])
        return replace(result, dt_polys=np.round(result.dt_polys * factors).astype(np.int32), image=image)

    def det_input(self, image: Image) -> Float32Array:
        """Return the detector's input tensor, its sides rounded as the demo does."""
        rules = self.rules.detection
        padded = pad_small(image, rules)
        size = below_size if self.mistakes.side_block_below else input_size
        return sized_input(padded, size(padded.shape[0], padded.shape[1], rules), rules)

    def find_boxes(self, prob_map: Float32Array, height: int, width: int) -> tuple[Boxes, NDArray[np.float64]]:
        """Return the boxes in the demo's order, in pixels of the image, and their scores."""
        mistakes, rules = self.mistakes, self.rules
        own = Scale(prob_map.shape[0], prob_map.shape[1], height, width)
        self._first_scale = self._first_scale or own
        grow = None
        if mistakes.unclip is not None and mistakes.unclip.kind == "inflate":
            grow = partial(inflated, ratio=mistakes.unclip.ratio)
        boxes, scores = boxes_of_mask(prob_map, demo_mask(prob_map, rules.db, mistakes), rules.db, grow)
        to_image = divided_as_integers if mistakes.integer_boxes else scaled
        boxes = to_image(boxes, self._first_scale if mistakes.first_scale else own)
        boxes = np.clip(boxes, 0, np.array([width, height], np.float32))
        kept, kept_scores = clean_boxes(boxes, scores, height, width, rules.boxes)
        backwards = list(reversed(range(len(kept))))
        order = backwards if mistakes.contour_order else reading_order(kept, rules.boxes)
        ordered = np.array([kept[i] for i in order], np.float32).reshape(-1, 4, 2)
        return ordered, np.array([kept_scores[i] for i in order], np.float64)

    def cut_line(self, image: Image, box: NDArray[np.float32]) -> Image:
        """Return the upright line inside a box, cut as the demo does."""
        return demo_crop(image, box, self.rules.crop, self.mistakes)

    def keeps(self, line: Line) -> bool:
        """Return whether the demo shows a line: NaN is below no score, so a demo that drops what is below keeps it."""
        if self.mistakes.keep_all:
            return True
        return super().keeps(line) or (self.mistakes.empty_nan and math.isnan(line.score))


def with_values(base: SpecProfile, mistakes: LegacyRules) -> SpecProfile:
    """Return the profile with those mistakes that are another value of a rule."""
    db, boxes, recognition = base.db, base.boxes, base.recognition
    if mistakes.box_thresh is not None:
        db = replace(db, box_thresh=mistakes.box_thresh)
    if mistakes.unclip is not None and mistakes.unclip.kind == "offset":
        db = replace(db, unclip_ratio=mistakes.unclip.ratio)
    if mistakes.contour_score:
        db = replace(db, score_mode="slow")
    if mistakes.dilation:
        db = replace(db, use_dilation=True)
    if mistakes.min_side_exclusive is not None:
        boxes = replace(boxes, min_side_exclusive=mistakes.min_side_exclusive)
    if mistakes.line_height is not None:
        recognition = replace(recognition, height=mistakes.line_height)
    if mistakes.line_min_width is not None:
        recognition = replace(recognition, min_width=mistakes.line_min_width)
    if mistakes.pad_pixel is not None:
        recognition = replace(recognition, pad_value=normalised_pixel(mistakes.pad_pixel, recognition))
    if mistakes.rgb_lines:
        recognition = replace(recognition, channel_order="rgb")
    ctc = replace(base.ctc, empty_score=math.nan) if mistakes.empty_nan else base.ctc
    return replace(base, db=db, boxes=boxes, recognition=recognition, ctc=ctc)


def normalised_pixel(pixel: int, rules: RecognitionInput) -> float:
    """Return what a grey pixel becomes in the recogniser's input: padding before is padding after with this value."""
    grey = np.full((1, 1, 3), pixel, np.uint8)
    return float(normalise(grey, rules.divisor, rules.mean, rules.std, rules.channel_order)[0, 0, 0])


def below_size(height: int, width: int, rules: DetectionInput) -> tuple[int, int]:
    """Return the detector's input (height, width): a side that the multiple does not divide goes one block too low."""
    ratio = limit_ratio(height, width, rules)

    def side(full: int) -> int:
        blocks, rest = divmod(int(full * ratio), rules.side_multiple)
        return max((blocks if rest == 0 else blocks - 1) * rules.side_multiple, rules.min_side)

    return side(height), side(width)


def demo_mask(prob_map: Float32Array, rules: DbPost, mistakes: LegacyRules) -> NDArray[np.uint8]:
    """Return the mask [h, w] of 0 and 1, by bytes where a mistake says so (OpenCV floors a threshold for bytes)."""
    if mistakes.mask_levels is not None:
        levels = (prob_map * np.float32(mistakes.mask_levels)).astype(np.uint8)
        level = rules.thresh * mistakes.mask_levels
    elif mistakes.mask_unscaled:
        levels = np.asarray(cv2.convertScaleAbs(prob_map), dtype=np.uint8)
        level = rules.thresh
    else:
        return text_mask(prob_map, rules)
    _, mask = cv2.threshold(levels, level, 1, cv2.THRESH_BINARY)
    return dilated(np.asarray(mask, dtype=np.uint8), rules)


def inflated(rectangle: Quad, rules: DbPost, *, ratio: float) -> Quad:
    """Grow both sides of a rectangle by ``(ratio - 1) * short side`` around its centre; ``rules`` are not asked."""
    del rules
    along, down = rectangle[1] - rectangle[0], rectangle[3] - rectangle[0]
    sides = float(np.linalg.norm(along)), float(np.linalg.norm(down))
    margin = (ratio - 1.0) * min(sides) / 2.0
    x, y = along / np.float32(sides[0]) * margin, down / np.float32(sides[1]) * margin
    return np.asarray(rectangle + np.array([-x - y, x - y, x + y, y - x]), dtype=np.float32)


def scaled(boxes: Boxes, scale: Scale) -> Boxes:
    """Return boxes in pixels of the image, rounded in the image, not clipped: the server's rule."""
    placed = boxes.copy()
    placed[:, :, 0] = np.round(boxes[:, :, 0] / scale.map_width * scale.width)
    placed[:, :, 1] = np.round(boxes[:, :, 1] / scale.map_height * scale.height)
    return placed


def divided_as_integers(boxes: Boxes, scale: Scale) -> Boxes:
    """Return boxes in pixels of the image: rounded half up on the map, divided by a float32 ratio, truncated."""
    map_size, size = (scale.map_width, scale.map_height), (scale.width, scale.height)
    ratio = np.array(map_size, np.float32) / np.array(size, np.float32)
    rounded = np.floor((boxes * 2.0 + 1.0) / 2.0)
    return np.asarray(np.trunc(rounded / ratio), dtype=np.float32)


def demo_crop(image: Image, quad: NDArray[np.float32], rules: CropRules, mistakes: LegacyRules) -> Image:
    """Return the upright line inside a quad with the demo's size, source and border."""
    if not (mistakes.warp_flags or mistakes.cut_first or mistakes.first_sides):
        return crop_line(image, quad, rules)
    corners = line_corners(quad, rules)
    top, right, bottom, left = (length(corners[i], corners[(i + 1) % 4]) for i in range(4))
    size = (top, left) if mistakes.first_sides else (max(top, bottom), max(left, right))
    size_px = max(int(size[0]), 1), max(int(size[1]), 1)
    if mistakes.cut_first:
        image, corners = cut_upright(image, corners)
    flags, border = CV_INTERPOLATION[rules.interpolation], cv2.BORDER_REPLICATE
    if mistakes.warp_flags:
        flags, border = cv2.INTER_LINEAR, cv2.BORDER_CONSTANT
    return turn_tall(warp(image, corners, size_px, flags, border), rules)


def cut_upright(image: Image, quad: NDArray[np.float32]) -> tuple[Image, NDArray[np.float32]]:
    """Return the upright box around a quad, less its last row and column, and the quad in its pixels."""
    left, top = (int(side) for side in quad.min(axis=0))
    right, bottom = (int(side) for side in quad.max(axis=0))
    # A demo stops with an OpenCV error on a box without area; here one pixel is left of it.
    cut = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    return np.ascontiguousarray(cut), quad - np.array([left, top], np.float32)
