"""Activations: separate operators, and fused ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from model_opt.nb.translate.state import State, Tensor
from model_opt.nb.translate.view import OpView

Apply = Callable[[OpView, State, Tensor, str], Tensor]

_LARGEST = 3.4e38
"""What float32 holds."""


def _number(state: State, value: float) -> str:
    return state.constant(np.array([value], dtype=np.float32))


def relu(op: OpView, state: State, x: Tensor, near: str) -> Tensor:
    """Return ``max(x, 0)``."""
    return state.emit(op, "Relu", [x.name], x.shape, near)


def clipped(op: OpView, state: State, x: Tensor, near: str, top: float) -> Tensor:
    """Return ``min(max(x, 0), top)``."""
    low, high = (state.constant(np.array(value, dtype=np.float32)) for value in (0.0, top))
    return state.emit(op, "Clip", [x.name, low, high], x.shape, near)


def leaky(op: OpView, state: State, x: Tensor, near: str, alpha: float) -> Tensor:
    """Return ``x`` where it is positive, else ``alpha * x``."""
    return state.emit(op, "LeakyRelu", [x.name], x.shape, near, alpha=alpha)


def sigmoid(op: OpView, state: State, x: Tensor, near: str) -> Tensor:
    """Return ``1 / (1 + exp(-x))``."""
    return state.emit(op, "Sigmoid", [x.name], x.shape, near)


def tanh(op: OpView, state: State, x: Tensor, near: str) -> Tensor:
    """Return ``tanh(x)``."""
    return state.emit(op, "Tanh", [x.name], x.shape, near)


def absolute(op: OpView, state: State, x: Tensor, near: str) -> Tensor:
    """Return ``|x|``."""
    return state.emit(op, "Abs", [x.name], x.shape, near)


def swish(op: OpView, state: State, x: Tensor, near: str, beta: float) -> Tensor:
    """Return ``x / (1 + exp(-beta * x))``."""
    inner = x
    if beta != 1.0:
        inner = state.emit(op, "Mul", [x.name, _number(state, beta)], x.shape, f"{near}/beta")
    gate = sigmoid(op, state, inner, f"{near}/gate")
    return state.emit(op, "Mul", [x.name, gate.name], x.shape, near)


def hard_sigmoid(op: OpView, state: State, x: Tensor, near: str, slope: float, offset: float) -> Tensor:
    """Return ``min(max(slope * x + offset, 0), 1)``."""
    return state.emit(op, "HardSigmoid", [x.name], x.shape, near, alpha=slope, beta=offset)


def hard_swish(op: OpView, state: State, x: Tensor, near: str, threshold: float, scale: float, offset: float) -> Tensor:
    """Return ``min(max(x + offset, 0), threshold) * x / scale``; Paddle's own kernel ignores ``scale``."""
    if (threshold, scale, offset) == (6.0, 6.0, 3.0):
        return state.emit(op, "HardSwish", [x.name], x.shape, near)
    if threshold <= 0 or scale == 0:
        op.fail(f"a hard_swish with threshold {threshold:g} and scale {scale:g}")
    slope, shift, ratio = 1 / threshold, offset / threshold, threshold / scale
    if max(abs(slope), abs(shift), abs(ratio)) > _LARGEST:
        op.fail(f"a hard_swish with threshold {threshold:g}, scale {scale:g} and offset {offset:g}")
    gate = hard_sigmoid(op, state, x, f"{near}/gate", slope, shift)
    if threshold != scale:
        factor = _number(state, ratio)
        gate = state.emit(op, "Mul", [gate.name, factor], x.shape, f"{near}/scaled")
    return state.emit(op, "Mul", [x.name, gate.name], x.shape, near)


def gelu(op: OpView, state: State, x: Tensor, near: str) -> Tensor:
    """Return ``x / 2 * (1 + erf(x / sqrt(2)))``."""
    inner = state.emit(op, "Div", [x.name, _number(state, math.sqrt(2))], x.shape, f"{near}/inner")
    erf = state.emit(op, "Erf", [inner.name], x.shape, f"{near}/erf")
    gate = state.emit(op, "Add", [erf.name, _number(state, 1.0)], x.shape, f"{near}/gate")
    product = state.emit(op, "Mul", [x.name, gate.name], x.shape, f"{near}/product")
    return state.emit(op, "Mul", [product.name, _number(state, 0.5)], x.shape, near)


def gelu_tanh(op: OpView, state: State, x: Tensor, near: str) -> Tensor:
    """Return ``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))``."""
    cube = state.emit(op, "Pow", [x.name, _number(state, 3.0)], x.shape, f"{near}/cube")
    small = state.emit(op, "Mul", [cube.name, _number(state, 0.044715)], x.shape, f"{near}/small")
    total = state.emit(op, "Add", [x.name, small.name], x.shape, f"{near}/sum")
    inner = state.emit(op, "Mul", [total.name, _number(state, math.sqrt(2 / math.pi))], x.shape, f"{near}/inner")
    bent = tanh(op, state, inner, f"{near}/tanh")
    gate = state.emit(op, "Add", [bent.name, _number(state, 1.0)], x.shape, f"{near}/gate")
    product = state.emit(op, "Mul", [x.name, gate.name], x.shape, f"{near}/product")
    return state.emit(op, "Mul", [product.name, _number(state, 0.5)], x.shape, near)


