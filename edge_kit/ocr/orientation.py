"""Which way up a line and a page stand (specification sections ``textline`` and ``page``).

Source: ``models/image_classification``, ``models/common/vision/processors.py`` and
``pipelines/components/common/warp_image.py`` of PaddleX 3.7; the sizes and values are those of the models' own
``inference.yml``.
"""

from __future__ import annotations

import cv2
import numpy as np

from edge_kit.ocr.crop import WARP_LIMIT
from edge_kit.ocr.image import Image, ImageError
from edge_kit.ocr.tensor import CV_INTERPOLATION, Float32Array, normalise_by_factors, resize
from edge_kit.spec.model import Interpolation, PageRules, TextlineRules
from model_opt.errors import KitError


def textline_input(line: Image, rules: TextlineRules) -> Float32Array:
    """Return the line classifier's input tensor, float32 [1, 3, height, width]: the line, stretched to that size."""
    return _normalised(resize(line, rules.width, rules.height, rules.interpolation), rules)


def page_input(image: Image, rules: PageRules) -> Float32Array:
    """Return the page classifier's input tensor, float32 [1, 3, crop, crop].

    The shorter side is brought to ``short_side`` pixels, then the middle is cut out.
    """
    height, width = image.shape[:2]
    scale = rules.short_side / min(height, width)
    resized = resize(image, round(width * scale), round(height * scale), rules.interpolation)
    top, left = ((side - rules.crop) // 2 for side in resized.shape[:2])
    return _normalised(resized[top : top + rules.crop, left : left + rules.crop], rules)


def degrees_of(probabilities: Float32Array, labels: tuple[int, ...]) -> int:
    """Return the degrees of the most probable class, probabilities [1, classes]; of equal ones the last.

    Raises ``KitError`` when the classes are not as many as the labels.
    """
    if probabilities.shape[-1] != len(labels):
        raise KitError(
            f"the orientation classifier has {probabilities.shape[-1]} classes, the specification {len(labels)}",
            hint="give a model of that kind: two classes for lines, four for pages",
        )
    return labels[int(probabilities[0].argsort()[-1])]


def turned(image: Image, degrees: int, interpolation: Interpolation) -> Image:
    """Return the image turned counter-clockwise as PaddleX turns it, by a warp.

    The rotation is about (width / 2, height / 2), half a pixel off the middle: turned by 180 degrees, the first row
    and column become black. Raises ``ImageError`` for a side of 32,767 pixels or more, which the warp cannot take.
    """
    if degrees == 0:
        return image
    height, width = image.shape[:2]
    if max(height, width) >= WARP_LIMIT:
        raise ImageError(
            f"an image of {width} x {height} pixels cannot be turned: a side reaches {WARP_LIMIT:,}",
            hint="cut the image into parts, or make it smaller",
        )
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = int(height * sine + width * cosine), int(height * cosine + width * sine)
    matrix[0, 2] += (size[0] - width) / 2
    matrix[1, 2] += (size[1] - height) / 2
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=CV_INTERPOLATION[interpolation]), dtype=np.uint8)


def _normalised(image: Image, rules: TextlineRules | PageRules) -> Float32Array:
    return normalise_by_factors(image, rules.divisor, rules.mean, rules.std, rules.channel_order)[np.newaxis]
