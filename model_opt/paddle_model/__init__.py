"""Paddle inference models. In: ``.pdmodel`` and ``.pdiparams``. Out: values that graph passes work on, and files again.

Needs no paddlepaddle; ``PaddleModelError`` for what cannot be trusted.
"""

from __future__ import annotations

from model_opt.paddle_model.complete import complete
from model_opt.paddle_model.errors import PaddleModelError
from model_opt.paddle_model.model import (
    decode_model,
    output_classes,
    read_model,
    read_program,
    write_model,
)
from model_opt.paddle_model.params import SCALES_OF, integer_weights

__all__ = [
    "SCALES_OF",
    "PaddleModelError",
    "complete",
    "decode_model",
    "integer_weights",
    "output_classes",
    "read_model",
    "read_program",
    "write_model",
]
