"""Take out operators whose results nothing reads, and the variables and parameters that only they used."""

from __future__ import annotations

from model_opt.program import Model
from model_opt.program.editor import GraphEditor
from model_opt.program.report import PassReport


def dead_code(model: Model) -> tuple[Model, PassReport]:
    """Remove what no output depends on. Operators that act on the outside or run other blocks always stay."""
    editor = GraphEditor(model, "dead_code")
    editor.sweep()
    return editor.finish()
