"""A program as Paddle Lite's operators, without opt. In: a ``Source``. Out: the values of a ``.nb`` file
(``model_opt.nb.write_nb`` writes it), or a ``LowerError`` that names the operator.
"""

from __future__ import annotations

from model_opt.lower.errors import LowerError
from model_opt.lower.lowering import lower
from model_opt.lower.paddle import source_of
from model_opt.lower.source import Attr, Source, SourceOp, Variable
from model_opt.lower.target import NEWEST, RUNTIMES, Target

__all__ = [
    "NEWEST",
    "RUNTIMES",
    "Attr",
    "LowerError",
    "Source",
    "SourceOp",
    "Target",
    "Variable",
    "lower",
    "source_of",
]
