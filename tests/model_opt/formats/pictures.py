"""Parts of the regression images as the models see them: pages of two sizes, lines of three widths."""

from __future__ import annotations

import functools

import numpy as np

from model_opt.resources import config_dir

PAGES = (("english.png", 160, 192), ("receipt.png", 320, 224))
LINES = (
    ("receipt.png", (36, 84, 305, 120), 320),
    ("english.png", (10, 10, 460, 60), 480),
    ("english.png", (10, 10, 460, 60), 1000),
)


def inputs_of(name: str) -> list[np.ndarray]:
    """Return the tensors for a model whose name ends in ``det`` or ``rec``."""
    return pages() if name.endswith("det") else lines()


@functools.cache
def pages() -> list[np.ndarray]:
    """Return the pages, [1, 3, height, width]."""
    import cv2

    found = []
    for file, height, width in PAGES:
        page = cv2.resize(cv2.imread(str(config_dir() / "regression" / file)), (width, height)).astype(np.float32) / 255
        page = ((page - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).astype(np.float32)
        found.append(page.transpose(2, 0, 1)[None])
    return found


@functools.cache
def lines() -> list[np.ndarray]:
    """Return the lines, [1, 3, 48, width]."""
    import cv2

    found = []
    for file, (x0, y0, x1, y1), width in LINES:
        image = cv2.imread(str(config_dir() / "regression" / file))
        line = cv2.resize(image[y0:y1, x0:x1], (width, 48)).astype(np.float32)
        found.append(((line / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None])
    return found
