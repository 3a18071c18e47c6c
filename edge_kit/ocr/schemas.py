"""The forms that a result has for the reader of its files: the kit's own, and those of PaddleX's generations.

Source of the fields, their order, types and file names: ``result.py`` of ``pipelines/ocr`` and
``pipelines/doc_preprocessor`` and ``common/result/mixin.py`` in PaddleX 3.7, ``results/ocr.py`` in 3.0-beta1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr.reading import Reading, bounds_of
from model_opt.errors import KitError

KIT = "kit"
"""The default."""


@dataclass(frozen=True)
class Schema:
    """How a result is written."""

    name: str
    body: Callable[[Reading], dict[str, Any]]
    """What files hold: the fields in their order, arrays and tuples as they are."""
    fields: Callable[[Reading], dict[str, Any]]
    """What ``result[…]`` and ``result.json`` hold."""
    json_key: str | None
    """What ``result.json`` holds the body under, None for the body itself."""
    json_suffix: str
    """Behind the stem of a JSON file's name."""
    image_key: str | None
    """The picture's key in ``result.img``, None for the picture itself."""
    image_suffix: str
    """Behind the stem of a picture's name."""
    prints_json: bool
    """Whether ``print()`` writes JSON unless asked otherwise."""
    newline: bool
    """Whether a JSON file ends with a line break."""


def schema_of(name: str) -> Schema:
    """Return the schema called ``name``; raise ``KitError`` that lists the known ones."""
    if name not in SCHEMAS:
        raise KitError(f"unknown result schema {name!r}", hint=f"use one of: {', '.join(SCHEMAS)}")
    return SCHEMAS[name]


def kit_body(result: Reading) -> dict[str, Any]:
    """Return the kit's own fields; ``page_index`` is one of them for a page of a document alone."""
    body: dict[str, Any] = {
        "input_path": result.input_path,
        **({} if result.page_index is None else {"page_index": result.page_index}),
        "dt_polys": result.dt_polys,
        "dt_scores": result.dt_scores,
        "rec_texts": result.rec_texts,
        "rec_scores": result.rec_scores,
    }
    if result.return_word_box:
        body |= {"text_word": plain(result.text_word), "text_word_boxes": list(result.text_word_boxes)}
    return body | {"timings": {name: round(seconds, 6) for name, seconds in result.timings.items()}}


def kit_fields(result: Reading) -> dict[str, Any]:
    """Return the kit's own fields, and those of PaddleX 3 that they lack."""
    return kit_body(result) | {
        key: value for key, value in paddlex_3_body(result).items() if key not in kit_body(result)
    }


def paddlex_3_body(result: Reading) -> dict[str, Any]:
    """Return the fields of PaddleX 3's ``res``; ``dt_polys`` holds what was found before the score filter."""
    page, found = result.page, result.found_polys
    body: dict[str, Any] = {"input_path": result.input_path, "page_index": result.page_index}
    body["model_settings"] = {
        "use_doc_preprocessor": page.orientation is not None,
        "use_textline_orientation": page.use_textline_orientation,
    }
    if page.orientation is not None:
        body["doc_preprocessor_res"] = {
            "input_path": None,
            "page_index": None,
            "model_settings": {"use_doc_orientation_classify": True, "use_doc_unwarping": False},
            "angle": page.orientation,
        }
    body |= {"dt_polys": _short(found), "text_det_params": page.text_det_params, "text_type": "general"}
    if len(found):
        body["textline_orientation_angles"] = list(page.line_classes)
    body |= {
        "text_rec_score_thresh": page.score_thresh,
        "return_word_box": result.return_word_box,
        "rec_texts": list(result.rec_texts),
        "rec_scores": list(result.rec_scores),
        "rec_polys": _short(result.dt_polys),
        "rec_boxes": bounds_of(result.dt_polys).astype(np.int16) if len(result.dt_polys) else np.array([]),
    }
    if result.return_word_box:
        body |= {"text_word_boxes": list(result.text_word_boxes), "text_word": plain(result.text_word)}
    return body


def beta1_body(result: Reading) -> dict[str, Any]:
    """Return the fields of PaddleX 3.0-beta1."""
    return {
        "input_path": result.input_path,
        "dt_polys": result.dt_polys.tolist(),
        "dt_scores": list(result.dt_scores),
        "rec_text": list(result.rec_texts),
        "rec_score": list(result.rec_scores),
    }


def _short(polys: NDArray[np.int32]) -> list[NDArray[np.int16]]:
    """Return polygons as PaddleX holds them: a list of arrays of 16-bit integers."""
    return list(polys.astype(np.int16))


def plain(value: Any) -> Any:
    """Return arrays, tuples and mappings as JSON types."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


SCHEMAS = {
    schema.name: schema
    for schema in (
        Schema(KIT, kit_body, kit_fields, "res", "", "ocr_res_img", "", prints_json=True, newline=True),
        Schema(
            "paddlex-3", paddlex_3_body, paddlex_3_body, "res", "_res", "ocr_res_img", "_ocr_res_img",
            prints_json=False, newline=False,
        ),
        Schema("beta1", beta1_body, beta1_body, None, "", None, "", prints_json=True, newline=False),
        Schema("seed", beta1_body, beta1_body, None, "", None, "", prints_json=True, newline=False),
    )
}  # fmt: skip
