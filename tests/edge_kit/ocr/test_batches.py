"""Lines share runs of the recogniser as the servers batch them: order, sixes, widths and padding."""

from dataclasses import replace

import numpy as np
import pytest

from edge_kit.ocr.batches import batch_input, batches_of
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.recognition import recognition_input
from edge_kit.spec import profile

PPOCR = profile("pp-ocrv4").in_batches_of(6)
PADDLEX = profile("paddlex-3").in_batches_of(6)
CHARACTERS = ("a", "b", " ")


def lines(*sizes, value=255):
    """Return white lines of (height, width) pixels."""
    return [np.full((height, width, 3), value, np.uint8) for height, width in sizes]


@pytest.mark.parametrize("rules", [PPOCR, PADDLEX])
def test_lines_are_grouped_in_sixes_from_the_narrowest_to_the_widest(rules):
    widths = [90, 10, 70, 30, 50, 20, 80, 40, 60, 100, 110, 120, 130]
    batches = batches_of(lines(*((10, width) for width in widths)), rules.batch)
    assert [[widths[i] for i in batch] for batch in batches] == [
        [10, 20, 30, 40, 50, 60],
        [70, 80, 90, 100, 110, 120],
        [130],
    ]
    assert batches_of([], rules.batch) == []


def test_lines_of_one_shape_keep_their_order_in_paddlex():
    cut = lines(*[(10, 20), (20, 40), (30, 60), (10, 10)] * 6)
    order = [i for batch in batches_of(cut, PADDLEX.batch) for i in batch]
    assert order == [*range(3, 24, 4), *(i for i in range(24) if i % 4 != 3)]


def test_a_line_is_padded_to_the_widest_of_its_batch_after_it_was_sized_alone_in_paddlex():
    """401 / 17 * 48 = 1132.2: alone the canvas is 1132 and cuts the line to it; PaddleOCR's wider one takes 1133."""
    cut = lines((17, 401), (48, 2000))
    tensor = batch_input(cut, PADDLEX.recognition, PADDLEX.batch)
    assert tensor.shape == (2, 3, 48, 2000)
    assert (tensor[0, :, :, :1132] == 1.0).all()
    assert (tensor[0, :, :, 1132:] == 0.0).all()
    assert tensor[0, :, :, :1132].tobytes() == recognition_input(cut[0], PADDLEX.recognition)[0].tobytes()
    older = batch_input(cut, PPOCR.recognition, PPOCR.batch)
    assert older.shape == tensor.shape
    assert (older[0, :, :, 1132] == 1.0).all()
    assert (older[0, :, :, 1133:] == 0.0).all()


@pytest.mark.parametrize("rules", [PPOCR, PADDLEX])
def test_a_batch_of_one_is_the_line_alone(rules):
    (line,) = lines((20, 333))
    alone = recognition_input(line, rules.recognition)
    assert batch_input([line], rules.recognition, rules.batch).tobytes() == alone.tobytes()


@pytest.mark.parametrize("rules", [PPOCR, PADDLEX])
def test_no_batch_is_wider_than_the_bound(rules):
    assert batch_input(lines((10, 10), (10, 9000)), rules.recognition, rules.batch).shape == (2, 3, 48, 3200)


@pytest.mark.parametrize("workers", [1, 3])
def test_texts_come_back_in_reading_order_whatever_the_batches(workers):
    """Each line is its grey value: below 100 it reads "a", else "b"."""
    image = np.zeros((400, 600, 3), np.uint8)
    boxes, expected = [], []
    for row in range(8):
        width = 40 + (row * 170) % 500
        value = 60 if row % 3 else 200
        image[row * 50 : row * 50 + 20, :width] = value
        boxes.append([[0, row * 50], [width, row * 50], [width, row * 50 + 20], [0, row * 50 + 20]])
        expected.append("a" if row % 3 else "b")
    sizes = []

    def recognise(x):
        sizes.append(len(x))
        found = [1 if one[0, 24, 10] < 0 else 2 for one in x]
        return np.eye(4, dtype=np.float32)[found][:, None]

    rules = PPOCR.in_batches_of(3)
    pipeline = OcrPipeline(rules, Runs(lambda x: x, (recognise,) * workers), CHARACTERS)
    read = pipeline.recognise(image, np.array(boxes, np.float32))
    pipeline.close()
    assert [line.text for line in read] == expected
    assert sorted(sizes) == [2, 3, 3]
    assert all(len(line.seconds) == 3 and min(line.seconds) >= 0 for line in read)
    one_by_one = OcrPipeline(replace(rules, batch=None), Runs(lambda x: x, (recognise,)), CHARACTERS)
    assert [line.text for line in one_by_one.recognise(image, np.array(boxes, np.float32))] == expected
