"""Static int8: ``calib`` from fp32, and convolutions that end in fp32 or in int8 again.

Products are summed in int32, so order and algorithm (gemm, direct, Winograd) cannot show; here they are summed in
float64, which holds every such sum exactly. What rounds is the end: one fused multiply-add in float32 by the scale of
the channel, then half away from zero and a limit of +-127 (``gemm_prepacked_int8.cc``, ``type_trans.cc``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_opt.emulator.fp32 import fused_act, relu_of
from model_opt.emulator.state import Float32, Values
from model_opt.emulator.window import channelwise, exact_sums
from model_opt.nb.translate.view import OpView

_MOST = 127


def quantise(values: Float32) -> NDArray[np.int8]:
    """Round half away from zero and limit to +-127, as ``fcvtas`` does; NaN becomes -127, as ``bif`` does."""
    wide = values.astype(np.float64)
    rounded = np.trunc(wide + np.copysign(0.5, wide))
    limited = np.where(rounded >= -_MOST, np.minimum(rounded, _MOST), -_MOST)
    return limited.astype(np.int8)


def fp32_to_int8(op: OpView, values: Values) -> None:
    """``calib``: multiply by the reciprocal of the scale in float32, then round."""
    x = values.one(op, "Input", np.float32)
    scale = op.real("scale")
    if scale <= 0:
        op.fail(f"the attribute 'scale' is {scale}")
    values.put(op, "Out", quantise(x * (np.float32(1) / np.float32(scale))))


def int8_to_fp32(op: OpView, values: Values) -> None:
    """``calib``: multiply by the scale in float32."""
    x = values.one(op, "Input", np.int8)
    values.put(op, "Out", x.astype(np.float32) * np.float32(op.real("scale")))


def _scale(op: OpView, name: str, count: int) -> Float32:
    scales = np.array(op.floats(name), dtype=np.float32)
    if len(scales) not in (1, count):
        op.fail(f"the attribute {name!r} has {len(scales)} values for {count} channels")
    return np.broadcast_to(scales, (count,))


def _activated(op: OpView, y: Float32, out_scale: np.float32) -> Float32:
    """Apply the fused activation to values in units of ``out_scale``, in float32 as the kernels do.

    hard_swish is only fused into 1x1 products; its three constants are divided by the unit of an int8 output
    (``conv_gemmlike.cc``), then y / scale * min(max(y + offset, 0), threshold) (``gemm_prepacked_int8.cc``).
    """
    if fused_act(op) != "hard_swish":
        return np.maximum(y, np.float32(0)) if relu_of(op) else y
    names = ("hard_swish_scale", "hard_swish_offset", "hard_swish_threshold")
    divisor, offset, threshold = (np.float32(op.real(name)) / out_scale for name in names)
    gate = np.minimum(np.maximum(y + offset, np.float32(0)), threshold)
    return np.asarray(y * (np.float32(1) / divisor) * gate, dtype=np.float32)


def _convolve(op: OpView, values: Values, out_scale: np.float32) -> Float32:
    """Return the convolution in units of ``out_scale``, with bias and activation, rounded to float32 once."""
    op.must("enable_int8", True)
    op.must("bit_length", 8)
    weights = values.one(op, "Filter", np.int8)
    sums = exact_sums(op, values.one(op, "Input", np.int8), weights)
    channels = weights.shape[0]
    scales = _scale(op, "Filter0_scale", channels) * _scale(op, "Input0_scale", 1)[0] / out_scale
    bias = values.optional(op, "Bias", np.float32)
    offset = np.zeros(channels, np.float32) if bias is None else bias.reshape(channels) / out_scale
    y = sums * channelwise(scales.astype(np.float64)) + channelwise(offset.astype(np.float64))
    return _activated(op, np.asarray(y, dtype=np.float32), out_scale)


def conv_fp32_out(op: OpView, values: Values) -> None:
    """``conv2d`` and ``depthwise_conv2d`` from int8 to fp32."""
    values.put(op, "Output", _convolve(op, values, np.float32(1)))


def conv_int8_out(op: OpView, values: Values) -> None:
    """``conv2d`` and ``depthwise_conv2d`` from int8 to int8."""
    scale = _scale(op, "Output0_scale", 1)[0]
    values.put(op, "Output", quantise(_convolve(op, values, scale)))
