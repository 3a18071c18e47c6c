"""Operators on two tensors element by element, and ``scale``."""

from __future__ import annotations

import math

import numpy as np

from model_opt.nb.translate.activation import by_alpha, clipped, gelu, plain, relu
from model_opt.nb.translate.reshape import reshaped
from model_opt.nb.translate.state import Ints, State, Tensor
from model_opt.nb.translate.view import OpView
from model_opt.program.sizes import Shape, Size, SizeError, show

_ONNX = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min"}
_SHAPE_RULES = frozenset({"int32", "int64"})


def elementwise(op: OpView, state: State) -> None:
    """``elementwise_{add,sub,mul,div,max,min}`` with Paddle's ``axis``."""
    op.must("fuse_scale", False)
    if op.desc.kernel is not None and op.desc.kernel.alias in _SHAPE_RULES:
        _on_sizes(op, state)
    else:
        state.bind(op, "Out", _combined(op, state, op.desc.type.removeprefix("elementwise_")))


def fused_elementwise(op: OpView, state: State) -> None:
    """``fusion_elementwise_*_activation``: the same with an activation behind it."""
    kind = op.desc.type.removeprefix("fusion_elementwise_").removesuffix("_activation")
    y = _combined(op, state, kind)
    act, near = op.text("act_type"), op.output("Out")
    if act == "relu":
        y = relu(op, state, y, near)
    elif act == "tanh" and (kind == "add" or op.target == "opencl"):
        y = plain(op, state, y, near, "tanh")
    elif act == "gelu" and op.target == "opencl":
        y = gelu(op, state, y, near)
    elif act == "relu6" and op.target == "opencl":
        y = clipped(op, state, y, near, 6.0)
    else:
        op.fail(f"the fused activation {act!r} on {op.target}")
    state.bind(op, "Out", y)


def dropout(op: OpView, state: State) -> None:
    """``dropout`` as it is outside training: nothing, or a constant factor (``dropout_compute.cc``)."""
    x, near = state.tensor(op, "X"), op.output("Out")
    op.ignore("fix_seed", "seed")
    state.spoil(op, "Mask")
    if op.text("dropout_implementation", "downgrade_in_infer") == "upscale_in_train":
        op.ignore("dropout_prob")
        state.bind(op, "Out", x)
        return
    kept = state.constant(np.array([1.0 - op.real("dropout_prob")], dtype=np.float32))
    state.bind(op, "Out", state.emit(op, "Mul", [x.name, kept], x.shape, near))


def affine_channel(op: OpView, state: State) -> None:
    """``affine_channel``: a factor and a shift for each channel."""
    op.must("data_layout", "NCHW")
    x, factor, shift = (state.tensor(op, slot) for slot in ("X", "Scale", "Bias"))
    factor, shift = _aligned(op, state, factor, x, 1), _aligned(op, state, shift, x, 1)
    near = op.output("Out")
    product = state.emit(op, "Mul", [x.name, factor.name], x.shape, near)
    state.bind(op, "Out", state.emit(op, "Add", [product.name, shift.name], x.shape, near))


def _combined(op: OpView, state: State, kind: str) -> Tensor:
    x, y = state.tensor(op, "X"), state.tensor(op, "Y")
    near = op.output("Out")
    axis = op.integer("axis", -1)
    x, y = _aligned(op, state, x, y, axis), _aligned(op, state, y, x, axis)
    try:
        shape = broadcast(state, x.shape, y.shape)
    except SizeError as error:
        op.fail(f"operands of {show(x.shape)} and {show(y.shape)}: {error}")
    return state.emit(op, _ONNX[kind], [x.name, y.name], shape, near)


def _aligned(op: OpView, state: State, small: Tensor, large: Tensor, axis: int) -> Tensor:
    """Return ``small`` with sizes of 1 appended, so that its first side meets side ``axis`` of ``large``."""
    gap = len(large.shape) - len(small.shape)
    if gap == 0 and axis not in (-1, 0):
        op.fail(f"axis {axis} for operands of {len(large.shape)} dimensions each")
    if gap <= 0 or axis in (-1, gap):
        return small
    if not 0 <= axis < gap:
        op.fail(f"axis {axis} for operands of {show(large.shape)} and {show(small.shape)}")
    return reshaped(op, state, small, (*small.shape, *(1,) * (gap - axis)), f"{small.name}/axis")


def broadcast(state: State, a: Shape, b: Shape) -> Shape:
    """Return the shape of two tensors together, aligned at their last sides; ``SizeError`` when they do not fit."""
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    return tuple(state.symbols.broadcast(*sides) for sides in zip(a, b, strict=True))


def _on_sizes(op: OpView, state: State) -> None:
    """Sum or product of sizes, in the part of a program that computes shapes."""
    x, y = (state.sizes(op, [op.argument(slot)]) for slot in ("X", "Y"))
    op.must("axis", -1, 0)
    kind = op.desc.type.removeprefix("elementwise_")
    if kind not in ("add", "mul") or len(x) != len(y):
        op.fail(f"arithmetic on shapes of {len(x)} and {len(y)} sizes")
    rule = state.symbols.total if kind == "add" else state.symbols.product
    try:
        values: tuple[Size, ...] = tuple(rule(pair) for pair in zip(x, y, strict=True))
    except SizeError as error:
        op.fail(f"arithmetic on shapes: {error}")
    state.bind(op, "Out", Ints(values))


def scale(op: OpView, state: State) -> None:
    """``scale``: ``x * scale + bias``; a bias in front of the scale is multiplied by it once, as the kernel does."""
    x, near = state.tensor(op, "X"), op.output("Out")
    factor, bias = np.float32(op.real("scale")), np.float32(op.real("bias", 0.0))
    if not op.flag("bias_after_scale", True):
        with np.errstate(over="ignore"):
            bias = np.float32(bias * factor)
    if not math.isfinite(bias):
        op.fail(f"a bias of {bias}")
    op.must("fuse_scaleact", False)
    y = x
    if factor != 1.0:
        y = state.emit(op, "Mul", [y.name, state.constant(np.array([factor]))], y.shape, near)
    if bias != 0.0:
        y = state.emit(op, "Add", [y.name, state.constant(np.array([bias]))], y.shape, near)
    state.bind(op, "Out", by_alpha(op, state, y, near, "relu", "relu6", "leaky_relu"))
