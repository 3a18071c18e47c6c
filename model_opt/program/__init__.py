"""The one program in memory. Files of Paddle and Paddle Lite are read into it and written from it; passes, quantisation
and lowering change it. Nothing here knows a file format.
"""

from __future__ import annotations

from model_opt.program.ir import (
    DTYPES,
    ELEMENT_TYPES,
    Attr,
    AttrType,
    AttrValue,
    Block,
    Op,
    Program,
    Var,
    VarExtra,
    VarType,
    attr_of,
)
from model_opt.program.kernel import LAYOUTS, PRECISIONS, TARGETS, Kernel
from model_opt.program.model import Model

__all__ = [
    "DTYPES",
    "ELEMENT_TYPES",
    "LAYOUTS",
    "PRECISIONS",
    "TARGETS",
    "Attr",
    "AttrType",
    "AttrValue",
    "Block",
    "Kernel",
    "Model",
    "Op",
    "Program",
    "Var",
    "VarExtra",
    "VarType",
    "attr_of",
]
