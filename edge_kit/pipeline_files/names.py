"""PaddleX's names for models and engines, and the kit's for the same."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
