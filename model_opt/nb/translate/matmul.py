"""Matrix products: ``fc``, ``mul``, ``matmul``, ``matmul_v2``."""

from __future__ import annotations

import math

import numpy as np

from model_opt.nb.translate.activation import by_alpha
from model_opt.nb.translate.reshape import reshaped, transposed
from model_opt.nb.translate.state import Float32Array, State, Tensor
from model_opt.nb.translate.view import OpView
from model_opt.program.sizes import Shape, known, show


def _matrix(op: OpView, state: State, slot: str) -> tuple[Tensor, Float32Array]:
    """Return a parameter of two dimensions."""
    weights = state.tensor(op, slot)
    if weights.data is None or weights.data.ndim != 2:
        op.fail(f"weights of shape {show(weights.shape)}, a parameter of two dimensions is expected")
    return weights, weights.data


def fc(op: OpView, state: State) -> None:
    """``fc``: rows of the input times ``W`` plus ``Bias``; made of a matmul, it keeps all dimensions but the last."""
    x = state.tensor(op, "Input")
    weights, data = _matrix(op, state, "W")
    columns = op.integer("in_num_col_dims")
    kind = op.text("op_type", "mul")
    if kind not in ("mul", "matmul", "matmul_v2", ""):
        op.fail(f"an fc made of {kind!r}")
    if kind.startswith("matmul"):
        columns = len(x.shape) - 1
    _check_fc(op)
    x = _rows(op, state, x, columns, data.shape[0])
    near = op.output("Out")
    y = state.emit(op, "MatMul", [x.name, weights.name], (*x.shape[:columns], data.shape[1]), near)
    has_bias = bool(op.arguments("Bias"))
    if has_bias:
        bias = state.constant_tensor(op, "Bias")
        if bias.size != data.shape[1]:
            op.fail(f"a bias of {bias.size} values for {data.shape[1]} columns")
        flat = state.constant_like(bias.reshape(-1), op.argument("Bias"))
        y = state.emit(op, "Add", [y.name, flat.name], y.shape, near)
    kind = op.text("activation_type", "")
    if kind and not has_bias and op.target == "arm":
        op.fail(
            f"the activation {kind!r} without a bias: the ARM kernel applies it for one row and forgets it for more"
        )
    state.bind(op, "Out", by_alpha(op, state, y, near, "relu", "relu6"))


def _check_fc(op: OpView) -> None:
    """Refuse what would change the product; the attributes of the operator that was fused have no further effect."""
    op.must("padding_weights", False)
    op.must("enable_int8", False)
    for name in ("trans_x", "trans_y", "transpose_X", "transpose_Y"):
        op.ignore(name)  # opt has transposed the weights itself
    if op.desc.attr("activation_type") != "relu6":
        op.must("alpha", 1.0)
    op.ignore("x_num_col_dims", "y_num_col_dims")
    for name in ("X", "Y", "Out"):
        op.must(f"fused_reshape_{name}", ())
        op.must(f"fused_transpose_{name}", ())


def _rows(op: OpView, state: State, x: Tensor, columns: int, length: int) -> Tensor:
    """Return ``x`` with its sides from ``columns`` on flattened to rows of ``length``."""
    if not 1 <= columns < len(x.shape):
        op.fail(f"an input of {len(x.shape)} dimensions, of which {columns} count rows")
    if columns == len(x.shape) - 1:
        if x.shape[-1] != length:
            op.fail(f"rows of {x.shape[-1]} values for weights of {length}")
        return x
    tail = known(x.shape[columns:])
    if tail is None or math.prod(tail) != length:
        op.fail(f"an input of {show(x.shape)} in rows of {show(x.shape[columns:])} for weights of {length}")
    return reshaped(op, state, x, (*x.shape[:columns], length), f"{x.name}/rows")


def mul(op: OpView, state: State) -> None:
    """``mul``: both operands flattened to matrices."""
    x = state.tensor(op, "X")
    weights, data = _matrix(op, state, "Y")
    if op.integer("y_num_col_dims", 1) != 1:
        op.fail("weights that are split elsewhere than after the first side")
    columns = op.integer("x_num_col_dims", 1)
    op.must("enable_int8", False)
    x = _rows(op, state, x, columns, data.shape[0])
    y = state.emit(op, "MatMul", [x.name, weights.name], (*x.shape[:-1], data.shape[1]), op.output("Out"))
    state.bind(op, "Out", y)


def matmul(op: OpView, state: State) -> None:
    """``matmul`` and ``matmul_v2`` of two or more dimensions, with ``alpha``; the leading sides must agree."""
    x, y = state.tensor(op, "X"), state.tensor(op, "Y")
    names = ("trans_x", "trans_y") if op.desc.type == "matmul_v2" else ("transpose_X", "transpose_Y")
    op.must("enable_int8", False)
    for name in ("X", "Y", "Out"):
        op.must(f"fused_reshape_{name}", ())
        op.must(f"fused_transpose_{name}", ())
    op.must("head_number", 1)
    if len(x.shape) < 2 or len(y.shape) < 2:
        op.fail(f"operands of {show(x.shape)} and {show(y.shape)}, two dimensions or more are known")
    x, y = (_turned(op, state, t, op.flag(name)) for t, name in ((x, names[0]), (y, names[1])))
    shape = _product_shape(op, x.shape, y.shape)
    near = op.output("Out")
    product = state.emit(op, "MatMul", [x.name, y.name], shape, near)
    alpha = op.real("alpha", 1.0)
    if alpha != 1.0:
        factor = state.constant(np.array([alpha], dtype=np.float32))
        product = state.emit(op, "Mul", [product.name, factor], shape, near)
    state.bind(op, "Out", product)


def _turned(op: OpView, state: State, x: Tensor, wanted: bool) -> Tensor:
    """Return ``x`` with its last two sides swapped if ``wanted``."""
    if not wanted:
        return x
    rank = len(x.shape)
    return transposed(op, state, x, (*range(rank - 2), rank - 1, rank - 2), f"{x.name}/turned")


def _product_shape(op: OpView, x: Shape, y: Shape) -> Shape:
    both_batched = len(x) > 2 and len(y) > 2
    inner = isinstance(x[-1], int) and isinstance(y[-2], int) and x[-1] != y[-2]
    if inner or (both_batched and x[:-2] != y[:-2]):
        op.fail(f"operands of {show(x)} and {show(y)} do not go together")
    lead = x[:-2] if len(x) > 2 else y[:-2]
    return (*lead, x[-2], y[-1])
