"""The fp16 kernels: every value in memory and, with few exceptions, every intermediate one is fp16."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from model_opt.emulator import taps, winograd
from model_opt.emulator.engine_build import EngineBuild
from model_opt.emulator.exp32 import exponential, reciprocal_estimate
from model_opt.emulator.fp32 import fused_act, relu_of
from model_opt.emulator.half import fma, gemm, matvec, rounded
from model_opt.emulator.state import Array, Float32, Values
from model_opt.emulator.window import (
    Window,
    channelwise,
    check_channels,
    padded,
    patches,
    read_pool,
    read_window,
    rows,
    transposed_window,
    unfolded,
)
from model_opt.nb.translate.view import OpView

_LANES = 8


def _read(op: OpView, values: Values, slot: str) -> Float32:
    """Return an fp16 input, widened."""
    return values.one(op, slot, np.float16).astype(np.float32)


def _maybe(op: OpView, values: Values, slot: str) -> Float32 | None:
    found = values.optional(op, slot, np.float16)
    return None if found is None else found.astype(np.float32)


def _write(op: OpView, values: Values, slot: str, array: Array) -> None:
    values.put(op, slot, array.astype(np.float16))


def to_fp16(op: OpView, values: Values) -> None:
    """``calib``: round half to even; beyond 65,504 infinite."""
    _write(op, values, "Out", values.one(op, "Input", np.float32))


def to_fp32(op: OpView, values: Values) -> None:
    """``calib``: widen."""
    values.put(op, "Out", _read(op, values, "Input"))


def _half(number: float) -> np.float32:
    return np.float32(np.float16(number))


def hard_sigmoid(op: OpView, x: Float32) -> Array:
    """min(max(slope x + offset, 0), 1); NaN becomes 0."""
    y = fma(np.broadcast_to(_half(op.real("offset")), x.shape), x, _half(op.real("slope")))
    y = np.where(y > 0, y, np.float32(0))
    return np.where(y < 1, y, np.float32(1))


def hard_swish(op: OpView, x: Float32, prefix: str = "") -> Float32:
    """(x / scale) * min(max(x + offset, 0), threshold); ``prefix`` begins the names of the three attributes."""
    offset, scale, threshold = (op.real(prefix + name) for name in ("offset", "scale", "threshold"))
    gate = np.clip(rounded(x + _half(offset)), np.float32(0), _half(threshold))
    return rounded(rounded(x * _half(1 / scale)) * gate)


def scale(op: OpView, x: Float32) -> Array:
    """x * scale + bias, one rounding."""
    op.must("bias_after_scale", True)
    op.must("activation_type", "")
    return fma(np.broadcast_to(_half(op.real("bias")), x.shape), x, _half(op.real("scale")))


def add_relu(x: Float32, y: Float32) -> Float32:
    """max(x + y, 0)."""
    return np.maximum(rounded(x + y), np.float32(0))


def _with_relu(op: OpView, y: Float32) -> Float32:
    return np.maximum(y, np.float32(0)) if relu_of(op) else y


def _activated(op: OpView, y: Float32) -> Float32:
    """Apply the activation that ``gemm_fp16.cc`` and ``gemv_fp16.cc`` fuse."""
    fused = fused_act(op)
    if fused == "relu6":
        top = op.real("fuse_brelu_threshold")
        return np.clip(y, np.float32(0), _half(top))
    if fused == "hard_swish":
        return hard_swish(op, y, "hard_swish_")
    return _with_relu(op, y)


def conv(op: OpView, values: Values) -> None:
    """``conv2d`` and ``depthwise_conv2d``, by the algorithm that ``conv_compute.cc`` chooses."""
    x, weights = _read(op, values, "Input"), _read(op, values, "Filter")
    bias = _maybe(op, values, "Bias")
    window = read_window(op, x, weights)
    check_channels(op, x, weights, window)
    start = np.zeros(weights.shape[0], np.float32) if bias is None else bias.reshape(-1)
    algorithm = _algorithm(x, weights, window, values.build)
    y = algorithm(op, x, weights, start, window)
    # What the other kernels do for relu6 and hard_swish is not looked up: opt was never seen to fuse them there.
    _write(op, values, "Output", _activated(op, y) if algorithm is _gemm else _with_relu(op, y))


Conv = Callable[[OpView, Float32, Float32, Float32, Window], Float32]


def uses_winograd(x: Array, weights: Array, window: Window) -> bool:
    """Return whether a convolution goes to ``WinogradConv``."""
    wide = window.groups * weights.shape[1] > 8 and weights.shape[0] > 8
    return window.groups == 1 and wide and window.kernel == (3, 3) and window.strides == (1, 1)


def _algorithm(x: Array, weights: Array, window: Window, build: EngineBuild) -> Conv:
    if window.groups == x.shape[1] == weights.shape[0]:
        return _depthwise
    if uses_winograd(x, weights, window):
        return partial(_winograd, build)
    dense = window.groups == 1 and window.kernel == (3, 3)
    if dense and window.strides == (2, 2) and weights.shape[0] * weights.shape[1] < 4 * x.shape[2] * x.shape[3]:
        return _direct
    return _gemm


def _direct(op: OpView, x: Float32, weights: Float32, start: Float32, window: Window) -> Float32:
    """Channel after channel, then + bias."""
    return rounded(taps.direct_s2(patches(op, x, window), weights) + channelwise(start))


def _gemm(op: OpView, x: Float32, weights: Float32, start: Float32, window: Window) -> Float32:
    """im2col, then gemm where every sum starts at the bias, or gemv for an output of one pixel."""
    matrix, size = rows(op, x, window)
    per_group = weights.shape[0] // window.groups
    flat = weights.reshape(window.groups, per_group, -1)
    starts = start.reshape(window.groups, per_group)
    if size == (1, 1):
        products = [[matvec(flat[g], image[g, :, 0], starts[g]) for g in range(window.groups)] for image in matrix]
    else:
        products = [[gemm(flat[g], image[g], starts[g]) for g in range(window.groups)] for image in matrix]
    y = np.array(products, dtype=np.float32)
    return y.reshape(x.shape[0], weights.shape[0], *size)


def _depthwise(op: OpView, x: Float32, weights: Float32, start: Float32, window: Window) -> Float32:
    """Every sum starts at the bias; taps in order of rows but where the kernel's tiles say otherwise."""
    view = patches(op, x, window)
    total = np.broadcast_to(channelwise(start), view.shape[:4]).copy()
    flat = weights[:, 0]
    if window.kernel == (3, 3) and window.strides == (1, 1):
        return taps.depthwise_s1(total, view, flat)
    if window.kernel == (3, 3) and window.strides == (2, 2):
        return taps.depthwise_s2(total, view, flat)
    order = [(i, j) for i in range(window.kernel[0]) for j in range(window.kernel[1])]
    return taps.chain(total, view, flat, order)


