"""Paddle inference models. In: ``.pdmodel`` and ``.pdiparams``. Out: values that graph passes work on, and files again.

Needs no paddlepaddle; ``PaddleModelError`` for what cannot be trusted.
"""

from __future__ import annotations

from model_opt.paddle_model.complete import complete
from model_opt.paddle_model.errors import PaddleModelError
from model_opt.paddle_model.model import (
    PaddleModel,
    decode_model,
    output_classes,
    read_model,
    read_program,
    write_model,
)
from model_opt.paddle_model.params import SCALES_OF, integer_weights
from model_opt.paddle_model.program import Attr, AttrType, AttrValue, Block, Op, Program, Var, VarKind, attr_of

__all__ = [
    "SCALES_OF",
    "Attr",
    "AttrType",
    "AttrValue",
    "Block",
    "Op",
    "PaddleModel",
    "PaddleModelError",
    "Program",
    "Var",
    "VarKind",
    "attr_of",
    "complete",
    "decode_model",
    "integer_weights",
    "output_classes",
    "read_model",
    "read_program",
    "write_model",
]
