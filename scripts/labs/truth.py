"""What was read against what was drawn."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from edge_kit.ocr.result import OcrResult
from edge_kit.verify.metrics import TextAgreement, match_boxes, text_agreement
from edge_kit.verify.regression import TruthLine


def comparable(text: str) -> str:
    """Return a text in half-width forms and without blanks, which the recogniser gives only now and then."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def truth_agreement(truth: Sequence[TruthLine], answer: OcrResult, same_line: float = 0.3) -> TextAgreement:
    """Return how far the texts of ``answer`` are those of ``truth``, both made comparable.

    A box belongs to the drawn line that it overlaps with an IoU of at least ``same_line``; a line that is missed or
    extra counts as wrong. A loose 0.3, since the drawn corners enclose the ink and a detector's box the line.
    """
    quads = np.array([line.quad for line in truth], np.float64).reshape(-1, 4, 2)
    matching = match_boxes(quads, answer.dt_polys, same_line)
    drawn = [comparable(line.text) for line in truth]
    return text_agreement(drawn, [comparable(text) for text in answer.rec_texts], matching)
