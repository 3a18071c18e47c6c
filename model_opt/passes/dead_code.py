"""Take out operators whose results nothing reads, and the variables and parameters that only they used."""

from __future__ import annotations

from model_opt.passes.draft import Draft
from model_opt.passes.report import PassReport
from model_opt.program import Model


def dead_code(model: Model) -> tuple[Model, PassReport]:
    """Remove what no output depends on. Operators that act on the outside or run other blocks always stay."""
    draft = Draft(model, "dead_code")
    draft.sweep()
    return draft.finish()
