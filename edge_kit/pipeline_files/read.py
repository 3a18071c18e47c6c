"""Tell the kind of a pipeline file by its content, and read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edge_kit.pipeline_files.document import Document, MissingKey, misspelt, read_document
from edge_kit.pipeline_files.early import read_beta1, read_early
from edge_kit.pipeline_files.kit import read_kit
from edge_kit.pipeline_files.model import Kind, PipelineFile
from edge_kit.pipeline_files.paddlex3 import read_paddlex3

_READERS: Mapping[Kind, Callable[[Document], PipelineFile]] = {
    "kit": read_kit,
    "paddlex-early": read_early,
    "paddlex-3.0b1": read_beta1,
    "paddlex-3": read_paddlex3,
}


def read_pipeline_file(path: Path) -> PipelineFile:
    """Read a pipeline file of the kit or of PaddleX. Raises ``PipelineFileError`` with the key and its line."""
    return pipeline_file(read_document(path))


def pipeline_file(document: Document) -> PipelineFile:
    """Return what a parsed pipeline file says, whichever its kind.

    Where a key is missing and another one is nearly a known one, that one is named first.
    """
    try:
        return _READERS[kind_of(document)](document)
    except MissingKey as error:
        found = misspelt(document)
        if found is None:
            raise
        place, meant = found
        where = "" if place.line is None else f"line {place.line}: "
        what = f"{where}{place.key} is not a key that the kit knows; so {error.what}"
        raise MissingKey(what, path=document.path, hint=f"did you mean {meant}?") from error


def kind_of(document: Document) -> Kind:
    """Return the kind of a pipeline file; the name of the file plays no part.

    Raises ``PipelineFileError`` for a file that mixes two kinds.
    """
    values = document.values
    if "Pipeline" in values:
        names = values["Pipeline"] if isinstance(values["Pipeline"], Mapping) else {}
        early, beta1 = ({f"{prefix}det_model", f"{prefix}rec_model"} & set(names) for prefix in ("", "text_"))
        if "SubModules" in values or bool(early) == bool(beta1):
            raise MissingKey(
                "the section Pipeline is of no form that PaddleX had",
                path=document.path,
                hint="write either det_model and rec_model there, or text_det_model and text_rec_model; "
                "PaddleX 3 has SubModules instead of Pipeline",
            )
        return "paddlex-early" if early else "paddlex-3.0b1"
    return "paddlex-3" if {"SubModules", "SubPipelines", "pipeline_name"} & set(values) else "kit"
