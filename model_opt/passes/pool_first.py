"""Average before a 1x1 convolution instead of behind it, where that makes the averaged tensor smaller.

The mean of W u + b is W mean(u) + b. When a 1x1 convolution reads the mean, both become one on few numbers.
"""

from __future__ import annotations

import numpy as np

from model_opt.paddle_model import Op, PaddleModel
from model_opt.passes.absorb import rewrite_conv
from model_opt.passes.draft import Draft
from model_opt.passes.ops import Conv, Float64Array, conv_at, conv_before
from model_opt.passes.report import PassReport


def pool_first(model: PaddleModel) -> tuple[PaddleModel, PassReport]:
    """Move averages over the whole image in front of 1x1 convolutions that widen."""
    draft = Draft(model, "pool_first")
    for op in draft.each("pool2d"):
        if _averages_all(op):
            _move(draft, op)
    return draft.finish()


def _averages_all(pool: Op) -> bool:
    whole = pool.attr("global_pooling", False) or (pool.attr("adaptive", False) and pool.attr("ksize") == (1, 1))
    return bool(whole) and pool.attr("pooling_type") == "avg" and pool.attr("data_format", "NCHW") == "NCHW"


def _move(draft: Draft, pool: Op) -> None:
    wide = conv_before(draft, pool.input("X"))
    reader = draft.only_consumer(pool.output("Out"))
    narrow = None if reader is None else conv_at(draft, reader)
    if wide is None or narrow is None or not wide.pointwise or not narrow.pointwise:
        return
    inputs = int(wide.weight.shape[1])
    if inputs >= wide.channels or draft.consumers(wide.source) is None:
        return
    dims = draft.dims(pool.output("Out"))
    if dims is not None and len(dims) == 4:
        draft.set_dims(pool.output("Out"), (dims[0], inputs, dims[2], dims[3]))
    draft.replace(pool, pool.with_input("X", wide.source))
    rewrite_conv(draft, narrow, *product(wide, narrow))
    draft.note("average in front of a 1x1 conv")


def product(first: Conv, second: Conv) -> tuple[Float64Array, Float64Array]:
    """Return the weight and bias of the one convolution that two are, the second being 1x1."""
    left = second.weight.astype(np.float64)[:, :, 0, 0]
    weight = np.einsum("om,miyx->oiyx", left, first.weight.astype(np.float64))
    bias = np.zeros(second.channels) if second.bias is None else second.bias.astype(np.float64)
    if first.bias is not None:
        bias = bias + left @ first.bias.astype(np.float64)
    return weight, bias
