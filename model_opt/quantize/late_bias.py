"""Biases added behind the sum of a 1x1 convolution instead of in front of it.

The fp16 kernel of a 1x1 convolution starts each sum at the bias and rounds after every product, to the spacing of
numbers as large as the sum so far. Where the bias is large and the products are small, a sum that starts at zero is up
to four times nearer. opt puts an ``elementwise_add`` into the convolution in front of it but leaves an
``elementwise_sub`` of the negated bias alone, so that is how a late bias is written. It costs one more pass over the
layer's output, and another for the activation, which is then no longer fused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from model_opt.nb.exact.half import fma, gemm, rounded
from model_opt.paddle_model import PaddleModel
from model_opt.passes.draft import Draft
from model_opt.passes.ops import CONVS, Conv, conv_at
from model_opt.quantize.observe import Float32Array
from model_opt.quantize.patches import Seen

# opt fuses these with an elementwise_sub, into a kernel nobody has measured.
_FUSED = frozenset({"relu", "relu6"})
_MANY = 25
"""A depthwise filter of fewer products gains too little for one more pass."""


def late_bias(model: PaddleModel, seen: Mapping[str, Seen], gain: float) -> tuple[PaddleModel, dict[str, float]]:
    """Return the model with late biases where the rounding error of the sums falls by the factor ``gain`` or more.

    Also returns that factor for each layer changed, measured with the kernel's own arithmetic on the windows in
    ``seen``.
    """
    draft, gains = Draft(model, "late_bias"), dict[str, float]()
    for op in draft.each(*CONVS):
        conv = conv_at(draft, op)
        name = op.input("Filter")
        if conv is None or conv.bias is None or conv.adder is None or name not in seen:
            continue
        if not conv.pointwise and not _wide_depthwise(conv):
            continue
        readers = draft.consumers(conv.out) or ()
        if seen[name].area == 1 or not readers or any(reader.type in _FUSED for reader in readers):
            continue
        early, late = bias_errors(conv, seen[name].sample)
        if late * gain > early:
            continue
        gains[name] = early / late
        held = draft.changed_param(conv.adder, conv.adder.input("Y"), -conv.bias)
        draft.replace(conv.adder, dataclasses.replace(conv.adder.with_input("Y", held), type="elementwise_sub"))
        draft.note("late bias")
    return draft.finish()[0], gains


def bias_errors(conv: Conv, sample: Float32Array) -> tuple[float, float]:
    """Return the root mean square errors of the sums with the bias first and with the bias last."""
    if conv.groups > 1:
        return _depthwise_errors(conv, sample)
    weights = rounded(conv.weight.reshape(len(conv.weight), -1))
    bias = rounded(np.zeros(len(weights), np.float32) if conv.bias is None else conv.bias)
    columns = rounded(sample[: len(sample) // 4 * 4].T)
    exact = weights.astype(np.float64) @ columns + bias[:, None]
    early, late = gemm(weights, columns, bias), rounded(gemm(weights, columns) + bias[:, None])
    first, last = (float(np.sqrt(np.mean((made - exact) ** 2))) for made in (early, late))
    return first, last


def _wide_depthwise(conv: Conv) -> bool:
    return not conv.transposed and conv.groups == len(conv.weight) > 1 and conv.weight[0].size >= _MANY


def _depthwise_errors(conv: Conv, sample: Float32Array) -> tuple[float, float]:
    """The same for a depthwise convolution, whose products are added in the order of the filter."""
    weights, bias = rounded(conv.weight.reshape(conv.groups, -1)), rounded(np.asarray(conv.bias, dtype=np.float32))
    taps = rounded(sample).reshape(len(sample), conv.groups, -1)
    exact = (taps.astype(np.float64) * weights).sum(axis=2) + bias
    early, late = np.broadcast_to(bias, exact.shape), np.zeros(exact.shape, np.float32)
    for k in range(taps.shape[2]):
        factors = np.broadcast_to(weights[:, k], exact.shape)
        early, late = fma(early, taps[:, :, k], factors), fma(late, taps[:, :, k], factors)
    first, last = (float(np.sqrt(np.mean((made - exact) ** 2))) for made in (early, rounded(late + bias)))
    return first, last
