"""The kit's own pipeline file: its keys are the names of the settings."""

from __future__ import annotations

from typing import Any

from edge_kit.pipeline_files.document import Document
from edge_kit.pipeline_files.model import PipelineFile, Place

PATHS = ("det_model", "rec_model", "rec_dict", "cls_model", "textline_orientation_model", "doc_orientation_model")


def read_kit(document: Document) -> PipelineFile:
    """Read the kit's own form. Paths are taken from the file's folder; names and types are the settings' to check."""
    values = {str(key): value for key, value in document.values.items()}
    for key in (*PATHS, "bundle"):
        values[key] = _beside(document, values[key]) if key in values else None
    given = {key: value for key, value in values.items() if value is not None or key in document.values}
    places = {key: Place(key, document.lines.get(key)) for key in given}
    return PipelineFile("kit", given, (), places)


def _beside(document: Document, value: Any) -> Any:
    """Return the absolute path of what lies beside the file under that name, else the value as it is."""
    if document.path is None or not isinstance(value, str):
        return value
    path = document.path.parent / value
    return str(path.resolve()) if path.exists() else value
