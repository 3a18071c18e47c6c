"""Add the bias of a 1x1 convolution after its sum instead of before it.

The fp16 kernel of a 1x1 convolution starts each sum at the bias and rounds after every product, to the spacing of
numbers as large as the sum so far. Where the bias is large and the products are small, a sum that starts at zero is up
to four times nearer. opt puts an ``elementwise_add`` into the convolution in front of it but leaves an
``elementwise_sub`` of the negated bias alone, so that is how a late bias is written. It costs one more pass over the
layer's output, and another for the activation, which is then no longer fused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.emulator.half import fma_chain, gemm, rounded
from model_opt.program import Model
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import CONVS, Conv, conv_at
from model_opt.quantize.parallel import in_order
from model_opt.quantize.patches import Seen

# opt fuses these with an elementwise_sub, into a kernel that was not measured.
_FUSED = frozenset({"relu", "relu6"})
_MANY = 25
"""A depthwise filter of fewer products gains too little for one more pass."""
_ROWS = 64
"""Windows summed at once, so that what is worked on stays in the cache."""


def late_bias(
    model: Model, seen: Mapping[str, Seen], gain: float, parts: Mapping[str, int] | None = None
) -> tuple[Model, dict[str, float]]:
    """Return the model with late biases where the rounding error of the sums falls by the factor ``gain`` or more.

    Also returns that factor for each layer changed, measured with the kernel's own arithmetic on the windows in
    ``seen``. ``parts`` names layers that will be sums of so many, each over as many channels: of them the first part,
    which takes the bias, is measured.
    """
    editor, gains = GraphEditor(model, "late_bias"), dict[str, float]()
    found = [conv for conv in (conv_at(editor, op) for op in editor.each(*CONVS)) if conv is not None]
    convs = [conv for conv in found if conv.op.input("Filter") in seen and can_be_late(conv)]
    convs = [conv for conv in convs if seen[conv.op.input("Filter")].area > 1 and not _is_fused(editor, conv)]

    def errors_of(conv: Conv) -> tuple[float, float]:
        name = conv.op.input("Filter")
        first = conv.weight.shape[1] // (parts or {}).get(name, 1)
        one = dataclasses.replace(conv, weight=conv.weight[:, :first])
        return bias_errors(one, seen[name].sample[:, : one.weight[0].size * conv.groups])

    errors = in_order(errors_of, convs)
    for conv, (early, late) in zip(convs, errors, strict=True):
        if late * gain > early or conv.adder is None or conv.bias is None:
            continue
        gains[conv.op.input("Filter")] = early / late
        held = editor.changed_param(conv.adder, conv.adder.input("Y"), -conv.bias)
        editor.replace(conv.adder, dataclasses.replace(conv.adder.with_input("Y", held), type="elementwise_sub"))
        editor.note("late bias")
    return editor.finish()[0], gains


def can_be_late(conv: Conv) -> bool:
    """Return whether a bias behind the sum could be worth its pass: in gemm and in wide depthwise convolutions."""
    # The kernels of dense 3x3 convolutions add their biases last.
    by_gemm = conv.groups == 1 and not conv.transposed and conv.weight.shape[2:] != (3, 3)
    return conv.bias is not None and conv.adder is not None and (by_gemm or _wide_depthwise(conv))


def _is_fused(editor: GraphEditor, conv: Conv) -> bool:
    readers = editor.consumers(conv.out) or ()
    return not readers or any(reader.type in _FUSED for reader in readers)


def bias_errors(conv: Conv, sample: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Return the root mean square errors of the sums with the bias first and with the bias last."""
    if conv.groups > 1:
        return _depthwise_errors(conv, sample)
    weights = rounded(conv.weight.reshape(len(conv.weight), -1))
    bias = rounded(np.zeros(len(weights), np.float32) if conv.bias is None else conv.bias)
    columns = rounded(np.asarray(sample[: len(sample) // 4 * 4].T, np.float32))
    exact = weights.astype(np.float64) @ columns + bias[:, None]
    early, late = gemm(weights, columns, bias), rounded(gemm(weights, columns) + bias[:, None])
    first, last = (float(np.sqrt(np.mean((made - exact) ** 2))) for made in (early, late))
    return first, last


def _wide_depthwise(conv: Conv) -> bool:
    return not conv.transposed and conv.groups == len(conv.weight) > 1 and conv.weight[0].size >= _MANY


def _depthwise_errors(conv: Conv, sample: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """The same for a depthwise convolution, whose products are added in the order of the filter."""
    weights, bias = rounded(conv.weight.reshape(conv.groups, -1)), rounded(np.asarray(conv.bias, dtype=np.float32))
    taps = rounded(np.asarray(sample, np.float32)).reshape(len(sample), conv.groups, -1)
    exact = (taps.astype(np.float64) * weights).sum(axis=2) + bias
    early, late = np.empty(exact.shape, np.float32), np.empty(exact.shape, np.float32)
    for top in range(0, len(taps), _ROWS):
        some = np.ascontiguousarray(taps[top : top + _ROWS].transpose(2, 0, 1))
        factors = list(zip(some, weights.T, strict=True))
        early[top : top + _ROWS] = fma_chain(np.broadcast_to(bias, some.shape[1:]), factors)
        late[top : top + _ROWS] = fma_chain(np.zeros(some.shape[1:], np.float32), factors)
    first, last = (float(np.sqrt(np.mean((made - exact) ** 2))) for made in (early, rounded(late + bias)))
    return first, last
