"""The kit's own pipeline file: its keys are the names of the settings."""

from __future__ import annotations

from typing import Any

from edge_kit.pipeline_files.document import Document
from edge_kit.pipeline_files.model import PipelineFile, Place
from model_opt.resources import expanded

PATHS = ("det_model", "rec_model", "rec_dict", "cls_model", "textline_orientation_model", "doc_orientation_model")


def read_kit(document: Document) -> PipelineFile:
    """Read the kit's own form. Paths are taken from the file's folder; names and types are the settings' to check.

    A key without a value, or with null, keeps its default.
    """
    given = {str(key): value for key, value in document.values.items() if value is not None}
    for key in (*PATHS, "bundle"):
        if key in given:
            given[key] = _beside(document, given[key])
    places = {key: Place(key, document.lines.get(key)) for key in given}
    return PipelineFile("kit", given, (), places)


def _beside(document: Document, value: Any) -> Any:
    """Return the absolute path of what lies beside the file under that name, else the value as it is."""
    if document.path is None or not isinstance(value, str):
        return value
    path = document.path.parent / expanded(value)
    return str(path.resolve()) if value and path.exists() else value
