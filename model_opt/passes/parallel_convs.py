"""Make one convolution of several that read one value and whose results are added: RepVGG's branches, left unfused.

Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", 2021: a smaller filter is a larger one with zeros around
it, and the value itself, where it is added too, is a filter of ones in the middle. The value is only taken in beside
two convolutions or in front of a batch normalisation; in a plain residual block it stays an addition, since ones beside
small weights cost them digits in fp16 and int8.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from model_opt.passes.propagate_affine import rewrite_conv
from model_opt.program import Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import Conv, Float64Array, conv_before, plain_binary
from model_opt.program.report import PassReport


def parallel_convs(model: Model) -> tuple[Model, PassReport]:
    """Merge convolutions of one value that are added, and the value itself; see the module."""
    editor = GraphEditor(model, "parallel_convs")
    merged: set[str] = set()
    while any(_merge(editor, op, merged) for op in editor.ops if op.type == "elementwise_add"):
        pass
    return editor.finish()


def _merge(editor: GraphEditor, total: Op, merged: set[str]) -> bool:
    """Merge one sum; ``merged`` holds the values that are sums of convolutions already."""
    if not plain_binary(total) or total.input("X") == total.input("Y"):
        return False
    sides = [total.input("X"), total.input("Y")]
    convs = [_branch(editor, name, total) for name in sides]
    first, second = convs
    if first is not None and second is not None:
        if not _alike(first, second):
            return False
        weight, bias = _sum(first, second)
        _replace(editor, total, (first, second), weight, bias)
        merged.add(total.output("Out"))
        editor.note("convolutions added")
        return True
    conv, other = (first, sides[1]) if first is not None else (second, sides[0])
    if conv is None or other != conv.source or not _keeps_sizes(editor, conv):
        return False
    if not _normalised(editor, total) and conv.out not in merged:
        return False
    _replace(editor, total, (conv,), conv.weight.astype(np.float64) + _ones(conv), _bias(conv))
    editor.note("value added to its convolution")
    return True


def _branch(editor: GraphEditor, name: str, total: Op) -> Conv | None:
    """Return the convolution that makes ``name`` for ``total`` alone, with a window that has a middle."""
    conv = conv_before(editor, name)
    if conv is None or conv.transposed or editor.only_consumer(name) is not total or conv.dilations != (1, 1):
        return None
    if str(conv.op.attr("padding_algorithm", "EXPLICIT")) != "EXPLICIT" or editor.is_output(total.output("Out")):
        return None
    return conv if all(side % 2 for side in conv.weight.shape[2:]) and _pads(conv) is not None else None


def _pads(conv: Conv) -> tuple[int, int] | None:
    """Return the padding above and at the left where both sides have the same."""
    pads = conv.paddings
    if len(pads) == 2:
        return pads[0], pads[1]
    return (pads[0], pads[2]) if len(pads) == 4 and pads[0] == pads[1] and pads[2] == pads[3] else None


def _alike(first: Conv, second: Conv) -> bool:
    """Return whether both windows stand around the same pixel of the same value, one no wider than the other is."""
    if first.source != second.source or first.strides != second.strides or first.groups != second.groups:
        return False
    if first.weight.shape[:2] != second.weight.shape[:2]:
        return False
    large, small = _by_size(first, second)
    gaps = [(large.weight.shape[2 + i] - small.weight.shape[2 + i]) // 2 for i in range(2)]
    outer, inner = _pads(large), _pads(small)
    return (
        min(gaps) >= 0
        and outer is not None
        and inner is not None
        and all(outer[i] - inner[i] == gaps[i] for i in range(2))
    )


def _by_size(first: Conv, second: Conv) -> tuple[Conv, Conv]:
    return (first, second) if first.weight[0, 0].size >= second.weight[0, 0].size else (second, first)


def _bias(conv: Conv) -> Float64Array:
    return np.zeros(conv.channels) if conv.bias is None else conv.bias.astype(np.float64)


def _sum(first: Conv, second: Conv) -> tuple[Float64Array, Float64Array]:
    """Return weight and bias of the two as one, in the window of the larger."""
    large, small = _by_size(first, second)
    gaps = [(large.weight.shape[2 + i] - small.weight.shape[2 + i]) // 2 for i in range(2)]
    around = [(0, 0), (0, 0), *((gap, gap) for gap in gaps)]
    weight = large.weight.astype(np.float64) + np.pad(small.weight.astype(np.float64), around)
    return weight, _bias(large) + _bias(small)


def _keeps_sizes(editor: GraphEditor, conv: Conv) -> bool:
    """Return whether the convolution gives as many channels, rows and columns as it reads."""
    pads, (height, width) = _pads(conv), conv.weight.shape[2:]
    same = conv.strides == (1, 1) and pads == (height // 2, width // 2)
    dims = editor.dims(conv.source)
    return same and conv.weight.shape[1] * conv.groups == conv.channels and dims is not None and len(dims) == 4


def _normalised(editor: GraphEditor, total: Op) -> bool:
    reader = editor.only_consumer(total.output("Out"))
    return reader is not None and reader.type == "batch_norm"


def _ones(conv: Conv) -> Float64Array:
    """Return the filter that hands each channel on."""
    ones = np.zeros(conv.weight.shape)
    each = conv.weight.shape[1]
    for channel in range(conv.channels):
        ones[channel, channel % each, conv.weight.shape[2] // 2, conv.weight.shape[3] // 2] = 1.0
    return ones


def _replace(editor: GraphEditor, total: Op, convs: Sequence[Conv], weight: Float64Array, bias: Float64Array) -> None:
    """Put one convolution, of the largest window, in the place of ``total``."""
    large = max(convs, key=lambda conv: conv.weight[0, 0].size)
    for conv in convs:
        editor.replace(conv.op)
        if conv.adder is not None:
            editor.replace(conv.adder)
    out = total.output("Out")
    made = large.op.with_output("Output", out)
    editor.replace(total, made)
    rewrite_conv(editor, dataclasses.replace(large, op=made, adder=None, bias=None, out=out), weight, bias)
