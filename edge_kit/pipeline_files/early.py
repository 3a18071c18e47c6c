"""PaddleX's pipeline files before 3.0: the first form (``det_model``) and that of 3.0-beta1 (``text_det_model``)."""

from __future__ import annotations

from edge_kit.pipeline_files.document import Document, Section
from edge_kit.pipeline_files.draft import Draft
from edge_kit.pipeline_files.model import PipelineFile

PROFILE = "paddlex-3.0b1"


def read_early(document: Document) -> PipelineFile:
    """Read the first form: ``Pipeline: det_model, det_device, rec_model, rec_batch_size, rec_device``.

    ``device`` and ``batch_size``, which later files of this form have, are understood too.
    """
    draft, part = _begun(document)
    draft.model("det_model", part, "det_model")
    draft.model("rec_model", part, "rec_model")
    for key in ("device", "det_device", "rec_device"):
        draft.value(key, part, key, "text")
    draft.value("rec_batch_size", part, "rec_batch_size", "whole number")
    draft.set("result_schema", "seed")
    _one_image_at_a_time(draft, part, "batch_size")
    draft.left(part)
    return draft.made("paddlex-early")


def read_beta1(document: Document) -> PipelineFile:
    """Read the form of 3.0-beta1: ``Global`` and ``Pipeline: text_det_model, text_rec_model, …``."""
    draft, part = _begun(document)
    draft.model("det_model", part, "text_det_model")
    draft.model("rec_model", part, "text_rec_model")
    draft.value("device", part, "device", "text")
    draft.value("rec_batch_size", part, "text_rec_batch_size", "whole number")
    draft.value("enable_hpi", part, "use_hpip", "True or False")
    draft.set("result_schema", "beta1")
    _one_image_at_a_time(draft, part, "text_det_batch_size")
    draft.ignore(part, "hpi_params", "the settings of beta1's plug-in; use hpi_config")
    draft.run_options(part, "pp_option")
    draft.left(part)
    return draft.made("paddlex-3.0b1")


def _begun(document: Document) -> tuple[Draft, Section]:
    """Return a draft with what both forms share, and the section ``Pipeline``."""
    top = Section(document)
    draft = Draft(document)
    about, part = top.section("Global"), top.section("Pipeline")
    draft.pipeline_name(about)
    draft.ignore(about, "input", "images are given to predict or on the command line")
    draft.left(about)
    draft.left(top)
    draft.set("spec", PROFILE)
    return draft, part


def _one_image_at_a_time(draft: Draft, part: Section, key: str) -> None:
    if part.take(key, "whole number", 1) != 1:
        draft.ignore(part, key, "images are read one after the other")
