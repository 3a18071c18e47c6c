"""Detection input: image -> tensor (specification section ``detection``)."""

from __future__ import annotations

import numpy as np

from edge_kit.ocr.image import Image
from edge_kit.ocr.tensor import Float32Array, normalise, normalise_by_factors, resize
from edge_kit.spec.model import DetectionInput


def input_size(height: int, width: int, rules: DetectionInput) -> tuple[int, int]:
    """Return the detector's input (height, width) in pixels for an image of the given size.

    Python's ``round`` takes ties to the even number, as the server's code does.
    """
    ratio = limit_ratio(height, width, rules)
    height, width = bounded(int(height * ratio), int(width * ratio), rules)
    multiple = rules.side_multiple

    def side(length: int) -> int:
        return max(round(length / multiple) * multiple, rules.min_side)

    return side(height), side(width)


def bounded(height: int, width: int, rules: DetectionInput) -> tuple[int, int]:
    """Return (height, width) with the longer side brought down to ``max_side_limit``, both truncated to integers."""
    longer = max(height, width)
    if rules.max_side_limit is None or longer <= rules.max_side_limit:
        return height, width
    ratio = rules.max_side_limit / longer
    return int(height * ratio), int(width * ratio)


def limit_ratio(height: int, width: int, rules: DetectionInput) -> float:
    """Return the factor that brings the limited side to its limit, 1 where it needs none."""
    limit = rules.limit_side_len
    if rules.limit_type == "max" and max(height, width) > limit:
        return limit / max(height, width)
    if rules.limit_type == "min" and min(height, width) < limit:
        return limit / min(height, width)
    return 1.0


def pad_small(image: Image, rules: DetectionInput) -> Image:
    """Pad a tiny image on the right and bottom; return any other as it is."""
    height, width = image.shape[:2]
    if height + width >= rules.pad_below_sum:
        return image
    padded = np.full((max(rules.pad_to, height), max(rules.pad_to, width), 3), rules.pad_value, np.uint8)
    padded[:height, :width] = image
    return padded


def detection_input(image: Image, rules: DetectionInput) -> Float32Array:
    """Return the detector's input tensor, float32 [1, 3, h, w], for a BGR image."""
    padded = pad_small(image, rules)
    return sized_input(padded, input_size(padded.shape[0], padded.shape[1], rules), rules)


def sized_input(image: Image, size: tuple[int, int], rules: DetectionInput) -> Float32Array:
    """Return a BGR image as a tensor, float32 [1, 3, h, w], resized to ``size`` (height, width)."""
    height, width = size
    resized = resize(image, width, height, rules.interpolation)
    return normalised(resized, rules)[np.newaxis]


def normalised(image: Image, rules: DetectionInput) -> Float32Array:
    """Return a BGR image as float32 [3, h, w] by the arithmetic that the rules name."""
    how = normalise if rules.normalise == "subtract_divide" else normalise_by_factors
    return how(image, rules.divisor, rules.mean, rules.std, rules.channel_order)