def _winograd(build: EngineBuild, op: OpView, x: Float32, weights: Float32, start: Float32, window: Window) -> Float32:
    """Winograd, then + bias."""
    image = padded(x, window.pads)
    height, width = image.shape[2] - 2, image.shape[3] - 2
    y = np.stack([winograd.convolve(one, weights, height, width, build) for one in image])
    return rounded(y + channelwise(start))


def conv_transpose(op: OpView, values: Values) -> None:
    """Transposed convolution without overlap: gemm along the channels, then + bias, then relu when fused."""
    x, weights = _read(op, values, "Input"), _read(op, values, "Filter")
    window = transposed_window(op, x, weights)
    flat = weights.reshape(x.shape[1], -1).T
    y = unfolded(np.stack([gemm(flat, one.reshape(x.shape[1], -1)) for one in x]), window, x.shape)
    bias = _maybe(op, values, "Bias")
    if bias is not None:
        y = rounded(y + channelwise(bias))
    _write(op, values, "Output", _with_relu(op, y))


def _lane_sums(powers: Float32) -> Float32:
    """Sum (rows, size) as eight lanes, then four, then one after the other."""
    full, size = powers.shape[1] // 8 * 8, powers.shape[1]
    lanes: Float32 = np.zeros((len(powers), 8), np.float32)
    for i in range(0, full, 8):
        lanes = rounded(lanes + powers[:, i : i + 8])
    four = rounded(lanes[:, :4] + lanes[:, 4:])
    if size - full >= 4:
        four = rounded(four + powers[:, full : full + 4])
        full += 4
    total = rounded(four.sum(axis=1))  # in float32
    for i in range(full, size):
        total = rounded(total + powers[:, i])
    return total


def softmax(op: OpView, values: Values) -> None:
    """exp(x - max) / sum along axis; exp in float32."""
    x = _read(op, values, "X")
    axis = op.integer("axis") % x.ndim
    op.ignore("data_format")
    size = x.shape[axis]
    if axis == x.ndim - 1 and size >= _LANES:
        _write(op, values, "Out", _softmax_rows(x.reshape(-1, size)).reshape(x.shape))
        return
    powers = rounded(exponential(rounded(x - x.max(axis=axis, keepdims=True))))
    total = np.zeros_like(powers.take([0], axis=axis))
    for i in range(size):
        total = rounded(total + powers.take([i], axis=axis))
    _write(op, values, "Out", powers / total)


