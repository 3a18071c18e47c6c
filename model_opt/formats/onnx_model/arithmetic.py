"""Sums and products, functions of one value, norms, matrix products and means."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from model_opt.formats.onnx_model.builder import Builder, flag, integer, listed, real, text
from model_opt.formats.onnx_model.graph import Array, Node
from model_opt.program import Attr
from model_opt.program.sizes import Shape, show

_BINARY: Mapping[str, str] = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}


def binary(node: Node, made: Builder) -> None:
    """``Add``, ``Sub``, ``Mul`` and ``Div``: ``elementwise_*``, a parameter as Y.

    One number becomes a parameter of one element, not a ``scale``: opt folds a ``scale`` into the convolution in front
    even where an activation is between the two.
    """
    if len(node.inputs) != 2:
        made.refuse(node, f"{len(node.inputs)} operands")
    a, b = node.inputs
    if made.constant(a) is not None and node.op in ("Add", "Mul"):
        a, b = b, a
    x, y, held = made.shape(node, a), made.shape(node, b), made.constant(b)
    if made.constant(a) is not None or (len(y) > len(x) > 0 and held is None and node.op in ("Sub", "Div")):
        made.refuse(node, f"operands of {show(x)} and {show(y)} in this order")
    if held is None and len(y) > len(x):
        a, b, x, y = b, a, y, x
    if len(y) > len(x):
        made.refuse(node, f"a constant of {show(y)} beside {show(x)}")
    together = _broadcast(made, x, y)
    axis, second = -1, ""
    if held is None:
        second = made.tensor(node, b)
    elif node.op == "Add" and _is_bias(x, held) and together == x:
        axis, second = 1, made.param(node, b, held.reshape(-1))
    else:
        second = made.param(node, b, held.reshape(1) if held.size == 1 else held)
    first = made.tensor(node, a)
    result = made.declare(node, node.outputs[0], together)
    made.emit(f"elementwise_{_BINARY[node.op]}", {"X": [first], "Y": [second]}, ("Out", result), axis=integer(axis))


def _is_bias(x: Shape, held: Array) -> bool:
    """Return whether a constant of [1, C, 1, 1] or [C, 1, 1] adds one number to each channel of an image."""
    return len(x) == 4 and held.ndim in (3, 4) and held.shape[-3:] == (x[1], 1, 1) and held.size == x[1]


def _broadcast(made: Builder, x: Shape, y: Shape) -> Shape:
    """Return the shape that two operands have together, by the rules of numpy."""
    rank = max(len(x), len(y))
    wide = [(1,) * (rank - len(shape)) + shape for shape in (x, y)]
    return tuple(made.sizes.broadcast(a, b) for a, b in zip(*wide, strict=True))


# ---- functions of one value


def _unary(kind: str, attrs: Callable[[Node], Mapping[str, Attr]] = lambda _: {}) -> Callable[[Node, Builder], None]:
    def rule(node: Node, made: Builder) -> None:
        x = made.shape(node, node.given(0))
        source = made.tensor(node, node.given(0))
        made.emit(kind, {"X": [source]}, ("Out", made.declare(node, node.outputs[0], x)), **attrs(node))

    return rule


def gelu(node: Node, made: Builder) -> None:
    """``Gelu``, exact or by tanh."""
    form = node.text("approximate", "none")
    if form not in ("none", "tanh"):
        made.refuse(node, f"approximate is {form!r}")
    _unary("gelu", lambda _: {"approximate": flag(form == "tanh")})(node, made)


def clip(node: Node, made: Builder) -> None:
    """``Clip`` between 0 and a number: ``relu6`` with that threshold."""
    low, high = (_bound(node, made, at, name) for at, name in ((1, "min"), (2, "max")))
    if low != 0 or high is None or not 0 < high < np.inf:
        made.refuse(node, f"bounds of {low} and {high}; 0 and a number above are known")
    bound = high
    _unary("relu6", lambda _: {"threshold": real(bound)})(node, made)


def _bound(node: Node, made: Builder, at: int, name: str) -> float | None:
    if name in node.attrs:
        return node.real(name, 0.0)
    array = made.constant(node.given(at))
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


UNARY: Mapping[str, Callable[[Node, Builder], None]] = {
    "Relu": _unary("relu"),
    "Sigmoid": _unary("sigmoid"),
    "Tanh": _unary("tanh"),
    "LeakyRelu": _unary("leaky_relu", lambda node: {"alpha": real(node.real("alpha", 0.01))}),
    "HardSigmoid": _unary(
        "hard_sigmoid", lambda node: {"slope": real(node.real("alpha", 0.2)), "offset": real(node.real("beta", 0.5))}
    ),
    "Swish": _unary("swish", lambda node: {"beta": real(node.real("alpha", 1.0))}),
    "HardSwish": _unary("hard_swish", lambda _: {"threshold": real(6.0), "scale": real(6.0), "offset": real(3.0)}),
    "Gelu": gelu,
    "Clip": clip,
}


# ---- norms


def batch_norm(node: Node, made: Builder) -> None:
    """``BatchNormalization`` on its stored statistics: ``batch_norm``."""
    x = made.shape(node, node.given(0))
    parts = [made.constant(node.given(at)) for at in range(1, 5)]
    if len(x) < 2 or any(part is None or part.shape != x[1:2] for part in parts) or node.number("training_mode", 0):
        made.refuse(node, f"statistics that do not fit an input of {show(x)}, or are computed from it")
    keys = ("X", "Scale", "Bias", "Mean", "Variance")
    inputs = {key: [made.tensor(node, node.inputs[at])] for at, key in enumerate(keys)}
    made.emit(
        "batch_norm",
        inputs,
        ("Y", made.declare(node, node.outputs[0], x)),
        epsilon=real(node.real("epsilon", 1e-5)),
        momentum=real(node.real("momentum", 0.9)),
        data_layout=text("NCHW"),
        is_test=flag(True),
        use_global_stats=flag(True),
        trainable_statistics=flag(False),
    )


def layer_norm(node: Node, made: Builder) -> None:
    """``LayerNormalization`` over the last side: ``layer_norm``."""
    x, parts = made.shape(node, node.given(0)), [made.constant(node.given(at)) for at in (1, 2)]
    axis = node.number("axis", -1)
    if not x or axis not in (-1, len(x) - 1) or any(part is None or part.size != x[-1] for part in parts):
        made.refuse(node, f"axis {axis} of {show(x)}; factors and summands for the last side are expected")
    held = [made.param(node, node.inputs[at], part.reshape(-1)) for at, part in enumerate(parts, 1) if part is not None]
    inputs = {"X": [made.tensor(node, node.inputs[0])], "Scale": held[:1], "Bias": held[1:]}
    epsilon, begin = real(node.real("epsilon", 1e-5)), integer(len(x) - 1)
    out = made.declare(node, node.outputs[0], x)
    made.emit("layer_norm", inputs, ("Y", out), epsilon=epsilon, begin_norm_axis=begin)


def softmax(node: Node, made: Builder) -> None:
    """``Softmax``: ``softmax``. Before opset 13 it goes over all sides from its axis on: only the last is known."""
    x = made.shape(node, node.given(0))
    axis = node.number("axis", -1 if made.opset >= 13 else 1)
    if not -len(x) <= axis < len(x):
        made.refuse(node, f"axis {axis} of {show(x)}")
    axis %= len(x)
    if made.opset < 13 and axis != len(x) - 1:
        made.refuse(node, f"the sides of {show(x)} from {axis} on as one")
    last = -1 if axis == len(x) - 1 else axis
    source = made.tensor(node, node.given(0))
    made.emit("softmax", {"X": [source]}, ("Out", made.declare(node, node.outputs[0], x)), axis=integer(last))


# ---- products and means


def matmul(node: Node, made: Builder) -> None:
    """``MatMul``: ``matmul_v2``."""
    a, b = (made.shape(node, node.given(at)) for at in (0, 1))
    _product(node, made, node.outputs[0], a, b)


def _product(node: Node, made: Builder, result: str, a: Shape, b: Shape, trans_b: bool = False) -> None:
    inner, columns = (b[-1:], b[-2:-1]) if trans_b else (b[-2:-1], b[-1:])
    if len(a) < 2 or len(b) < 2 or a[-1] != inner[0]:
        made.refuse(node, f"a product of {show(a)} and {show(b)}")
    shape = (*_broadcast(made, a[:-2], b[:-2]), a[-2], columns[0])
    inputs = {"X": [made.tensor(node, node.inputs[0])], "Y": [made.tensor(node, node.inputs[1])]}
    out = made.declare(node, result, shape)
    made.emit("matmul_v2", inputs, ("Out", out), trans_x=flag(False), trans_y=flag(trans_b))


def gemm(node: Node, made: Builder) -> None:
    """``Gemm`` without factors: ``matmul_v2``, and an addition."""
    a, b = (made.shape(node, node.given(at)) for at in (0, 1))
    if (node.real("alpha", 1.0), node.real("beta", 1.0)) != (1.0, 1.0) or node.number("transA", 0) or len(a) != 2:
        made.refuse(node, "factors, or a first operand that is turned")
    bias, result, turned = node.given(2), node.outputs[0], bool(node.number("transB", 0))
    if bias is None:
        _product(node, made, result, a, b, turned)
        return
    held = made.constant(bias)
    if held is None or held.ndim > 1:
        made.refuse(node, "its third operand is no constant with one number for each column")
    raw = made.fresh(result)
    _product(node, made, raw, a, b, turned)
    binary(Node("Add", (raw, bias), (result,), {}, node.name), made)


def mean(node: Node, made: Builder) -> None:
    """``ReduceMean``: ``reduce_mean``."""
    x, axes, kept = made.shape(node, node.given(0)), made.axes(node), bool(node.number("keepdims", 1))
    if not axes or any(not -len(x) <= axis < len(x) for axis in axes):
        made.refuse(node, f"a mean of {show(x)} over the axes {axes and list(axes)}")
    gone = sorted({axis % len(x) for axis in axes})
    shape = tuple(1 if at in gone else side for at, side in enumerate(x) if kept or at not in gone)
    source = made.tensor(node, node.given(0))
    out = made.declare(node, node.outputs[0], shape)
    made.emit(
        "reduce_mean",
        {"X": [source]},
        ("Out", out),
        dim=listed(gone),
        keep_dim=flag(kept),
        reduce_all=flag(False),
        in_dtype=integer(-1),
        out_dtype=integer(-1),
    )
