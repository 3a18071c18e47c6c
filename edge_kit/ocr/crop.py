"""Cut a text line out of the image (specification section ``crop``)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr.db import min_area_quad
from edge_kit.ocr.image import Image, ImageError
from edge_kit.ocr.tensor import CV_INTERPOLATION
from edge_kit.spec.model import CropRules

WARP_LIMIT = (1 << 15) - 1
"""Sides that 16-bit coordinates do not reach."""


def crop_line(image: Image, quad: NDArray[np.float32], rules: CropRules) -> Image:
    """Return the upright BGR image of the line inside ``quad`` ([4, 2], pixels of ``image``).

    Width and height are the longer of the opposite sides, truncated; a side of zero is left to ``collapsed_line``.
    """
    corners = line_corners(quad, rules)
    width = int(max(length(corners[0], corners[1]), length(corners[2], corners[3])))
    height = int(max(length(corners[0], corners[3]), length(corners[1], corners[2])))
    if min(width, height) == 0 and rules.collapsed_line == "first_pixel":
        return turn_tall(first_pixel(image), rules)
    size = (max(width, 1), max(height, 1))
    line = warp(image, corners, size, CV_INTERPOLATION[rules.interpolation], cv2.BORDER_REPLICATE)
    return turn_tall(line, rules)


def first_pixel(image: Image) -> Image:
    """Return an image of the same size, in the colour of the first pixel.

    This is what PaddleX gets for a line without area: no homography leads there, so OpenCV's solver answers zeros, and
    ``warpPerspective`` takes a size of zero for "as the source".
    """
    return np.full_like(image, image[0, 0])


def line_corners(quad: NDArray[np.float32], rules: CropRules) -> NDArray[np.float32]:
    """Return the corners that a line is cut by: those of the quad, or of the smallest rectangle around it."""
    return quad if rules.shape == "quad" else min_area_quad(quad.astype(np.int32))[0]


def warp(image: Image, corners: NDArray[np.float32], size: tuple[int, int], flags: int, border: int) -> Image:
    """Return the quad in ``corners`` drawn as a rectangle of ``size`` (width, height); OpenCV's flags and border.

    Raises ``ImageError`` for an image or a line with a side of 32,767 pixels or more, which OpenCV's warp cannot take.
    """
    width, height = size
    if max(*image.shape[:2], width, height) >= WARP_LIMIT:
        raise ImageError(
            f"lines cannot be cut from an image of {image.shape[1]} x {image.shape[0]} pixels: "
            f"a side reaches {WARP_LIMIT:,}",
            hint="cut the image into parts, or make it smaller",
        )
    upright = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.ascontiguousarray(corners, np.float32), upright)
    return np.asarray(cv2.warpPerspective(image, matrix, size, borderMode=border, flags=flags), dtype=np.uint8)


def turn_tall(line: Image, rules: CropRules) -> Image:
    """Return a line from ``rotate_ratio`` times as high as wide turned counter-clockwise, another as it is."""
    height, width = line.shape[:2]
    if height / width >= rules.rotate_ratio:
        line = np.rot90(line)
    return np.ascontiguousarray(line, dtype=np.uint8)


def length(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the distance of two corners in pixels."""
    return float(np.linalg.norm(a - b))
