"""``softmax``, ``layer_norm``, ``batch_norm``, ``reduce_mean``."""

from __future__ import annotations

import math

import numpy as np

from model_opt.nb.translate.reshape import axis_of
from model_opt.nb.translate.state import Float32Array, State
from model_opt.nb.translate.view import OpView
from model_opt.program.sizes import known, show


def softmax(op: OpView, state: State) -> None:
    """``softmax`` along ``axis``."""
    x = state.tensor(op, "X")
    axis = axis_of(op, op.integer("axis", -1), len(x.shape))
    op.must("eleminate_success", False)
    op.must("data_format", "AnyLayout", "NCHW", "")
    state.bind(op, "Out", state.emit(op, "Softmax", [x.name], x.shape, op.output("Out"), axis=axis))


def reduce_mean(op: OpView, state: State) -> None:
    """``reduce_mean`` over the sides ``dim``, or over all; they stay as 1 with ``keep_dim``."""
    x = state.tensor(op, "X")
    rank = len(x.shape)
    op.ignore("in_dtype", "out_dtype")
    named = {axis_of(op, axis, rank) for axis in op.ints("dim", ())}
    sides = set(range(rank)) if op.flag("reduce_all", False) or not named else named
    kept = op.flag("keep_dim", False)
    shape = [1 if i in sides else size for i, size in enumerate(x.shape) if kept or i not in sides]
    if not shape:
        op.fail("a mean over every side, none of which stays")
    axes = tuple(sorted(sides))
    y = state.emit(op, "ReduceMean", [x.name], shape, op.output("Out"), axes=axes, keepdims=int(kept))
    state.bind(op, "Out", y)


def layer_norm(op: OpView, state: State) -> None:
    """``layer_norm`` over the sides from ``begin_norm_axis`` on; mean and variance are not given out."""
    x = state.tensor(op, "X")
    begin = op.integer("begin_norm_axis")
    if not 1 <= begin < len(x.shape):
        op.fail(f"a norm from side {begin} on of {len(x.shape)} dimensions")
    sides = known(x.shape[begin:])
    if sides is None:
        op.fail(f"a norm over {show(x.shape[begin:])}, whose size only a run knows")
    epsilon = op.real("epsilon")
    if not epsilon > 0:
        op.fail(f"an epsilon of {epsilon:g}")
    near = op.output("Y")
    inputs = [x.name, state.constant_like(_weights(op, state, "Scale", sides), f"{near}/scale").name]
    if op.arguments("Bias"):
        inputs.append(state.constant_like(_weights(op, state, "Bias", sides), f"{near}/bias").name)
    y = state.emit(op, "LayerNormalization", inputs, x.shape, near, axis=begin - len(x.shape), epsilon=epsilon)
    state.spoil(op, "Mean", "Variance")
    state.bind(op, "Y", y)


def _weights(op: OpView, state: State, slot: str, sides: tuple[int, ...]) -> Float32Array:
    data = state.constant_tensor(op, slot)
    if data.size != math.prod(sides):
        op.fail(f"{data.size} values of {slot!r} for a norm over {show(sides)}")
    return data.reshape(sides)


def batch_norm(op: OpView, state: State) -> None:
    """``batch_norm`` with the statistics of training: a factor and a summand for each channel."""
    x = state.tensor(op, "X")
    names = ("Scale", "Bias", "Mean", "Variance")
    scale, bias, mean, variance = (state.constant_tensor(op, name).reshape(-1) for name in names)
    channels = x.shape[1] if len(x.shape) > 1 else None
    if any(data.size != channels for data in (scale, bias, mean, variance)):
        op.fail(f"an input of {show(x.shape)} for {scale.size} channels")
    op.must("data_layout", "NCHW")
    op.must("use_global_stats", True, False)
    op.must("trainable_statistics", False)
    op.must("fuse_with_relu", False)
    op.ignore("momentum")
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + np.float32(op.real("epsilon")))
        summand = bias - mean * factor
    if not (np.isfinite(factor).all() and np.isfinite(summand).all()):
        op.fail("a variance below zero")
    near, tail = op.output("Y"), (1,) * (len(x.shape) - 2)
    y = x
    for onnx, data in (("Mul", factor), ("Add", summand)):
        constant = state.constant_like(data.reshape(-1, *tail), f"{near}/{onnx}")
        y = state.emit(op, onnx, [y.name, constant.name], x.shape, near)
    state.spoil(op, "MeanOut", "VarianceOut", "SavedMean", "SavedVariance", "ReserveSpace")
    state.bind(op, "Y", y)
