"""The one place where the service meets the pipeline: options of a request, and PaddleX 3's ``res`` of a result.

Runs in a worker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge_kit.api import Pipeline
from edge_kit.ocr.image import Image
from edge_kit.ocr.result import OcrResult
from edge_kit.ocr.schemas import paddlex_3_body, plain
from edge_kit.serve.errors import RequestError
from edge_kit.serve.schemas import OcrOptions
from model_opt.errors import KitError

MAX_SIDE = 4000
"""Longest side in pixels of a detector's input that a request can ask for: PaddleX's ``max_side_limit``."""

_OF_THE_SERVICE = {"visualize", "logId", "fileType"}
"""Options that the pipeline has nothing to do with."""


def read_page(pipeline: Pipeline, image: Image, options: OcrOptions, max_long_side: int | None = None) -> OcrResult:
    """Return what the pipeline reads in a BGR page under a request's options.

    Raises ``RequestError`` (422) for an option that the pipeline does not have or whose model is not loaded.
    """
    given = options.model_dump(exclude_none=True, include=set(OcrOptions.model_fields) - _OF_THE_SERVICE)
    try:
        ocr = pipeline.overridden({_snake(name): value for name, value in given.items()})
    except KitError as error:
        raise RequestError(422, error.what) from error
    sides = ocr.rules.detection
    if options.textDetLimitSideLen is not None or options.textDetLimitType is not None:
        sides = replace(sides, max_side_limit=min(sides.max_side_limit or MAX_SIDE, MAX_SIDE))
    if max_long_side is not None:
        sides = sides.limited_to(min(max_long_side, MAX_SIDE))
    result = ocr.under(replace(ocr.rules, detection=sides)).read(image)
    words = pipeline.settings.return_word_box if options.returnWordBox is None else options.returnWordBox
    return replace(result, schema="paddlex-3", return_word_box=bool(words))


def pruned_result(result: OcrResult) -> Mapping[str, Any]:
    """Return PaddleX 3's ``res`` without ``input_path`` and ``page_index``, as JSON types."""
    pruned: Mapping[str, Any] = _pruned(plain(paddlex_3_body(result)))
    return pruned


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if key not in ("input_path", "page_index")}
    return [_pruned(item) for item in value] if isinstance(value, list) else value


def _snake(name: str) -> str:
    """Return PaddleX's name of an option in Python for its name in JSON."""
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
