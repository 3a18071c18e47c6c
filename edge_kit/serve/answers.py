"""Answers as JSON, in the schema of the request. Runs in a worker."""

from __future__ import annotations

import base64
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edge_kit.api import Pipeline
from edge_kit.ocr.image import Image
from edge_kit.ocr.result import OcrResult
from edge_kit.serve.bodies import Request
from edge_kit.serve.documents import Bounds, Document, open_document
from edge_kit.serve.errors import unreadable
from edge_kit.serve.reading import pruned_result, read_page

MAX_PICTURE = 2000
"""Longest side in pixels of a picture in an answer (PaddleX's ``max_output_img_size``)."""


@dataclass(frozen=True)
class Page:
    """A page as it came, and what was read on it."""

    image: Image
    result: OcrResult


@dataclass(frozen=True)
class Answer:
    """A body, the number of pages read, and the seconds of each step over all pages."""

    body: bytes
    pages: int
    seconds: dict[str, float]


def answer(pipeline: Pipeline, request: Request, log_id: str, bounds: Bounds, *, visualize: bool) -> Answer:
    """Read every page of a request and return the answer's body. Raises ``RequestError`` for what cannot be read."""
    assert request.data is not None
    clock = _Clock()
    kind = 1 if request.schema == "early" else request.options.fileType
    document = open_document(request.data, kind, bounds, pipeline.ocr.rules.image.alpha)
    pages = (
        Page(image, read_page(pipeline, image, request.options, request.max_long_side))
        for image in clock.each("decode", document.pages)
    )
    if request.schema == "early":
        result, count = _early(next(iter(pages)), clock), 1
    else:
        wanted = request.options.visualize
        result, count = _today(document, pages, clock, visualize if wanted is None else wanted)
    success = {"errorCode": 0, "errorMsg": "Success"}
    today = request.schema == "today"
    with_envelope = {"logId": log_id} | ({"result": result, **success} if today else {**success, "result": result})
    return Answer(to_json(with_envelope), count, dict(clock.seconds))


def to_json(values: Any) -> bytes:
    """Return values as compact JSON in UTF-8; a lone surrogate becomes an escape."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _today(document: Document, pages: Iterable[Page], clock: _Clock, visualize: bool) -> tuple[dict[str, Any], int]:
    results: list[dict[str, Any]] = []
    sizes: list[dict[str, int]] = []
    for page in pages:
        clock.add(page)
        sizes.append({"width": page.image.shape[1], "height": page.image.shape[0]})
        entry: dict[str, Any] = {"prunedResult": pruned_result(page.result)}
        if visualize:
            entry |= clock.timed(
                "draw", lambda page=page: {"ocrImage": _drawn(page), "inputImage": _picture(page.image)}
            )
        results.append(entry)
    if not results:
        raise unreadable("it has no pages", None)
    single = document.kind == "image"
    info = {**sizes[0], "type": "image"} if single else {"numPages": len(sizes), "pages": sizes, "type": document.kind}
    return {"ocrResults": results, "dataInfo": info}, len(results)


def _early(page: Page, clock: _Clock) -> dict[str, Any]:
    clock.add(page)
    lines = zip(page.result.dt_polys.tolist(), page.result.rec_texts, page.result.rec_scores, strict=True)
    texts = [{"poly": poly, "text": text, "score": score} for poly, text, score in lines]
    return {"texts": texts, "image": clock.timed("draw", lambda: _drawn(page))}


def _drawn(page: Page) -> str:
    """Return the picture with boxes and texts, base64 of a JPEG."""
    drawn = np.asarray(page.result.img["ocr_res_img"], dtype=np.uint8)
    return _picture(drawn[:, :, ::-1])


def _picture(image: Image) -> str:
    """Return a BGR picture as base64 of a JPEG, reduced to fit a square of ``MAX_PICTURE`` pixels."""
    height, width = image.shape[:2]
    scale = min(1.0, MAX_PICTURE / max(height, width))
    if scale < 1.0:
        size = max(1, int(width * scale)), max(1, int(height * scale))
        image = np.asarray(cv2.resize(image, size), dtype=np.uint8)
    return base64.b64encode(cv2.imencode(".jpg", np.ascontiguousarray(image))[1].tobytes()).decode("ascii")


class _Clock:
    """Seconds of each step, summed over pages."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def each(self, step: str, items: Iterable[Any]) -> Iterable[Any]:
        """Yield the items; the time that each takes to come is the step's."""
        iterator = iter(items)
        while True:
            begin = time.perf_counter()
            item = next(iterator, None)
            self.seconds[step] += time.perf_counter() - begin
            if item is None:
                return
            yield item

    def timed(self, step: str, work: Any) -> Any:
        """Return what ``work`` returns; its time is the step's."""
        begin = time.perf_counter()
        done = work()
        self.seconds[step] += time.perf_counter() - begin
        return done

    def add(self, page: Page) -> None:
        """Add the steps of a page's result."""
        for step, spent in page.result.timings.items():
            self.seconds[step] += spent
