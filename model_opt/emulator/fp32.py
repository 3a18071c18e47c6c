"""The fp32 kernels between the int8 and fp16 ones.

Sums of convolutions run in float64 and are rounded once: the order of ARM's sums differs from any host's, and the
rounded exact sum is the centre of all orders.
"""

from __future__ import annotations

from math import erf, sqrt

import numpy as np

from model_opt.emulator.state import Array, Float32, Values
from model_opt.emulator.window import channelwise, exact_sums, patches, read_pool, transposed_window, unfolded
from model_opt.nb.translate.view import OpView

_erf = np.frompyfunc(erf, 1, 1)
_NORM_BLOCK = 16


def _f32(values: Array) -> Float32:
    return np.asarray(values, dtype=np.float32)


def gelu(op: OpView, x: Float32) -> Array:
    """x / 2 (1 + erf(x / sqrt 2))."""
    op.must("approximate", False)
    wide = x.astype(np.float64)
    return np.asarray(0.5 * wide * (1 + np.asarray(_erf(wide / sqrt(2)), np.float64)))


def relu6(op: OpView, x: Float32) -> Array:
    """min(max(x, 0), 6): the kernel knows no other threshold (``activation_compute.cc``)."""
    op.must("threshold", 6.0)
    return np.clip(x, np.float32(0), np.float32(6))


def hard_sigmoid(op: OpView, x: Float32) -> Array:
    """min(max(slope x + offset, 0), 1)."""
    return np.clip(x * np.float32(op.real("slope")) + np.float32(op.real("offset")), 0, 1)


def hard_swish(op: OpView, x: Float32, prefix: str = "") -> Array:
    """min(max(x + offset, 0), threshold) * x / scale; ``prefix`` begins the names of the three attributes."""
    offset, threshold, divisor = (np.float32(op.real(prefix + name)) for name in ("offset", "threshold", "scale"))
    return np.clip(x + offset, np.float32(0), threshold) * x * (np.float32(1) / divisor)


def scale(op: OpView, x: Float32) -> Array:
    """x * scale + bias."""
    op.must("bias_after_scale", True)
    op.must("activation_type", "")
    return x * np.float32(op.real("scale")) + np.float32(op.real("bias"))


def add_relu(x: Float32, y: Float32) -> Float32:
    """max(x + y, 0)."""
    return _f32(np.maximum(x + y, np.float32(0)))


def affine_channel(op: OpView, values: Values) -> None:
    """X * Scale + Bias for each channel; whether the compiler fuses the two shows in fp16 and int8 in ties only."""
    op.must("data_layout", "NCHW")
    x, factor, shift = (values.one(op, slot, np.float32) for slot in ("X", "Scale", "Bias"))
    if x.ndim != 4 or factor.shape != (x.shape[1],) or shift.shape != factor.shape:
        op.fail(f"an input of {list(x.shape)} for factors of {list(factor.shape)} and {list(shift.shape)}")
    values.put(op, "Out", x * channelwise(factor) + channelwise(shift))


def layer_norm(op: OpView, values: Values) -> None:
    """(x - mean) / sqrt(variance + epsilon) * Scale + Bias over the sides from begin_norm_axis on (``norm.cc``)."""
    x = values.one(op, "X", np.float32)
    axis = op.integer("begin_norm_axis")
    flat = x.reshape(int(np.prod(x.shape[:axis])), -1)
    gain, shift = values.optional(op, "Scale", np.float32), values.optional(op, "Bias", np.float32)
    gain = np.ones(flat.shape[1], np.float32) if gain is None else gain.reshape(-1)
    shift = np.zeros(flat.shape[1], np.float32) if shift is None else shift.reshape(-1)
    mean, variance = _moments(flat)
    scale = np.float32(1) / np.sqrt(np.float32(op.real("epsilon")) + variance)
    full = flat.shape[1] // _NORM_BLOCK * _NORM_BLOCK
    centred = flat - mean
    left = centred[:, :full] * (gain[:full] * scale) + shift[:full]
    right = (centred[:, full:] * scale) * gain[full:] + shift[full:]
    values.put(op, "Y", np.concatenate([left, right], axis=1).reshape(x.shape))
    op.outputs("Mean")
    op.outputs("Variance")


