"""Words of a line and their boxes, from the columns in which the recogniser read them.

Source: ``get_word_info`` of PaddleX 3.7's ``models/text_recognition/processors.py`` and ``cal_ocr_word_box`` of its
``pipelines/components/common/cal_ocr_word_box.py``. A column is one step of the recogniser's output. The boxes lie in
the upright rectangle between the box's first and second, first and third corner; PaddleX sorts them after it paired
them with the words, so in a line with Chinese characters and others a box may belong to another word: kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_kit.spec.model import WordRules

Kind = Literal["cn", "en&num", "symbol"]
Corners = tuple[tuple[float, float], ...]
"""Four points (x, y) in pixels of the image."""


@dataclass(frozen=True)
class Columns:
    """Where a line's characters were read."""

    places: tuple[int, ...]
    """The column of each character of the text."""
    count: float
    """Columns of the line itself, the padding on its right left out; no integer."""


NOWHERE = Columns((), 0.0)
"""Nobody knows where."""


@dataclass(frozen=True)
class Word:
    """Characters of one kind that follow each other; of Chinese ones each is a word of its own."""

    kind: Kind
    characters: tuple[str, ...]
    places: tuple[int, ...]


def words_of(text: str, columns: Columns) -> tuple[Word, ...]:
    """Return the words of a text: Chinese characters, letters and digits, and what is neither."""
    kinds = _kinds(text)
    words: list[Word] = []
    begin = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or kinds[end] != kinds[begin]:
            words.append(Word(kinds[begin], tuple(text[begin:end]), columns.places[begin:end]))
            begin = end
    return tuple(words)


def _kinds(text: str) -> list[Kind]:
    """Return the kind of each character; a point before a digit and a hyphen belong to the word in front of them."""
    kinds: list[Kind] = []
    for i, character in enumerate(text):
        kind: Kind = "symbol"
        if "\u4e00" <= character <= "\u9fff":
            kind = "cn"
        elif re.search("[a-zA-Z0-9]", character):
            kind = "en&num"
        elif kinds and kinds[-1] == "en&num":
            digit_follows = re.search("[0-9]", text[i + 1 : i + 2]) is not None
            kind = "en&num" if character == "-" or (character == "." and digit_follows) else "symbol"
        kinds.append(kind)
    return kinds


def word_boxes(
    text: str, columns: Columns, quad: NDArray[np.int32], rules: WordRules
) -> tuple[tuple[str, ...], tuple[Corners, ...]]:
    """Return the words of a line and as many boxes, those sorted from top to bottom and left to right.

    ``quad`` is the line's box, [4, 2] pixels of the image.
    """
    line = _Line(quad, columns.count, rules)
    texts: list[str] = []
    boxes: list[Corners] = []
    chinese: list[int] = []
    sizes: list[float] = []
    for word in words_of(text, columns):
        first, last = word.places[0], word.places[-1]
        if word.kind == "cn":
            texts += word.characters
            chinese += word.places
            if len(word.places) > 1:
                sizes.append((last - first + 1) * line.cell / (len(word.places) - 1))
        else:
            texts.append("".join(word.characters))
            boxes.append(line.box(line.start + int(first * line.cell), line.start + int((last + 1) * line.cell)))
    if chinese:
        size = float(np.mean(sizes)) if sizes else line.length / len(text)
        boxes += [line.box(*line.around((2 * place + 1) * line.cell / 2, size)) for place in chinese]
    return tuple(texts), tuple(_in_rows(boxes, rules))


class _Line:
    """The upright rectangle of a line, cut into columns along its reading direction."""

    def __init__(self, quad: NDArray[np.int32], count: float, rules: WordRules) -> None:
        width, height = (int(side) for side in np.ptp(quad, axis=0))
        self._tall = height > rules.tall_ratio * width
        corners = quad.tolist()
        self._left, self._right, self._top, self._bottom = corners[0][0], corners[1][0], corners[0][1], corners[2][1]
        self.start: int = self._top if self._tall else self._left
        self.length: int = (self._bottom if self._tall else self._right) - self.start
        self.cell = self.length / count

    def box(self, start: float, end: float) -> Corners:
        """Return the corners of the part from ``start`` to ``end``, in PaddleX's order."""
        if self._tall:
            return (self._left, start), (self._left, end), (self._right, end), (self._right, start)
        return (start, self._top), (end, self._top), (end, self._bottom), (start, self._bottom)

    def around(self, centre: float, size: float) -> tuple[int, int]:
        """Return start and end of a character in the middle of which ``centre`` lies, counted from the line's start."""
        return max(int(centre - size / 2), 0) + self.start, min(int(centre + size / 2), self.length) + self.start


def _in_rows(boxes: Sequence[Corners], rules: WordRules) -> Iterator[Corners]:
    """Yield boxes in rows from top to bottom, from left to right within a row."""
    centres = {i: np.mean(box, axis=0) for i, box in enumerate(boxes)}
    rows: list[list[int]] = []
    last: float | None = None
    for i in sorted(centres, key=lambda i: float(centres[i][1])):
        height = float(centres[i][1])
        if last is None or abs(height - last) >= rules.row_tolerance:
            rows.append([])
        rows[-1].append(i)
        last = height
    for row in rows:
        for i in sorted(row, key=lambda i: float(centres[i][0])):
            yield boxes[i]
