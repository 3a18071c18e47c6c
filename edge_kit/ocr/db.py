"""DB post-processing: probability map -> scored quadrilaterals (specification section ``db``).

Source of the algorithm: Liao et al., "Real-time Scene Text Detection with Differentiable Binarization" (2020), in the
form that the server's post-processing gives it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pyclipper
from numpy.typing import NDArray

from edge_kit.ocr.tensor import Float32Array, clipped
from edge_kit.spec.model import DbPost

Quad = NDArray[np.float32]
"""Four points (x, y), shape [4, 2]."""
Points = NDArray[np.int32] | NDArray[np.float32]
Grow = Callable[[Quad, DbPost], Points | None]
"""Turns a rectangle around shrunk text into points around the full text; None drops the box."""


def text_mask(prob_map: Float32Array, rules: DbPost) -> NDArray[np.uint8]:
    """Return the mask [h, w] of 0 and 1: probabilities above the threshold, compared as floats."""
    return dilated((prob_map > np.float32(rules.thresh)).astype(np.uint8), rules)


def dilated(mask: NDArray[np.uint8], rules: DbPost) -> NDArray[np.uint8]:
    """Return the mask grown by a 2x2 kernel if so ruled, else as it is."""
    return np.asarray(cv2.dilate(mask, np.ones((2, 2), np.uint8)), dtype=np.uint8) if rules.use_dilation else mask


def boxes_from_map(
    prob_map: Float32Array, width: int, height: int, rules: DbPost
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return boxes [n, 4, 2] in pixels of the source image (``width`` x ``height``) and their scores [n].

    ``prob_map`` is float32 [h, w]. Coordinates are integers, clipped to [0, side].
    """
    boxes, scores = boxes_of_mask(prob_map, text_mask(prob_map, rules), rules)
    map_height, map_width = prob_map.shape
    boxes[:, :, 0] = scaled(boxes[:, :, 0], map_width, width, rules)
    boxes[:, :, 1] = scaled(boxes[:, :, 1], map_height, height, rules)
    return boxes, scores


def scaled(values: Float32Array, map_side: int, side: int, rules: DbPost) -> Float32Array:
    """Return coordinates of the map as whole pixels of the image, ties to the even number, clipped to [0, side]."""
    if rules.box_scaling == "float64_ratio":
        exact = np.round(values.astype(np.float64) * (side / map_side)).astype(np.float32)
    else:
        exact = np.round(values / map_side * side)
    return clipped(exact, side)


def boxes_of_mask(
    prob_map: Float32Array, mask: NDArray[np.uint8], rules: DbPost, grow: Grow | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return boxes [n, 4, 2] in pixels of the map, in the order of their contours, and their scores [n].

    ``grow`` takes the place of ``unclip``.
    """
    contours, _ = cv2.findContours(mask * 255, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found: list[tuple[Quad, float]] = []
    for contour in contours[: rules.max_candidates]:
        scored = _box_of_contour(prob_map, np.asarray(contour), rules, grow or unclip)
        if scored is not None:
            found.append(scored)
    boxes = np.array([box for box, _ in found], np.float32).reshape(-1, 4, 2)
    return boxes, np.array([score for _, score in found], np.float64)


def _box_of_contour(
    prob_map: Float32Array, contour: NDArray[np.int32], rules: DbPost, grow: Grow
) -> tuple[Quad, float] | None:
    """Return the grown rectangle around a contour and its score, or None when a rule drops it."""
    rectangle, short_side = min_area_quad(contour)
    if short_side < rules.min_short_side:
        return None
    outline = rectangle if rules.score_mode == "fast" else contour.reshape(-1, 2).astype(np.float32)
    score = mean_inside(prob_map, outline)
    if rules.box_thresh > score:
        return None
    grown = grow(rectangle, rules)
    if grown is None:
        return None
    box, short_side = min_area_quad(grown)
    return None if short_side < rules.min_unclipped_short_side else (box, score)


def min_area_quad(points: Points) -> tuple[Quad, float]:
    """Return the corners of the smallest rectangle around ``points`` and its shorter side.

    The corners are ordered by x; of the left pair the upper comes first and the lower last, of the right pair the
    upper second and the lower third.
    """
    rectangle = cv2.minAreaRect(points)
    corners = sorted(cv2.boxPoints(rectangle), key=lambda corner: float(corner[0]))
    left, right = corners[:2], corners[2:]
    top_left, bottom_left = (left[0], left[1]) if left[1][1] > left[0][1] else (left[1], left[0])
    top_right, bottom_right = (right[0], right[1]) if right[1][1] > right[0][1] else (right[1], right[0])
    return np.array([top_left, top_right, bottom_right, bottom_left], np.float32), min(rectangle[1])


def mean_inside(prob_map: Float32Array, outline: Quad) -> float:
    """Return the mean probability inside a polygon: points truncated to int, bounds by floor and ceil."""
    height, width = prob_map.shape
    x_min = int(np.clip(np.floor(outline[:, 0].min()), 0, width - 1))
    x_max = int(np.clip(np.ceil(outline[:, 0].max()), 0, width - 1))
    y_min = int(np.clip(np.floor(outline[:, 1].min()), 0, height - 1))
    y_max = int(np.clip(np.ceil(outline[:, 1].max()), 0, height - 1))
    inside = np.zeros((y_max - y_min + 1, x_max - x_min + 1), np.uint8)
    local = outline - np.array([x_min, y_min], np.float32)
    cv2.fillPoly(inside, [local.astype(np.int32)], (1,))
    return float(cv2.mean(prob_map[y_min : y_max + 1, x_min : x_max + 1], inside)[0])


def unclip(rectangle: Quad, rules: DbPost) -> NDArray[np.int32] | None:
    """Grow a rectangle by ``area * unclip_ratio / perimeter`` with Clipper's round joins.

    Returns the grown polygon's integer points [n, 2], or None when the offset gives no polygon or several.
    """
    distance = unclip_distance(rectangle, rules)
    offset = pyclipper.PyclipperOffset(arc_tolerance=rules.offset_arc_tolerance)
    offset.AddPath(rectangle, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    grown = offset.Execute(distance)
    return np.array(grown[0], np.int32) if len(grown) == 1 else None


def unclip_distance(rectangle: Quad, rules: DbPost) -> float:
    """Return by how many pixels of the map a rectangle is grown; the last bit depends on ``rules.unclip_distance``."""
    if rules.unclip_distance == "contour":
        return cv2.contourArea(rectangle) * rules.unclip_ratio / cv2.arcLength(rectangle, True)
    return polygon_area(rectangle) * rules.unclip_ratio / polygon_perimeter(rectangle)


def polygon_area(polygon: Quad) -> float:
    """Return the area by the shoelace formula in float64, in the order of operations of the GEOS library.

    The order matters: the area sets the offset's distance, and the server takes it from GEOS.
    """
    ring = [(float(x), float(y)) for x, y in polygon]
    ring.append(ring[0])
    origin = ring[0][0]
    total = 0.0
    for i in range(1, len(ring) - 1):
        total += (ring[i][0] - origin) * (ring[i - 1][1] - ring[i + 1][1])
    return abs(total / 2.0)


def polygon_perimeter(polygon: Quad) -> float:
    """Return the length of the closed outline in float64."""
    ring = [(float(x), float(y)) for x, y in polygon]
    total = 0.0
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        total += float(np.sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0)))
    return total
