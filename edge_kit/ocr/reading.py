"""What was read on one page: boxes, texts, scores, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr.image import Image
from edge_kit.ocr.words import Columns, Corners, word_boxes
from edge_kit.spec.model import SpecProfile, WordRules
from model_opt.errors import KitError


@dataclass(frozen=True)
class Page:
    """How a page was read: what PaddleX states beside boxes and texts."""

    text_det_params: Mapping[str, Any]
    score_thresh: float
    use_textline_orientation: bool = False
    line_classes: tuple[int, ...] = ()
    """For each box found: 1 for a line turned by 180 degrees, 0 for another, -1 where nobody asked."""
    orientation: int | None = None
    """Degrees counter-clockwise by which the page was turned, None where nobody asked."""
    words: WordRules | None = None
    """The rules for boxes of words."""


NO_PAGE = Page({}, 0.0)
"""Nothing is known of how a page was read."""


def page_of(rules: SpecProfile, line_classes: tuple[int, ...], orientation: int | None = None) -> Page:
    """Return what is said of a page that was read by ``rules``."""
    detection, db = rules.detection, rules.db
    params = {
        "limit_side_len": detection.limit_side_len,
        "limit_type": detection.limit_type,
        "thresh": db.thresh,
        "max_side_limit": detection.max_side_limit,
        "box_thresh": db.box_thresh,
        "unclip_ratio": db.unclip_ratio,
    }
    return Page(params, rules.result.drop_score, rules.turns_lines, line_classes, orientation, rules.words)


@dataclass(frozen=True)
class Reading:
    """Boxes, texts and scores of one image, in reading order, one text and score for each box."""

    input_path: str | None
    """Where the image came from; ``None`` for an array."""
    dt_polys: NDArray[np.int32]
    """[n, 4, 2] points (x, y), pixels of the image."""
    dt_scores: tuple[float, ...]
    rec_texts: tuple[str, ...]
    rec_scores: tuple[float, ...]
    timings: Mapping[str, float]
    """Seconds of each step; ``rec_*`` summed over lines that may have run side by side; ``total`` is elapsed."""
    image: Image = field(repr=False, compare=False)
    """The decoded image, BGR, for pictures; turned where the page was."""
    name: str | None = field(default=None, repr=False, compare=False)
    """Stem of the files saved in a folder, when it differs from the input's (see ``Names``)."""
    page: Page = field(default=NO_PAGE, repr=False, compare=False)
    """How the page was read."""
    all_polys: NDArray[np.int32] | None = field(default=None, repr=False, compare=False)
    """Boxes with those that the score filter dropped, [m, 4, 2]; None where it dropped none."""
    columns: tuple[Columns, ...] = field(default=(), repr=False, compare=False)
    """Where the characters of each line were read, for the boxes of words."""
    page_index: int | None = field(default=None, repr=False, compare=False)
    """The page of a document, from 0; ``None`` for an image."""
    return_word_box: bool = field(default=False, repr=False, compare=False)
    """Whether the result has the boxes of words."""

    @property
    def found_polys(self) -> NDArray[np.int32]:
        """Boxes before the score filter, [m, 4, 2] pixels."""
        return self.dt_polys if self.all_polys is None else self.all_polys

    @property
    def text_word(self) -> tuple[tuple[str, ...], ...]:
        """The words of each line."""
        return tuple(words for words, _ in self._words)

    @property
    def text_word_region(self) -> tuple[tuple[Corners, ...], ...]:
        """The corners of each word's box, as many as words; see ``edge_kit.ocr.words`` for their order."""
        return tuple(boxes for _, boxes in self._words)

    @property
    def text_word_boxes(self) -> tuple[NDArray[np.int32], ...]:
        """Left, top, right and bottom of each word, [words, 4] for each line."""
        return tuple(bounds_of(np.array(boxes, np.int32)) for boxes in self.text_word_region)

    @cached_property
    def _words(self) -> tuple[tuple[tuple[str, ...], tuple[Corners, ...]], ...]:
        rules = self.page.words
        if rules is None or len(self.columns) != len(self.rec_texts):
            what = "this result holds no places of characters, so there are no boxes of words"
            raise KitError(what, hint="read the image with return_word_box=True")
        lines = zip(self.rec_texts, self.columns, self.dt_polys, strict=True)
        return tuple(word_boxes(text, columns, quad, rules) for text, columns, quad in lines)


def bounds_of(polys: NDArray[np.generic]) -> NDArray[np.int32]:
    """Return left, top, right and bottom, [n, 4], of polygons [n, 4, 2]; an array of shape [0] for none."""
    if len(polys) == 0:
        return np.zeros(0, np.int32)
    bounds = np.concatenate([polys.min(axis=1), polys.max(axis=1)], axis=1)
    return np.asarray(bounds, np.int32)
