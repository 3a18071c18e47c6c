"""Kernels that compute value by value: of one tensor, and of two that are brought to shapes that broadcast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from model_opt.emulator.state import Array, Float32, Values
from model_opt.nb.translate.view import OpView

Kernel = Callable[[OpView, Values], None]
Dtype = type[np.float16] | type[np.float32]


def unary(dtype: Dtype, compute: Callable[[OpView, Float32], Array]) -> Kernel:
    """Return the kernel that applies ``compute`` to X, widened to float32; values in memory are of ``dtype``."""

    def kernel(op: OpView, values: Values) -> None:
        values.put(op, "Out", compute(op, values.one(op, "X", dtype).astype(np.float32)).astype(dtype))

    return kernel


def binary(dtype: Dtype, compute: Callable[[Float32, Float32], Float32]) -> Kernel:
    """Return the kernel that applies ``compute`` to X and Y as ``unary`` does to X; a fused activation is a relu."""

    def kernel(op: OpView, values: Values) -> None:
        if op.desc.type.startswith("fusion_") and op.text("act_type") != "relu":
            op.fail(f"the activation {op.text('act_type')!r}")
        x, y = (array.astype(np.float32) for array in aligned(op, values, dtype))
        values.put(op, "Out", compute(x, y).astype(dtype))

    return kernel


def relu(_: OpView, x: Float32) -> Array:
    """max(x, 0); NaN stays."""
    return np.maximum(x, np.float32(0))


def aligned(op: OpView, values: Values, dtype: type[np.generic]) -> tuple[Array, Array]:
    """Return X and Y, the smaller one aligned at ``axis`` (-1: at the last side)."""
    x, y = values.one(op, "X", dtype), values.one(op, "Y", dtype)
    axis = op.integer("axis")
    if axis != -1:
        rank = max(x.ndim, y.ndim)
        x, y = (_from_axis(op, array, axis, rank) if array.ndim < rank else array for array in (x, y))
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        op.fail(f"operands of shapes {list(x.shape)} and {list(y.shape)} at axis {axis}")
    return x, y


def _from_axis(op: OpView, array: Array, axis: int, rank: int) -> Array:
    behind = rank - axis - array.ndim
    if axis < 0 or behind < 0:
        op.fail(f"an operand of shape {list(array.shape)} at axis {axis} of {rank} sides")
    return array.reshape(array.shape + (1,) * behind)
