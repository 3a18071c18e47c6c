"""Rewrites of a Paddle program that keep its results. In: a ``Model``. Out: a faster one, and reports.

Each pass is a function ``(Model) -> (Model, PassReport)`` that may run twice without harm; ``optimise``
runs them all. What a pass does not know, it leaves.
"""

from __future__ import annotations

from model_opt.passes.pipeline import PASSES, Pass, optimise
from model_opt.program.report import Left, PassReport

__all__ = ["PASSES", "Left", "Pass", "PassReport", "optimise"]