def _moments(flat: Float32) -> tuple[Float32, Float32]:
    """Return mean and variance of each row, [n, 1]: one pass in float32, in the engine's order of additions.

    Four lanes, sixteen values at a time; the last size % 16 values one by one.
    """
    size, full = flat.shape[1], flat.shape[1] // _NORM_BLOCK * _NORM_BLOCK
    sums, squares = np.zeros((2, len(flat), 4), np.float32)
    for left in range(0, full, _NORM_BLOCK):
        a, b, c, d = (flat[:, left + i : left + i + 4] for i in range(0, _NORM_BLOCK, 4))
        sums = sums + (a + b) + c + d
        for part in (a, b, c, d):
            squares = squares + part * part
    total, square = (((lanes[:, 0] + lanes[:, 1]) + lanes[:, 2]) + lanes[:, 3] for lanes in (sums, squares))
    for column in flat[:, full:].T:
        total, square = total + column, square + column * column
    share = np.float32(1) / np.float32(size)
    mean = total * share
    variance = _f32(square.astype(np.float64) * share - mean * mean)
    return mean[:, None], variance[:, None]


def conv_transpose(op: OpView, values: Values) -> None:
    """Transposed convolution without overlap in plain sums, + Bias, then relu when fused."""
    x, weights = values.one(op, "Input", np.float32), values.one(op, "Filter", np.float32)
    window = transposed_window(op, x, weights)
    flat = weights.astype(np.float64).reshape(x.shape[1], -1).T
    y = unfolded(flat @ x.astype(np.float64).reshape(*x.shape[:2], -1), window, x.shape)
    bias = values.optional(op, "Bias", np.float32)
    y = y + (0 if bias is None else channelwise(bias.astype(np.float64)))
    values.put(op, "Output", _f32(np.maximum(y, 0) if relu_of(op) else y))


def fused_act(op: OpView) -> str:
    """Return the activation that a convolution names, nothing when it has none."""
    return op.text("act_type") if op.flag("with_act", False) else ""


def relu_of(op: OpView) -> bool:
    """Return whether relu is fused into a convolution; ``NbError`` for another activation."""
    relu_fused = op.flag("fuse_relu", False)
    if not op.flag("with_act", relu_fused):
        op.ignore("act_type")
        return False
    op.must("act_type", "relu")
    return True


def pool2d(op: OpView, values: Values) -> None:
    """Maximum or average of windows, or of everything; pads are no values."""
    x = values.one(op, "X", np.float32)
    pool = read_pool(op, x)
    view = patches(op, x, pool.window, -np.inf if pool.kind == "max" else 0.0)
    values.put(op, "Out", _f32(view.max(axis=(4, 5)) if pool.kind == "max" else view.astype(np.float64).mean((4, 5))))


def reduce_mean(op: OpView, values: Values) -> None:
    """The mean over some sides. The engine adds in float32, one value after the other; see the top of this file."""
    x = values.one(op, "X", np.float32)
    sides = tuple(side % x.ndim for side in op.ints("dim"))
    op.must("keep_dim", True)
    op.must("reduce_all", False)
    values.put(op, "Out", _f32(x.astype(np.float64).mean(axis=sides, keepdims=True)))


def _activated(op: OpView, y: Float32) -> Array:
    """Apply the activation that is fused into a convolution."""
    kind = fused_act(op)
    if kind == "relu6":
        return np.clip(y, np.float32(0), np.float32(op.real("fuse_brelu_threshold")))
    if kind == "hard_swish":
        return hard_swish(op, y, "hard_swish_")
    return np.maximum(y, np.float32(0)) if relu_of(op) else y


def conv(op: OpView, values: Values) -> None:
    """Convolution in float64, + Bias, rounded once, then the fused activation."""
    y = exact_sums(op, values.one(op, "Input", np.float32), values.one(op, "Filter", np.float32))
    bias = values.optional(op, "Bias", np.float32)
    y = y + (0 if bias is None else channelwise(bias.astype(np.float64)))
    values.put(op, "Output", _f32(_activated(op, _f32(y))))
