"""Remove what exists only for training: dropout, and operators of the backward pass and the optimiser."""

from __future__ import annotations

from model_opt.program import AttrType, Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import number
from model_opt.program.report import PassReport

_BACKWARD, _OPTIMISE, _LR = 1, 2, 16
"""Bits of the attribute ``op_role``: Paddle marks what a training program runs beside the forward pass."""


def training_ops(model: Model) -> tuple[Model, PassReport]:
    """Remove dropout that is in test mode (or turn it into its constant factor), and operators marked as training."""
    editor = GraphEditor(model, "training_ops")
    needed = {name for op in editor.ops if not _is_training(op) for name in op.input_names}
    for op in editor.ops:
        if _is_training(op) and not needed.intersection(op.output_names):
            editor.replace(op)
            editor.note(op.type)
    for op in editor.each("dropout"):
        _drop_dropout(editor, op)
    return editor.finish()


def _is_training(op: Op) -> bool:
    role = op.attr("op_role", 0)
    return isinstance(role, int) and bool(role & (_BACKWARD | _OPTIMISE | _LR)) and op.type not in ("feed", "fetch")


def _drop_dropout(editor: GraphEditor, op: Op) -> None:
    out, mask = op.output("Out"), op.outputs.get("Mask", ())
    if not op.attr("is_test", False):
        editor.leave(out, "dropout is not in test mode")
    elif any(editor.consumers(name) != () for name in mask):
        editor.leave(out, "something reads the mask of dropout")
    elif op.attr("dropout_implementation", "downgrade_in_infer") != "upscale_in_train":
        kept = 1.0 - number(op, "dropout_prob", 0.5)
        scale = Op("scale", {"X": (op.input("X"),)}, {"Out": (out,)}).with_attr("scale", kept, AttrType.FLOAT)
        editor.replace(op, scale.with_attr("bias", 0.0, AttrType.FLOAT).with_attr("bias_after_scale", True))
        editor.note("dropout into a factor")
    elif editor.bypass(op, op.input("X"), out):
        editor.note("dropout")
