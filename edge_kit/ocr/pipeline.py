"""The pipeline: one image in, one ``OcrResult`` out, with lines recognised side by side where engines allow it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr import steps
from edge_kit.ocr.batches import batch_input, batches_of, columns_of
from edge_kit.ocr.boxes import Boxes
from edge_kit.ocr.crop import crop_line
from edge_kit.ocr.detection import detection_input
from edge_kit.ocr.image import Image
from edge_kit.ocr.reading import page_of
from edge_kit.ocr.recognition import ctc_decode, ctc_read
from edge_kit.ocr.result import OcrResult
from edge_kit.ocr.steps import Detection, Upright
from edge_kit.ocr.tensor import Float32Array, Run
from edge_kit.ocr.words import NOWHERE, Columns
from edge_kit.spec.model import BatchRules, SpecProfile


@dataclass(frozen=True)
class Line:
    """One recognised line."""

    text: str
    score: float
    seconds: tuple[float, float, float]
    """Seconds spent on crop and input, in the model, and on decoding."""
    columns: Columns = NOWHERE
    """Where its characters were read."""
    turned: int = -1
    """See ``steps.Upright``."""


@dataclass(frozen=True)
class Runs:
    """The models of a pipeline. Each callable of ``recognise`` may run at the same time as the others."""

    detect: Run
    recognise: tuple[Run, ...]
    classify: Run | None = None
    """Which way up a line stands."""
    classify_page: Run | None = None
    """Which way up a page stands."""
    lone: Run | None = None
    """For the only line of an image: it may take all threads, and gives the same bits."""


class OcrPipeline:
    """Reads images by one profile of the specification.

    Lines are recognised one a run, or in the batches that the rules state: any other batching changes the text, since
    the recogniser attends over the padding. Several ``recognise`` callables share the runs of an image.
    """

    def __init__(self, rules: SpecProfile, runs: Runs, characters: Sequence[str]) -> None:
        self.rules = rules
        self.runs = runs
        self.characters = tuple(characters)
        self._pool = ThreadPoolExecutor(len(runs.recognise), "edge-kit-line")
        self._idle: SimpleQueue[Run] = SimpleQueue()
        for run in runs.recognise:
            self._idle.put(run)

    def under(self, rules: SpecProfile) -> OcrPipeline:
        """Return a pipeline with other rules on the same models and threads; closing either closes both."""
        other = copy(self)
        other.rules = rules
        return other

    def close(self) -> None:
        """Stop the line threads; the engines belong to the caller."""
        self._pool.shutdown(wait=True)

    def read(self, image: Image, input_path: str | None = None) -> OcrResult:
        """Return boxes, texts and scores of a BGR image; lines below the drop score are left out."""
        seconds: dict[str, float] = {}
        begin = time.perf_counter()
        image, orientation = self.upright_page(image, seconds)
        detection = self.detect(image, seconds)
        lines = self.recognise(image, detection.dt_polys)
        for step, spent in zip(("rec_pre", "rec", "rec_post"), _sum_seconds(lines), strict=True):
            seconds[step] = spent
        seconds["total"] = time.perf_counter() - begin
        kept = [i for i, line in enumerate(lines) if self.keeps(line)]
        return OcrResult(
            input_path=input_path,
            dt_polys=detection.dt_polys[kept].astype(np.int32),
            dt_scores=tuple(float(detection.dt_scores[i]) for i in kept),
            rec_texts=tuple(lines[i].text for i in kept),
            rec_scores=tuple(lines[i].score for i in kept),
            timings=seconds,
            image=image,
            page=page_of(self.rules, tuple(line.turned for line in lines), orientation),
            all_polys=None if len(kept) == len(lines) else detection.dt_polys.astype(np.int32),
            columns=tuple(lines[i].columns for i in kept),
        )

    def upright_page(self, image: Image, seconds: dict[str, float]) -> tuple[Image, int | None]:
        """Return a page the right way up and how it was turned; see ``steps.upright_page``."""
        if not self.rules.turns_pages:
            return image, None
        with _timed(seconds, "page"):
            return steps.upright_page(image, self.rules, self.runs.classify_page)

    def detect(self, image: Image, seconds: dict[str, float] | None = None) -> Detection:
        """Return the probability map and the boxes of an image; step times are added to ``seconds`` if given."""
        seconds = {} if seconds is None else seconds
        with _timed(seconds, "det_pre"):
            tensor = self.det_input(image)
        with _timed(seconds, "det"):
            prob_map = self.runs.detect(tensor)[0, 0]
        with _timed(seconds, "det_post"):
            height, width = image.shape[:2]
            boxes, scores = self.find_boxes(prob_map, height, width)
        return Detection(prob_map, boxes, scores)

    def det_input(self, image: Image) -> Float32Array:
        """Return the detector's input tensor for an image."""
        return detection_input(image, self.rules.detection)

    def find_boxes(self, prob_map: Float32Array, height: int, width: int) -> tuple[Boxes, NDArray[np.float64]]:
        """Return the boxes of a probability map in reading order, in pixels of the image, and their scores."""
        return steps.find_boxes(prob_map, height, width, self.rules)

    def cut_line(self, image: Image, box: NDArray[np.float32]) -> Image:
        """Return the upright line inside a box."""
        return crop_line(image, box, self.rules.crop)

    def keeps(self, line: Line) -> bool:
        """Return whether a line is part of the result."""
        return steps.keeps(line.score, self.rules)

    def recognise(self, image: Image, boxes: Boxes) -> list[Line]:
        """Return one ``Line`` for each box, in the order of ``boxes``, dropped ones included."""
        if self.rules.batch is not None and self.rules.batch.size > 1:
            return self._recognise_batches(image, boxes, self.rules.batch)
        if len(boxes) == 1 and self.runs.lone is not None:
            return [self._recognise_one(image, boxes[0], self.runs.lone)]
        if len(boxes) <= 1 or len(self.runs.recognise) == 1:
            return [self._recognise_one(image, box) for box in boxes]
        # The longest lines first: the threads then end at about the same time.
        longest_first = sorted(range(len(boxes)), key=lambda i: -_aspect(boxes[i]))
        futures = {i: self._pool.submit(self._recognise_one, image, boxes[i]) for i in longest_first}
        return [futures[i].result() for i in range(len(boxes))]

    def line_input(self, image: Image, box: NDArray[np.float32]) -> Float32Array:
        """Return the recogniser's input tensor for the line in ``box``, turned by the classifier if enabled."""
        return steps.upright_input(self.cut_line(image, box), self.rules, self.runs.classify)

    def probabilities(self, tensor: Float32Array) -> Float32Array:
        """Return the recogniser's output, float32 [n, steps, classes], for the input tensor of ``n`` lines."""
        with self._borrowed() as run:
            return run(tensor)

    def decode(self, probabilities: Float32Array) -> tuple[str, float]:
        """Return text and score of one line's recogniser output."""
        return ctc_decode(probabilities, self.characters, self.rules.ctc)

    def _recognise_one(self, image: Image, box: NDArray[np.float32], run: Run | None = None) -> Line:
        begin = time.perf_counter()
        cut = steps.upright(self.cut_line(image, box), self.rules, self.runs.classify)
        cutting = time.perf_counter() - begin
        (line,) = self._read_lines([cut], cutting, run)
        return line

    def _recognise_batches(self, image: Image, boxes: Boxes, rules: BatchRules) -> list[Line]:
        """Return the lines of an image, read in batches; times of a batch are shared out equally to its lines."""
        begin = time.perf_counter()
        cut = [steps.upright(self.cut_line(image, box), self.rules, self.runs.classify) for box in boxes]
        cutting = (time.perf_counter() - begin) / max(len(cut), 1)
        batches = batches_of([line.image for line in cut], rules)
        # The widest lines first: the threads then end at about the same time.
        futures = [self._pool.submit(self._read_lines, [cut[i] for i in batch], cutting) for batch in batches[::-1]]
        read: dict[int, Line] = {}
        for batch, future in zip(batches[::-1], futures, strict=True):
            read.update(zip(batch, future.result(), strict=True))
        return [read[i] for i in range(len(cut))]

    def _read_lines(self, lines: Sequence[Upright], cutting: float, run: Run | None = None) -> list[Line]:
        """Return the lines of one run, each with its share of the time and the seconds that its cutting took.

        Without ``run`` they wait for one of ``Runs.recognise``.
        """
        images = [line.image for line in lines]
        times = [time.perf_counter()]
        tensor = batch_input(images, self.rules.recognition, self.rules.batch)
        times.append(time.perf_counter())
        probabilities = self.probabilities(tensor) if run is None else run(tensor)
        times.append(time.perf_counter())
        decoded = [ctc_read(one[np.newaxis], self.characters, self.rules.ctc) for one in probabilities]
        times.append(time.perf_counter())
        before, inside, behind = ((end - start) / len(lines) for start, end in pairwise(times))
        widths = columns_of(images, probabilities.shape[1], self.rules.recognition)
        return [
            Line(one.text, one.score, (before + cutting, inside, behind), Columns(one.places, width), line.turned)
            for one, width, line in zip(decoded, widths, lines, strict=True)
        ]

    @contextmanager
    def _borrowed(self) -> Iterator[Callable[[Float32Array], Float32Array]]:
        run = self._idle.get()
        try:
            yield run
        finally:
            self._idle.put(run)


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - begin


def _sum_seconds(lines: Sequence[Line]) -> tuple[float, float, float]:
    pre, run, post = (sum(line.seconds[i] for line in lines) for i in range(3))
    return pre, run, post


def _aspect(box: NDArray[np.float32]) -> float:
    """Return the longer side over the shorter of a box: how wide its line will be at a fixed height."""
    sides = sorted((float(np.linalg.norm(box[0] - box[1])), float(np.linalg.norm(box[1] - box[2]))))
    return sides[1] / max(sides[0], 1.0)
