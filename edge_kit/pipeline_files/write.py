"""Settings as PaddleX 3's pipeline file, with every key of its own ``OCR.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_kit.pipeline_files.names import LINE_ORIENTATION, PADDLEX_ENGINES, PAGE_ORIENTATION, UNWARPING
from edge_kit.spec.model import SpecProfile

_NO_BOUND = 1_000_000
"""Stands for 'no bound' where PaddleX wants a number: far above the side of any image that fits into memory."""


def paddlex_document(settings: Mapping[str, Any], rules: SpecProfile, det: str, rec: str) -> dict[str, Any]:
    """Return a pipeline file of PaddleX 3 as a mapping.

    ``settings`` are the fields of ``PipelineSettings``; ``rules`` the profile with the settings' overrides; ``det`` and
    ``rec`` the models by name or path.
    """
    pages, lines = bool(settings["use_doc_orientation_classify"]), bool(settings["use_textline_orientation"])
    unwarp = bool(settings["use_doc_unwarping"])
    document: dict[str, Any] = {
        "pipeline_name": "OCR",
        "text_type": "general",
        "use_doc_preprocessor": pages or unwarp,
        "use_textline_orientation": lines,
    }
    if settings["engine"] in PADDLEX_ENGINES:
        document["engine"] = PADDLEX_ENGINES[settings["engine"]]
    if settings["enable_hpi"]:
        document["use_hpip"] = True
    if settings["hpi_config"] is not None:
        document["hpi_config"] = dict(settings["hpi_config"])
    document["SubPipelines"] = {"DocPreprocessor": _pages(settings, pages, unwarp)}
    document["SubModules"] = {
        "TextDetection": _detection(rules, det),
        "TextLineOrientation": {
            "module_name": "textline_orientation",
            **_model(settings["textline_orientation_model"] or LINE_ORIENTATION),
            "batch_size": 6,
        },
        "TextRecognition": {
            "module_name": "text_recognition",
            **_model(rec),
            "batch_size": rules.batch.size if rules.batch else 1,
            "score_thresh": rules.result.drop_score,
            **({} if settings["return_word_box"] is None else {"return_word_box": settings["return_word_box"]}),
        },
    }
    return document


def _pages(settings: Mapping[str, Any], pages: bool, unwarp: bool) -> dict[str, Any]:
    orientation = settings["doc_orientation_model"] or PAGE_ORIENTATION
    return {
        "pipeline_name": "doc_preprocessor",
        "use_doc_orientation_classify": pages,
        "use_doc_unwarping": unwarp,
        "SubModules": {
            "DocOrientationClassify": {"module_name": "doc_text_orientation", **_model(orientation)},
            "DocUnwarping": {"module_name": "image_unwarping", **_model(UNWARPING)},
        },
    }


def _detection(rules: SpecProfile, det: str) -> dict[str, Any]:
    sides = rules.detection
    return {
        "module_name": "text_detection",
        **_model(det),
        "limit_side_len": sides.limit_side_len,
        "limit_type": sides.limit_type,
        "max_side_limit": _NO_BOUND if sides.max_side_limit is None else sides.max_side_limit,
        "thresh": rules.db.thresh,
        "box_thresh": rules.db.box_thresh,
        "unclip_ratio": rules.db.unclip_ratio,
    }


def _model(name: str) -> dict[str, Any]:
    """Return a model's two keys. PaddleX wants a name beside a folder too: the one in the folder's settings."""
    path = Path(name)
    if path.name == name:
        return {"model_name": name, "model_dir": None}
    from model_opt.formats.inference_yml import read_inference_yml

    settings = path / "inference.yml"
    stated = read_inference_yml(settings).model_name if settings.is_file() else None
    return {"model_name": stated or path.name, "model_dir": name}
