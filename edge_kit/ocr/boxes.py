"""Order, clip, filter and sort detected boxes (specification section ``boxes``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr.tensor import clipped
from edge_kit.spec.model import BoxRules

Boxes = NDArray[np.float32]
"""[n, 4, 2] points (x, y) in pixels of the source image."""


def order_clockwise(quad: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the four points as top-left, top-right, bottom-right, bottom-left by the sums and differences of x, y.

    A square on its corner can name one point twice, as on the server: the rule is kept, singular quads included.
    """
    sums = quad.sum(axis=1)
    first, third = int(np.argmin(sums)), int(np.argmax(sums))
    others = np.delete(quad, (first, third), axis=0)
    differences = np.diff(others, axis=1)
    return np.array(
        [quad[first], others[int(np.argmin(differences))], quad[third], others[int(np.argmax(differences))]],
        np.float32,
    )


def tidy_boxes(
    boxes: Boxes, scores: NDArray[np.float64], height: int, width: int, rules: BoxRules
) -> tuple[Boxes, NDArray[np.float64]]:
    """Order, clip and filter boxes, then bring them and their scores into reading order."""
    kept, kept_scores = clean_boxes(boxes, scores, height, width, rules)
    order = reading_order(kept, rules)
    tidy = np.array([kept[i] for i in order], np.float32).reshape(-1, 4, 2)
    return tidy, np.array([kept_scores[i] for i in order], np.float64)


def clean_boxes(
    boxes: Boxes, scores: NDArray[np.float64], height: int, width: int, rules: BoxRules
) -> tuple[list[NDArray[np.float32]], list[float]]:
    """Order the corners of each box, clip them to the image and drop small boxes; the boxes keep their order."""
    margin = 1 if rules.clip == "last_pixel" else 0
    kept: list[NDArray[np.float32]] = []
    kept_scores: list[float] = []
    for quad, score in zip(boxes, scores, strict=True):
        ordered = order_clockwise(quad) if rules.order == "clockwise" else quad.copy()
        ordered[:, 0] = clipped(ordered[:, 0], width - margin)
        ordered[:, 1] = clipped(ordered[:, 1], height - margin)
        if _too_small(ordered, rules.min_side_exclusive):
            continue
        kept.append(ordered)
        kept_scores.append(float(score))
    return kept, kept_scores


def reading_order(quads: list[NDArray[np.float32]], rules: BoxRules) -> list[int]:
    """Return the indices of ``quads`` in reading order: by (y, x) of the first point, then rows ordered by x."""
    order = sorted(range(len(quads)), key=lambda i: (float(quads[i][0][1]), float(quads[i][0][0])))
    first = 1 if rules.row_sort == "keep_first" else 0
    for i in range(len(order) - 1):
        for j in range(i, first - 1, -1):
            upper, lower = quads[order[j]][0], quads[order[j + 1]][0]
            if abs(lower[1] - upper[1]) < rules.row_tolerance and lower[0] < upper[0]:
                order[j], order[j + 1] = order[j + 1], order[j]
            else:
                break
    return order


def _too_small(quad: NDArray[np.float32], min_side_exclusive: int | None) -> bool:
    if min_side_exclusive is None:
        return False
    width = int(np.linalg.norm(quad[0] - quad[1]))
    height = int(np.linalg.norm(quad[0] - quad[3]))
    return min(width, height) <= min_side_exclusive
