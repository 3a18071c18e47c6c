"""Add the outputs and attributes that Paddle Lite demands and newer Paddle leaves out (``paddle_model.complete``)."""

from __future__ import annotations

from model_opt.paddle_model import complete
from model_opt.program import Model
from model_opt.program.report import PassReport, op_count


def complete_ops(model: Model) -> tuple[Model, PassReport]:
    """Make every operator one that Paddle Lite loads; the last pass, since others leave such outputs out."""
    made, added = complete(model)
    count = op_count(model)
    return made, PassReport("complete_ops", count, count, tuple(added.items()))
