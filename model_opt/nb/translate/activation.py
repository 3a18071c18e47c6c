"""Activations: separate operators, and fused ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from model_opt.nb.translate.state import State, Tensor
from model_opt.nb.translate.view import OpView

_LARGEST = 3.4e38
"""What float32 holds."""


def _number(state: State, value: float) -> str:
    return state.constant(np.array([value], dtype=np.float32))


def plain(op: OpView, state: State, x: Tensor, near: str, kind: str) -> Tensor:
    """Return ``relu``, ``sigmoid``, ``tanh`` or ``abs`` of ``x``."""
    return state.emit(op, kind.capitalize(), [x.name], x.shape, near)


def relu(op: OpView, state: State, x: Tensor, near: str) -> Tensor:
    """Return ``max(x, 0)``."""
    return plain(op, state, x, near, "relu")


def clipped(op: OpView, state: State, x: Tensor, near: str, top: float) -> Tensor:
    """Return ``min(max(x, 0), top)``."""
    low, high = (state.constant(np.array(value, dtype=np.float32)) for value in (0.0, top))
    return state.emit(op, "Clip", [x.name, low, high], x.shape, near)


def leaky(op: OpView, state: State, x: Tensor, near: str, alpha: float) -> Tensor:
    """Return ``x`` where it is positive, else ``alpha * x``."""
    return state.emit(op, "LeakyRelu", [x.name], x.shape, near, alpha=alpha)


def swish(op: OpView, state: State, x: Tensor, near: str, beta: float) -> Tensor:
    """Return ``x / (1 + exp(-beta * x))``."""
    inner = x
    if beta != 1.0:
        inner = state.emit(op, "Mul", [x.name, _number(state, beta)], x.shape, f"{near}/beta")
    gate = plain(op, state, inner, f"{near}/gate", "sigmoid")
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
    bent = plain(op, state, inner, f"{near}/tanh", "tanh")
    gate = state.emit(op, "Add", [bent.name, _number(state, 1.0)], x.shape, f"{near}/gate")
    product = state.emit(op, "Mul", [x.name, gate.name], x.shape, f"{near}/product")
    return state.emit(op, "Mul", [product.name, _number(state, 0.5)], x.shape, near)


def activation(op: OpView, state: State) -> None:
    """An operator that is an activation and nothing else."""
    x, near = state.tensor(op, "X"), op.output("Out")
    state.bind(op, "Out", _separate(op, state, x, near, op.desc.type))


def _separate(op: OpView, state: State, x: Tensor, near: str, kind: str) -> Tensor:
    if kind == "relu6":
        op.must("threshold", 6.0)  # the kernels clip at 6 whatever the attribute says
        return clipped(op, state, x, near, 6.0)
    if kind == "leaky_relu":
        return leaky(op, state, x, near, op.real("alpha"))
    if kind == "swish":  # Paddle leaves beta out where it is 1, and the kernels take 1 then
        return swish(op, state, x, near, op.real("beta", 1.0))
    if kind == "hard_sigmoid":
        return hard_sigmoid(op, state, x, near, op.real("slope"), op.real("offset"))
    if kind == "hard_swish":
        return hard_swish(op, state, x, near, *map(op.real, ("threshold", "scale", "offset")))
    if kind == "gelu":
        return (gelu_tanh if op.flag("approximate", False) else gelu)(op, state, x, near)
    return plain(op, state, x, near, kind)


def by_alpha(op: OpView, state: State, x: Tensor, near: str, *known: str) -> Tensor:
    """Return ``x`` after the activation that ``activation_type`` names, one of ``known``; ``alpha`` is its number."""
    kind = op.text("activation_type", "")
    if kind and kind not in known:
        op.fail(f"the fused activation {kind!r}")
    if kind == "relu6":
        return clipped(op, state, x, near, op.real("alpha"))
    if kind == "leaky_relu":
        return leaky(op, state, x, near, op.real("alpha"))
    return relu(op, state, x, near) if kind else x


_FUSE_FLAGS = ("relu", "sigmoid", "tanh", "swish", "abs")

_PLAIN = ("relu", "relu6", "leaky_relu", "hard_swish")
FUSED: Mapping[str, tuple[str, ...]] = {
    "arm": _PLAIN,
    "x86": _PLAIN,
    "opencl": (*_PLAIN, "hard_sigmoid", "sigmoid", "tanh", "swish", "abs"),
}
"""The activations that opt fuses into a target's convolutions, in the order in which it looks for them
(``conv_activation_fuse_pass.cc``)."""
NOT_TRANSPOSED = frozenset({"hard_swish", "hard_sigmoid"})
"""What a transposed convolution does not take: opt fuses it and then ends (``conv_transpose_op.cc``)."""


def fused_into_conv(op: OpView, state: State, x: Tensor, near: str) -> Tensor:
    """Return the output of a convolution after the activation that its attributes name."""
    kind = op.text("act_type") if op.flag("with_act", False) else ""
    if not kind:
        op.must("with_act", False)
    for flag in _FUSE_FLAGS:
        op.must(f"fuse_{flag}", kind == flag)
    for name in ("fuse_activation", "fuse_alpha", "fuse_beta", "fuse_brelu"):
        op.must(name, "", 0.0, False)
    if kind != "relu6":
        op.ignore("fuse_brelu_threshold")
    if not kind:
        return x
    transposed = op.desc.type == "conv2d_transpose" and kind in NOT_TRANSPOSED
    if kind not in FUSED.get(op.target, ()) or transposed:
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
    return plain(op, state, x, near, kind)
