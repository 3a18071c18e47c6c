"""A program as Paddle Lite's operators, without opt. In: a program and its parameters. Out: the values of a ``.nb``
file (``model_opt.nb.write_nb`` writes it), or a ``LowerError`` that names the operator.
"""

from __future__ import annotations

from model_opt.lower.errors import LowerError
from model_opt.lower.lowering import lower
from model_opt.lower.target import NEWEST, RUNTIMES, Target

__all__ = ["NEWEST", "RUNTIMES", "LowerError", "Target", "lower"]
