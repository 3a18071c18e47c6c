"""Fold batch normalisation into the convolution in front of it."""

from __future__ import annotations

import numpy as np

from model_opt.passes.propagate_affine import rewrite_conv
from model_opt.program import Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import affine, conv_before, number
from model_opt.program.report import PassReport


def fold_batch_norm(model: Model) -> tuple[Model, PassReport]:
    """Turn conv -> batch_norm (on its stored statistics) into a conv with a bias; others are left with the reason."""
    editor = GraphEditor(model, "fold_batch_norm")
    for op in editor.each("batch_norm"):
        reason = _fold(editor, op)
        if reason is None:
            editor.note("batch_norm into conv")
        else:
            editor.leave(op.outputs.get("Y", ("?",))[0], reason)
    return editor.finish()


def _fold(editor: GraphEditor, op: Op) -> str | None:
    """Fold one; return why not."""
    if not (op.attr("is_test", False) or op.attr("use_global_stats", False)) or op.attr("trainable_statistics", False):
        return "it computes the statistics of its input"
    if op.attr("data_layout", "NCHW") != "NCHW" or op.attr("fuse_with_relu", False):
        return "it has another layout, or a fused activation"
    scale, shift, mean, variance = (
        editor.param(op.inputs[key][0]) if len(op.inputs.get(key, ())) == 1 else None
        for key in ("Scale", "Bias", "Mean", "Variance")
    )
    source = op.inputs.get("X", ("",))[0]
    conv = conv_before(editor, source)
    if conv is None:
        return "its input is not a convolution"
    if editor.only_consumer(source) is not op:
        return "the convolution has other readers"
    if editor.is_output(op.output("Y")) or editor.consumers(op.output("Y")) is None:
        return "the model's output, or another block, uses its name"
    if scale is None or shift is None or mean is None or variance is None:
        return "its statistics are not parameters"
    wide = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + number(op, "epsilon", 1e-5))
    if wide.shape != (conv.channels,) or shift.shape != wide.shape or mean.shape != wide.shape:
        return "its statistics do not fit the convolution"
    change = affine(wide, shift.astype(np.float64) - mean * wide)
    if not change.finite:
        return "its statistics are not finite"
    weight = conv.weight.astype(np.float64)
    if conv.transposed:
        rows = wide.reshape(conv.groups, 1, -1, 1, 1)
        weight = (weight.reshape(conv.groups, -1, *weight.shape[1:]) * rows).reshape(weight.shape)
    else:
        weight = weight * wide[:, None, None, None]
    bias = np.zeros(conv.channels) if conv.bias is None else conv.bias.astype(np.float64)
    editor.replace(op)
    editor.move_reads(op.output("Y"), source)
    rewrite_conv(editor, conv, weight, bias * change.scale + change.shift)
    return None
