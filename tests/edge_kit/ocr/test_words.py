"""Words of a line and their boxes."""

import numpy as np
import pytest

from edge_kit.ocr.words import Columns, word_boxes, words_of
from edge_kit.spec import profile

RULES = profile("paddlex-3").words


def columns(text, count=None):
    """Return every character in a column of its own, two apart."""
    return Columns(tuple(range(0, 2 * len(text), 2)), count or 2.0 * len(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello world", ["hello", " ", "world"]),
        ("v1.5-rc", ["v1.5-rc"]),
        ("end.", ["end", "."]),
        ("a.b", ["a", ".", "b"]),
        (".5-", [".", "5-"]),
        ("你好abc，", ["你好", "abc", "，"]),
        ("(-1)", ["(-", "1", ")"]),
        ("é1", ["é", "1"]),
        ("", []),
    ],
)
def test_a_text_is_cut_where_its_kind_of_character_changes(text, words):
    found = words_of(text, columns(text))
    assert ["".join(word.characters) for word in found] == words
    assert [place for word in found for place in word.places] == list(columns(text).places)


def test_a_word_spans_its_columns_and_chinese_characters_have_boxes_of_their_own():
    quad = np.array([[100, 10], [200, 10], [200, 30], [100, 30]], np.int32)
    texts, boxes = word_boxes("ab 你好", Columns((0, 1, 2, 4, 7), 10.0), quad, RULES)
    assert texts == ("ab", " ", "你", "好")
    lefts = [(box[0][0], box[1][0]) for box in boxes]
    assert lefts[:2] == [(100, 120), (120, 130)]
    # 40 pixels from column 4 to 7 for one step between two characters, around 45 and 75
    assert lefts[2:] == [(125, 165), (155, 195)]
    assert all((box[0][1], box[2][1]) == (10, 30) for box in boxes)


def test_a_tall_line_is_cut_from_top_to_bottom():
    quad = np.array([[10, 100], [30, 100], [30, 200], [10, 200]], np.int32)
    texts, boxes = word_boxes("ab,", Columns((0, 4, 8), 10.0), quad, RULES)
    assert texts == ("ab", ",")
    assert boxes == (((10, 100), (10, 150), (30, 150), (30, 100)), ((10, 180), (10, 190), (30, 190), (30, 180)))


def test_a_lone_chinese_character_is_as_wide_as_a_character_of_its_line_on_average():
    quad = np.array([[0, 0], [80, 0], [80, 20], [0, 20]], np.int32)
    _, boxes = word_boxes("a你bc", Columns((0, 3, 5, 6), 8.0), quad, RULES)
    assert ((25, 0), (45, 0), (45, 20), (25, 20)) in boxes


def test_no_text_has_no_words():
    quad = np.zeros((4, 2), np.int32)
    assert word_boxes("", Columns((), 5.0), quad, RULES) == ((), ())