def _softmax_rows(x: Float32) -> Float32:
    """Softmax of each row, eight values or more.

    The kernel multiplies by an 8-bit estimate of 1 / sum, without a Newton step: up to 0.2 % off. The last size % 4
    values go through the C library's exp, of a difference that is not rounded, and are multiplied by 1 / sum.
    """
    quick = x.shape[1] // 4 * 4
    below = x - x.max(axis=1, keepdims=True)
    tail = np.exp(below[:, quick:].astype(np.float64)).astype(np.float32)
    powers = rounded(np.concatenate([exponential(rounded(below[:, :quick])), tail], axis=1))
    total = _lane_sums(powers)[:, None]
    inverse = rounded(np.float32(1) / total)
    return np.concatenate([powers[:, :quick] * reciprocal_estimate(total), powers[:, quick:] * inverse], axis=1)


def _global_average(x: Float32) -> Float32:
    """Average each channel (n, c, 1, 1): eight lanes, each value scaled before it is added."""
    flat = x.reshape(*x.shape[:2], -1)
    size = flat.shape[2]
    share = _half(1 / size)
    lanes = np.zeros((*flat.shape[:2], 8), np.float32)
    full = size // 32 * 32
    for i in range(0, full, 32):
        for left, right in ((i, i + 16), (i + 8, i + 24)):
            both = rounded(flat[..., left : left + 8] + flat[..., right : right + 8])
            lanes = rounded(lanes + rounded(both * share))
    for i in range(full, size // 8 * 8, 8):
        lanes = rounded(lanes + rounded(flat[..., i : i + 8] * share))
    four = rounded(lanes[..., :4] + lanes[..., 4:])
    two = rounded(four[..., ::2] + four[..., 1::2])
    total = rounded(two[..., 0] + two[..., 1])
    for i in range(size // 8 * 8, size):
        total = rounded(total + flat[..., i] / np.float32(size))
    return total[..., None, None]


def _average(view: Float32) -> Float32:
    """Average windows (n, c, h, w, kernel h, kernel w): a sum in order, rounded each time, then one division."""
    flat = view.reshape(*view.shape[:4], -1)
    total = flat[..., 0]
    for i in range(1, flat.shape[-1]):
        total = rounded(total + flat[..., i])
    return total / np.float32(flat.shape[-1])


def pool2d(op: OpView, values: Values) -> None:
    """Maximum of windows, pads being less than any value, or average of windows without pads or of everything."""
    x = _read(op, values, "X")
    pool = read_pool(op, x)
    kernel, strides = pool.window.kernel, pool.window.strides
    if pool.kind == "avg" and not pool.everything and kernel == (3, 3):
        op.fail("a 3x3 average: its own kernel is not known")
    if kernel == strides == (2, 2) and x.shape[3] > 16 and values.opt_version >= (2, 13) and not pool.everything:
        # Its fmaxp takes the first half of the second row twice.
        op.fail("a 2x2 pool of stride 2 of an engine from 2.13 on: its own kernel is not known, and takes wrong maxima")
    if pool.kind == "max":
        _write(op, values, "Out", patches(op, x, pool.window, -np.inf).max(axis=(4, 5)))
    else:
        _write(op, values, "Out", _global_average(x) if pool.everything else _average(patches(op, x, pool.window)))


def matmul_v2(op: OpView, values: Values) -> None:
    """X Y, either transposed; the sides in front must agree."""
    x, y = _read(op, values, "X"), _read(op, values, "Y")
    op.must("alpha", 1.0)
    x = x.swapaxes(-1, -2) if op.flag("trans_x") else x
    y = y.swapaxes(-1, -2) if op.flag("trans_y") else y
    if x.ndim < 2 or x.ndim != y.ndim or x.shape[:-2] != y.shape[:-2] or x.shape[-1] != y.shape[-2]:
        op.fail(f"factors of shapes {list(x.shape)} and {list(y.shape)}")
    parts = [gemm(a, b) for a, b in zip(x.reshape(-1, *x.shape[-2:]), y.reshape(-1, *y.shape[-2:]), strict=True)]
    _write(op, values, "Out", np.stack(parts).reshape(*x.shape[:-1], y.shape[-1]))


def fc(op: OpView, values: Values) -> None:
    """Rows of Input times W, + Bias."""
    x, weights = _read(op, values, "Input"), _read(op, values, "W")
    bias = _maybe(op, values, "Bias")
    op.must("activation_type", "")
    op.must("op_type", "matmul_v2", "matmul", "mul")
    op.must("trans_x", False)
    op.must("trans_y", False)
    columns = op.integer("in_num_col_dims")
    if op.has("op_type") and str(op.desc.attr("op_type")).startswith("matmul"):
        columns = x.ndim - 1
    flat = x.reshape(int(np.prod(x.shape[:columns])), -1)
    if flat.shape[1] != weights.shape[0]:
        op.fail(f"an input of {list(x.shape)} for weights of {list(weights.shape)}")
    offset = np.zeros(weights.shape[1], np.float32) if bias is None else bias.reshape(-1)
    y = matvec(weights.T, flat[0], offset)[None] if len(flat) == 1 else rounded(gemm(flat, weights) + offset)
    _write(op, values, "Out", y.reshape(*x.shape[:columns], weights.shape[1]))