def _unary(op: OpView, state: State, apply: Callable[[Tensor, str], Tensor]) -> None:
    x = state.tensor(op, "X")
    state.bind(op, "Out", apply(x, op.output("Out")))


def relu_op(op: OpView, state: State) -> None:
    """``relu``."""
    _unary(op, state, lambda x, near: relu(op, state, x, near))


def relu6_op(op: OpView, state: State) -> None:
    """``relu6``: the kernels clip at 6 whatever the attribute says."""
    op.must("threshold", 6.0)
    _unary(op, state, lambda x, near: clipped(op, state, x, near, 6.0))


def leaky_relu_op(op: OpView, state: State) -> None:
    """``leaky_relu``."""
    alpha = op.real("alpha")
    _unary(op, state, lambda x, near: leaky(op, state, x, near, alpha))


def sigmoid_op(op: OpView, state: State) -> None:
    """``sigmoid``."""
    _unary(op, state, lambda x, near: sigmoid(op, state, x, near))


def tanh_op(op: OpView, state: State) -> None:
    """``tanh``."""
    _unary(op, state, lambda x, near: tanh(op, state, x, near))


def swish_op(op: OpView, state: State) -> None:
    """``swish``; Paddle leaves ``beta`` out where it is 1, and the kernels take 1 then."""
    beta = op.real("beta", 1.0)
    _unary(op, state, lambda x, near: swish(op, state, x, near, beta))


def hard_sigmoid_op(op: OpView, state: State) -> None:
    """``hard_sigmoid``."""
    slope, offset = op.real("slope"), op.real("offset")
    _unary(op, state, lambda x, near: hard_sigmoid(op, state, x, near, slope, offset))


def hard_swish_op(op: OpView, state: State) -> None:
    """``hard_swish``."""
    threshold, scale, offset = op.real("threshold"), op.real("scale"), op.real("offset")
    _unary(op, state, lambda x, near: hard_swish(op, state, x, near, threshold, scale, offset))


def gelu_op(op: OpView, state: State) -> None:
    """``gelu``, exact or by tanh."""
    apply = gelu_tanh if op.flag("approximate", False) else gelu
    _unary(op, state, lambda x, near: apply(op, state, x, near))


_FUSE_FLAGS = ("relu", "sigmoid", "tanh", "swish", "abs")

# Which activations opt fuses into a convolution for a target: conv_activation_fuse_pass.cc; conv_transpose_op.cc
# refuses the last two of its own.
_FUSED = {
    "arm": frozenset({"relu", "relu6", "leaky_relu", "hard_swish"}),
    "x86": frozenset({"relu", "relu6", "leaky_relu", "hard_swish"}),
    "opencl": frozenset(
        {"relu", "relu6", "leaky_relu", "hard_swish", "hard_sigmoid", "sigmoid", "tanh", "swish", "abs"}
    ),
}
_NOT_TRANSPOSED = frozenset({"hard_swish", "hard_sigmoid"})


def fused_into_conv(op: OpView, state: State, x: Tensor, near: str) -> Tensor:
    """Return the output of a convolution after the activation that its attributes name."""
    kind = op.text("act_type") if op.flag("with_act", False) else ""
    if not kind:
        op.must("with_act", False)
    for flag in _FUSE_FLAGS:
        if kind == flag:
            op.must(f"fuse_{flag}", True)
        else:
            op.must(f"fuse_{flag}", False)
    for name in ("fuse_activation", "fuse_alpha", "fuse_beta", "fuse_brelu"):
        op.must(name, "", 0.0, False)
    if kind != "relu6":
        op.ignore("fuse_brelu_threshold")
    if not kind:
        return x
    known = _FUSED.get(op.target, frozenset())
    if op.desc.type == "conv2d_transpose":
        known = known - _NOT_TRANSPOSED
    if kind not in known:
        op.fail(f"the fused activation {kind!r} on {op.target}")
    return _conv_activation(op, state, x, near, kind)


def _conv_activation(op: OpView, state: State, x: Tensor, near: str, kind: str) -> Tensor:
    if kind == "relu6":
        # the OpenCL kernels clip at 6 whatever the attribute says
        top = op.real("fuse_brelu_threshold")
        return clipped(op, state, x, near, top if op.target == "arm" else 6.0)
    if kind == "leaky_relu":
        return leaky(op, state, x, near, op.real("leaky_relu_alpha"))
    if kind == "hard_swish":
        names = ("hard_swish_threshold", "hard_swish_scale", "hard_swish_offset")
        return hard_swish(op, state, x, near, *map(op.real, names))
    if kind == "hard_sigmoid":
        return hard_sigmoid(op, state, x, near, op.real("slope"), op.real("offset"))
    if kind == "swish":
        return swish(op, state, x, near, op.real("swish_scale"))
    simple: dict[str, Apply] = {"relu": relu, "sigmoid": sigmoid, "tanh": tanh, "abs": absolute}
    return simple[kind](op, state, x, near)
