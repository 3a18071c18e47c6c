"""Cut a text line out of the image (specification section ``crop``)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr.db import min_area_quad
from edge_kit.ocr.image import Image
from edge_kit.ocr.tensor import CV_INTERPOLATION
from edge_kit.spec.model import CropRules


def crop_line(image: Image, quad: NDArray[np.float32], rules: CropRules) -> Image:
    """Return the upright BGR image of the line inside ``quad`` ([4, 2], pixels of ``image``).

    Width and height are the longer of the opposite sides, truncated, at least one pixel.
    """
    corners = quad if rules.shape == "quad" else min_area_quad(quad.astype(np.int32))[0]
    width = max(int(max(_length(corners[0], corners[1]), _length(corners[2], corners[3]))), 1)
    height = max(int(max(_length(corners[0], corners[3]), _length(corners[1], corners[2]))), 1)
    upright = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.ascontiguousarray(corners, np.float32), upright)
    line = cv2.warpPerspective(
        image,
        matrix,
        (width, height),
        borderMode=cv2.BORDER_REPLICATE,
        flags=CV_INTERPOLATION[rules.interpolation],
    )
    if height / width >= rules.rotate_ratio:
        line = np.rot90(line)
    return np.ascontiguousarray(line, dtype=np.uint8)


def _length(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(a - b))
