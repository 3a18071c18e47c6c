"""Rows as Parquet: nested columns, one schema for each result schema of the kit."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_kit.verify.compare import Measures
from model_opt.fs import disk_faults

COMPARE = "compare"
"""The schema of a comparison's rows."""

_COMMON = {
    "index": "int64", "path": "text", "member": "text", "page_index": "int32", "size": "int64", "sha256": "text",
    "engine": "text", "error": "text", "seconds": "float", "width": "int32", "height": "int32",
}  # fmt: skip
_WORDS = {"text_word": "word_texts", "text_word_boxes": "polys"}
_BETA1 = {"dt_polys": "polys", "dt_scores": "floats", "rec_text": "texts", "rec_score": "floats"}
_COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "kit": {
        "dt_polys": "polys", "dt_scores": "floats", "rec_texts": "texts", "rec_scores": "floats", **_WORDS,
        "timings": "times",
    },
    "paddlex-3": {
        "model_settings": {"use_doc_preprocessor": "bool", "use_textline_orientation": "bool"},
        "doc_preprocessor_res": {
            "input_path": "text", "page_index": "int32", "angle": "int32",
            "model_settings": {"use_doc_orientation_classify": "bool", "use_doc_unwarping": "bool"},
        },
        "dt_polys": "polys",
        "text_det_params": {
            "limit_side_len": "int32", "limit_type": "text", "thresh": "float", "max_side_limit": "int32",
            "box_thresh": "float", "unclip_ratio": "float",
        },
        "text_type": "text", "textline_orientation_angles": "ints", "text_rec_score_thresh": "float",
        "return_word_box": "bool", "rec_texts": "texts", "rec_scores": "floats", "rec_polys": "polys",
        "rec_boxes": "boxes", **_WORDS,
    },
    "beta1": _BETA1,
    "seed": _BETA1,
}  # fmt: skip
"""Columns behind the common ones, by result schema; a mapping is a struct."""


def columns_of(schema: str) -> Mapping[str, Any]:
    """Return the columns of a schema and their kinds; a mapping of kinds is a struct."""
    return {**_COMMON, **(_compared() if schema == COMPARE else _COLUMNS[schema])}


def _compared() -> Mapping[str, Any]:
    none = Measures()
    sums = {
        part: {name: "float" if isinstance(value, float) else "int64" for name, value in values.items()}
        for part, values in asdict(none).items()
    }
    return {
        "reference": "text",
        "equal": "bool",
        "metrics": dict.fromkeys(none.metrics(), "float"),
        "measures": sums,
        "reference_texts": "texts",
        "candidate_texts": "texts",
    }


def parquet_bytes(rows: Iterable[Mapping[str, Any]], schema: str) -> bytes:
    """Return rows as a Parquet file. A path that is not UTF-8 is written with ``\\udcXX`` for its odd bytes."""
    import pyarrow
    from pyarrow import parquet

    fields = pyarrow.schema([(name, _type(kind)) for name, kind in columns_of(schema).items()])
    table = pyarrow.Table.from_pylist([_encodable(row) for row in rows], schema=fields)
    target = io.BytesIO()
    parquet.write_table(table, target, compression="zstd")
    return target.getvalue()


def parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file as the JSON types that they were; a field of null is left out of a result."""
    from pyarrow import parquet

    with disk_faults("read the results", path), path.open("rb") as file:
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=256):
            for row in batch.to_pylist(maps_as_pydicts="strict"):
                yield {name: value for name, value in row.items() if value is not None or name in _NULLABLE}


_NULLABLE = frozenset({"member", "page_index", "size", "sha256", "error"})
"""Common fields that are null where there is nothing to say."""


def _type(kind: Any) -> Any:
    """Return the Arrow type of a kind of column."""
    import pyarrow as arrow

    if isinstance(kind, Mapping):
        return arrow.struct([(name, _type(inner)) for name, inner in kind.items()])
    boxes = arrow.list_(arrow.list_(arrow.int32()))
    return {
        "int32": arrow.int32(),
        "int64": arrow.int64(),
        "float": arrow.float64(),
        "bool": arrow.bool_(),
        "text": arrow.string(),
        "ints": arrow.list_(arrow.int32()),
        "floats": arrow.list_(arrow.float64()),
        "texts": arrow.list_(arrow.string()),
        "word_texts": arrow.list_(arrow.list_(arrow.string())),
        "boxes": boxes,
        "polys": arrow.list_(boxes),
        "times": arrow.map_(arrow.string(), arrow.float64()),
    }[kind]


def _encodable(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }
