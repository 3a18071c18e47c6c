"""Several lines of one image in one run of the recogniser (specification section ``batch``).

Source: ``tools/infer/predict_rec.py`` of PaddleOCR 2.10 and ``pipelines/ocr/pipeline.py``,
``models/text_recognition/processors.py`` of PaddleX 3.7. The recogniser attends over its padding, so the text of a line
depends on the lines it shares a run with: batches are made as the server makes them, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_kit.ocr.image import Image
from edge_kit.ocr.recognition import recognition_input
from edge_kit.ocr.tensor import Float32Array
from edge_kit.spec.model import BatchRules, RecognitionInput


def batches_of(lines: Sequence[Image], rules: BatchRules) -> list[list[int]]:
    """Return the indices of upright lines in batches of at most ``rules.size``, narrow lines first."""
    ratios = [aspect_of(line) for line in lines]
    if rules.order == "argsort":
        order = [int(i) for i in np.argsort(np.array(ratios))]
    else:
        order = sorted(range(len(ratios)), key=ratios.__getitem__)
    return [order[begin : begin + rules.size] for begin in range(0, len(order), rules.size)]


def batch_input(lines: Sequence[Image], rules: RecognitionInput, batch: BatchRules | None) -> Float32Array:
    """Return the lines of one batch as float32 [n, 3, height, w], each padded on the right to the widest.

    Several lines need the rules of ``batch``.
    """
    widest = max(aspect_of(line) for line in lines) if batch is not None and batch.line_width == "batch" else 0.0
    tensors = [recognition_input(line, rules, widest) for line in lines]
    if len(tensors) == 1:
        return tensors[0]
    width = max(tensor.shape[3] for tensor in tensors)
    padded = np.full((len(tensors), *tensors[0].shape[1:3], width), rules.pad_value, np.float32)
    for place, tensor in zip(padded, tensors, strict=True):
        place[:, :, : tensor.shape[3]] = tensor[0]
    return padded


def columns_of(lines: Sequence[Image], steps: int, rules: RecognitionInput) -> list[float]:
    """Return how many of the ``steps`` of a run's output belong to each of its lines, the others to its padding."""
    widest = max(rules.min_width / rules.height, *(aspect_of(line) for line in lines))
    return [steps * (aspect_of(line) / widest) for line in lines]


def aspect_of(line: Image) -> float:
    """Return width / height of a line, which sorts the lines."""
    height, width = line.shape[:2]
    return width / float(height)
