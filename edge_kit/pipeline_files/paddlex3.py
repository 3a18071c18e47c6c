"""PaddleX 3.x's pipeline file, and the one that PaddleOCR 3.7 exports."""

from __future__ import annotations

from typing import Any

from edge_kit.pipeline_files.document import Document, Section
from edge_kit.pipeline_files.draft import Draft
from edge_kit.pipeline_files.model import PipelineFile
from edge_kit.spec import profile

PROFILE = "paddlex-3"

_MISSING = "paddlex-v4"
"""The profile whose values PaddleX takes for keys that a file lacks (``inference/pipelines/ocr/pipeline.py``)."""

_SWITCHED_OFF = "switched off in this file"
_THRESHOLDS = (
    ("limit_side_len", "text_det_limit_side_len", "whole number"),
    ("thresh", "text_det_thresh", "number"),
    ("box_thresh", "text_det_box_thresh", "number"),
    ("unclip_ratio", "text_det_unclip_ratio", "number"),
)
_AS_THE_PROFILE = ("PP-OCRv4", "PP-OCRv5")
"""Detectors whose ``inference.yml`` states the profile's own thresholds; those of PP-OCRv6 differ."""


def read_paddlex3(document: Document) -> PipelineFile:
    """Read a pipeline file with ``SubModules``. A key that it lacks gets the value that PaddleX gives it.

    Raises ``PipelineFileError`` for another pipeline, another type of text, a fixed input shape, a wrong type.
    """
    top, draft = Section(document), Draft(document)
    draft.pipeline_name(top)
    text_type = top.take("text_type", "text", "general")
    if text_type != "general":
        raise top.fault("text_type", f"is {text_type!r}, and the kit reads 'general' only", "use general")
    modules = top.section("SubModules")
    draft.set("spec", PROFILE)
    draft.set("result_schema", PROFILE)
    _pages(draft, top)
    _line_orientation(draft, top, modules)
    _detection(draft, modules)
    _recognition(draft, modules)
    draft.engine(top)
    draft.run_options(top, "engine_config")
    draft.value("enable_hpi", top, "use_hpip", "True or False")
    draft.value("hpi_config", top, "hpi_config", "mapping")
    if top.take("batch_size", "whole number", 1) != 1:
        draft.ignore(top, "batch_size", "images are read one after the other")
    draft.ignore(top, "Serving", "of PaddleX's server")
    draft.left(modules)
    draft.left(top)
    return draft.made("paddlex-3")


def _pages(draft: Draft, top: Section) -> None:
    """The page orientation classifier and unwarping; both are on where a file does not say otherwise."""
    used = top.take("use_doc_preprocessor", "True or False", True)
    pipelines = top.section("SubPipelines")
    if not used:
        draft.set("use_doc_orientation_classify", False, top.place("use_doc_preprocessor"))
        draft.set("use_doc_unwarping", False, top.place("use_doc_preprocessor"))
        draft.ignore(pipelines, "DocPreprocessor", _SWITCHED_OFF)
        draft.left(pipelines)
        return
    if "DocPreprocessor" not in pipelines:
        what = "is missing, and use_doc_preprocessor is not False"
        raise pipelines.missing("DocPreprocessor", what, "write 'use_doc_preprocessor: False' at the top level")
    part = pipelines.section("DocPreprocessor")
    part.take("pipeline_name", "text")
    modules = part.section("SubModules")
    for key, module, setting in (
        ("use_doc_orientation_classify", "DocOrientationClassify", "doc_orientation_model"),
        ("use_doc_unwarping", "DocUnwarping", None),
    ):
        draft.value(key, part, key, "True or False", True)
        if setting is None or not part.take(key, "True or False", True):
            why = _SWITCHED_OFF if setting else "the kit does not unwarp pages"
            draft.ignore(modules, module, why)
        else:
            _module(draft, modules.section(module), setting, "doc_text_orientation")
    for rest in (modules, part, pipelines):
        draft.left(rest)


def _line_orientation(draft: Draft, top: Section, modules: Section) -> None:
    """The classifier of lines that stand on their head; on where a file does not say otherwise."""
    draft.value("use_textline_orientation", top, "use_textline_orientation", "True or False", True)
    if not top.take("use_textline_orientation", "True or False", True):
        draft.ignore(modules, "TextLineOrientation", _SWITCHED_OFF)
        return
    part = modules.section("TextLineOrientation")
    part.take("batch_size", "whole number")  # each line is classified by itself, as with 1
    _module(draft, part, "textline_orientation_model", "textline_orientation")


def _detection(draft: Draft, modules: Section) -> None:
    part, missing = modules.section("TextDetection"), profile(_MISSING)
    defaults: dict[str, Any] = {
        "limit_side_len": missing.detection.limit_side_len,
        "thresh": missing.db.thresh,
        "box_thresh": missing.db.box_thresh,
        "unclip_ratio": missing.db.unclip_ratio,
    }
    for key, setting, kind in _THRESHOLDS:
        value = part.take(key, kind, defaults[key])
        if value == 0:
            _zero(draft, part, key)
        else:
            draft.set(setting, value, part.place(key))
    draft.value("text_det_limit_type", part, "limit_type", "text", missing.detection.limit_type)
    most = profile(PROFILE).detection.max_side_limit
    draft.value("text_det_max_side_limit", part, "max_side_limit", "whole number", most)
    _no_input_shape(part)
    _module(draft, part, "det_model", "text_detection")


def _recognition(draft: Draft, modules: Section) -> None:
    part = modules.section("TextRecognition")
    draft.value("rec_batch_size", part, "batch_size", "whole number", 1)
    draft.value("text_rec_score_thresh", part, "score_thresh", "number", 0.0)
    draft.value("return_word_box", part, "return_word_box", "True or False")
    _no_input_shape(part)
    _module(draft, part, "rec_model", "text_recognition")


def _module(draft: Draft, part: Section, setting: str, module: str) -> None:
    """Take a sub-module's model, check what it is, and note what is left of its keys."""
    found = part.take("module_name", "text", module)
    if found != module:
        raise part.fault("module_name", f"is {found!r}, and {module!r} belongs here")
    draft.module(setting, part)
    for key in ("use_hpip", "hpi_config", "engine", "engine_config", "device"):
        draft.ignore(part, key, "one choice holds for the complete pipeline: write it at the top level")
    draft.left(part)


def _no_input_shape(part: Section) -> None:
    if "input_shape" in part:
        raise part.fault("input_shape", "fixes the size of the model's input, which the kit does not do", "remove it")
    part.take("input_shape", "mapping")


def _zero(draft: Draft, part: Section, key: str) -> None:
    """PaddleX takes a zero here as not given, and then the value in the model's ``inference.yml``."""
    name = part.take("model_name", "text", "")
    if "model_dir" in part or not name.startswith(_AS_THE_PROFILE):
        hint = f"write the {key} of that file"
        raise part.fault(key, "is 0, which makes PaddleX take the value in the model's inference.yml", hint)
    draft.ignore(part, key, "PaddleX takes 0 as not given, and so does the kit")
