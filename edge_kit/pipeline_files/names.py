"""PaddleX's names for models and engines, and the kit's for the same."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from model_opt.errors import KitError
from model_opt.resources import home_dir
from model_opt.zoo import load_zoo

ENGINES: Mapping[str, str] = {"paddle": "server", "paddle_static": "server", "onnxruntime": "onnx"}
"""PaddleX's inference engine -> the kit's engine."""

PADDLEX_ENGINES: Mapping[str, str] = {"server": "paddle", "onnx": "onnxruntime"}
"""The kit's engine -> what PaddleX calls it."""

ABSENT_ENGINES = ("paddle_dynamic", "transformers")

PAGE_ORIENTATION, UNWARPING = "PP-LCNet_x1_0_doc_ori", "UVDoc"
LINE_ORIENTATION = "PP-LCNet_x1_0_textline_ori"
"""What PaddleX's own OCR.yaml names for the three models beside detector and recogniser."""


KEYS = frozenset(
    {
        "Global", "Pipeline", "Serving", "SubModules", "SubPipelines", "pipeline_name", "input",
        "det_model", "rec_model", "det_device", "rec_device", "device", "batch_size", "rec_batch_size",
        "text_det_model", "text_rec_model", "text_det_batch_size", "text_rec_batch_size",
        "use_hpip", "hpi_config", "hpi_params", "pp_option", "engine", "engine_config", "text_type",
        "use_doc_preprocessor", "use_doc_orientation_classify", "use_doc_unwarping", "use_textline_orientation",
        "DocPreprocessor", "DocOrientationClassify", "DocUnwarping",
        "TextDetection", "TextLineOrientation", "TextRecognition",
        "module_name", "model_name", "model_dir", "limit_side_len", "limit_type", "max_side_limit",
        "thresh", "box_thresh", "unclip_ratio", "score_thresh", "return_word_box", "input_shape",
    }
)  # fmt: skip
"""Every key of PaddleX's pipeline files that the kit knows, of all their forms and levels."""


def nearest(key: str, known: Iterable[str]) -> str | None:
    """Return which of the ``known`` keys was probably meant; case, underscores and hyphens do not count."""
    folded = {name.lower().replace("_", ""): name for name in known}
    like = difflib.get_close_matches(key.lower().replace("_", "").replace("-", ""), folded, n=1, cutoff=0.8)
    return folded[like[0]] if like else None


def engine_name(name: str) -> str:
    """Return the kit's name of an engine for the kit's or PaddleX's; raise ``KitError`` for one that it lacks."""
    if name in ABSENT_ENGINES:
        raise KitError(
            f"PaddleX's engine {name!r} runs models in another form, and the kit has no such engine",
            hint=f"use one of: {', '.join(ENGINES)}",
        )
    return ENGINES.get(name, name)


def model_named(name: str) -> str:
    """Return a model's name, or the folder where PaddleX keeps it if the kit does not know the name."""
    name = name.strip()
    folder = paddlex_models() / name
    if name and "/" not in name and name not in load_zoo().names and folder.is_dir():
        return str(folder)
    return name


def paddlex_models() -> Path:
    """Return the folder where PaddleX keeps the models that it has downloaded."""
    home = os.environ.get("PADDLE_PDX_CACHE_HOME")
    return (Path(home) if home else home_dir() / ".paddlex") / "official_models"
