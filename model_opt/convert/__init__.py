"""Convert Paddle models to ``.nb`` files. In: a model, options, a converter. Out: a canonical file that was read back,
or an error that names the operator. ``OwnWriter`` is the default; opt (``opt_tool``) is the other converter.
"""

from __future__ import annotations

from model_opt.convert.cached import converted
from model_opt.convert.errors import ConvertError
from model_opt.convert.find import CONVERTERS, find_converter
from model_opt.convert.options import (
    PLACE_OF_KERNELS,
    Converter,
    ConvertOptions,
    ModelPair,
)
from model_opt.convert.own import OwnWriter

__all__ = [
    "CONVERTERS",
    "PLACE_OF_KERNELS",
    "ConvertError",
    "ConvertOptions",
    "Converter",
    "ModelPair",
    "OwnWriter",
    "converted",
    "find_converter",
]
