"""The one place where the service meets the pipeline: options of a request, and PaddleX 3's ``res`` of a result.

Runs in a worker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge_kit.api import Pipeline
from edge_kit.ocr.image import Image
from edge_kit.ocr.result import OcrResult
from edge_kit.serve.errors import RequestError
from edge_kit.serve.schemas import OcrOptions
from edge_kit.spec.model import SpecProfile
from model_opt.errors import KitError

MAX_SIDE = 4000
"""Longest side in pixels of a detector's input that a request can ask for: PaddleX's ``max_side_limit``."""


@dataclass(frozen=True)
class Page:
    """One page as it was read: the result, and the rules that made it."""

    result: OcrResult
    rules: SpecProfile


def read_page(pipeline: Pipeline, image: Image, options: OcrOptions, max_long_side: int | None = None) -> Page:
    """Return what the pipeline reads in a BGR page under a request's options.

    Raises ``RequestError`` (422) for an option that the pipeline does not have or whose model is not loaded.
    """
    given = options.model_dump(
        exclude_none=True, include=set(OcrOptions.model_fields) - {"visualize", "logId", "fileType"}
    )
    try:
        ocr = pipeline.overridden({_snake(name): value for name, value in given.items()})
    except KitError as error:
        raise RequestError(422, error.what) from error
    sides = ocr.rules.detection
    if options.textDetLimitSideLen is not None or options.textDetLimitType is not None:
        sides = replace(sides, max_side_limit=min(sides.max_side_limit or MAX_SIDE, MAX_SIDE))
    if max_long_side is not None:
        sides = sides.limited_to(min(max_long_side, MAX_SIDE))
    ocr = ocr.under(replace(ocr.rules, detection=sides))
    return Page(ocr.read(image), ocr.rules)


def pruned_result(page: Page) -> Mapping[str, Any]:
    """Return PaddleX 3's ``res`` without ``input_path`` and ``page_index``, in its order, as JSON types."""
    result, rules = page.result, page.rules
    polys = result.dt_polys.tolist()
    angles = {"textline_orientation_angles": [-1] * len(polys)} if polys else {}
    return {
        "model_settings": {"use_doc_preprocessor": False, "use_textline_orientation": rules.classifier.enabled},
        "dt_polys": polys,
        "text_det_params": {
            "limit_side_len": rules.detection.limit_side_len,
            "limit_type": rules.detection.limit_type,
            "thresh": rules.db.thresh,
            "max_side_limit": rules.detection.max_side_limit or MAX_SIDE,
            "box_thresh": rules.db.box_thresh,
            "unclip_ratio": rules.db.unclip_ratio,
        },
        "text_type": "general",
        **angles,
        "text_rec_score_thresh": rules.result.drop_score,
        "return_word_box": False,
        "rec_texts": list(result.rec_texts),
        "rec_scores": list(result.rec_scores),
        "rec_polys": polys,
        "rec_boxes": [_upright(quad) for quad in polys],
    }


def _upright(quad: list[list[int]]) -> list[int]:
    xs, ys = [x for x, _ in quad], [y for _, y in quad]
    return [min(xs), min(ys), max(xs), max(ys)]


def _snake(name: str) -> str:
    """Return PaddleX's name of an option in Python for its name in JSON."""
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
