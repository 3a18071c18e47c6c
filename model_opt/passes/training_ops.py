"""Take out what exists only for training: dropout, and operators of the backward pass and the optimiser."""

from __future__ import annotations

from model_opt.passes.draft import Draft
from model_opt.passes.ops import number
from model_opt.passes.report import PassReport
from model_opt.program import AttrType, Model, Op

_BACKWARD, _OPTIMISE, _LR = 1, 2, 16
"""Bits of the attribute ``op_role``: Paddle marks what a training program runs beside the forward pass."""


def training_ops(model: Model) -> tuple[Model, PassReport]:
    """Remove dropout that is in test mode (or turn it into its constant factor), and operators marked as training."""
    draft = Draft(model, "training_ops")
    needed = {name for op in draft.ops if not _is_training(op) for name in op.input_names}
    for op in draft.ops:
        if _is_training(op) and not needed.intersection(op.output_names):
            draft.replace(op)
            draft.note(op.type)
    for op in draft.each("dropout"):
        _drop_dropout(draft, op)
    return draft.finish()


def _is_training(op: Op) -> bool:
    role = op.attr("op_role", 0)
    return isinstance(role, int) and bool(role & (_BACKWARD | _OPTIMISE | _LR)) and op.type not in ("feed", "fetch")


def _drop_dropout(draft: Draft, op: Op) -> None:
    out, mask = op.output("Out"), op.outputs.get("Mask", ())
    if not op.attr("is_test", False):
        draft.leave(out, "dropout is not in test mode")
    elif any(draft.consumers(name) != () for name in mask):
        draft.leave(out, "something reads the mask of dropout")
    elif op.attr("dropout_implementation", "downgrade_in_infer") != "upscale_in_train":
        kept = 1.0 - number(op, "dropout_prob", 0.5)
        scale = Op("scale", {"X": (op.input("X"),)}, {"Out": (out,)}).with_attr("scale", kept, AttrType.FLOAT)
        draft.replace(op, scale.with_attr("bias", 0.0, AttrType.FLOAT).with_attr("bias_after_scale", True))
        draft.note("dropout into a factor")
    elif draft.bypass(op, op.input("X"), out):
        draft.note("dropout")
