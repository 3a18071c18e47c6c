"""Make one convolution of a convolution and the 1x1 convolution behind it, where that saves multiplications."""

from __future__ import annotations

import dataclasses

import numpy as np

from model_opt.passes.propagate_affine import rewrite_conv
from model_opt.program import Model
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import Conv, Float64Array, conv_at
from model_opt.program.report import PassReport


def merge_convs(model: Model) -> tuple[Model, PassReport]:
    """Merge conv -> 1x1 conv without anything between; a bottleneck that saves work stays."""
    editor = GraphEditor(model, "merge_convs")
    while _merge_one(editor):
        pass
    return editor.finish()


def _merge_one(editor: GraphEditor) -> bool:
    for op in editor.ops:
        first = conv_at(editor, op)
        reader = None if first is None else editor.only_consumer(first.out)
        second = None if reader is None else conv_at(editor, reader)
        if first is None or second is None or first.transposed or first.groups != 1 or not second.pointwise:
            continue
        if not _saves(first, second):
            editor.leave(second.out, "two convolutions multiply less than one would")
            continue
        _merge(editor, first, second)
        return True
    return False


def _saves(first: Conv, second: Conv) -> bool:
    taps = int(first.weight[0].size)
    return second.channels * taps <= first.channels * (taps + second.channels)


def _merge(editor: GraphEditor, first: Conv, second: Conv) -> None:
    weight, bias = _product(first, second)
    editor.replace(second.op)
    if first.adder is not None:
        editor.replace(first.adder)
    made = first.op.with_output("Output", second.op.output("Output"))
    editor.replace(first.op, made)
    rewrite_conv(editor, dataclasses.replace(second, op=made), weight, bias)
    editor.note("conv and 1x1 conv")


def _product(first: Conv, second: Conv) -> tuple[Float64Array, Float64Array]:
    """Return the weight and bias of the one convolution that two are, the second being 1x1."""
    left = second.weight.astype(np.float64)[:, :, 0, 0]
    weight = np.einsum("om,miyx->oiyx", left, first.weight.astype(np.float64))
    bias = np.zeros(second.channels) if second.bias is None else second.bias.astype(np.float64)
    if first.bias is not None:
        bias = bias + left @ first.bias.astype(np.float64)
    return weight, bias
