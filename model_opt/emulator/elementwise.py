"""The operands of an elementwise operator, brought to shapes that broadcast."""

from __future__ import annotations

import numpy as np

from model_opt.emulator.state import Array, Values
from model_opt.nb.translate.view import OpView


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
