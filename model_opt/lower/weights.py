"""Weight attributes: rounded to integers (``post_quant_dynamic_pass``), or loaded as fp16 (``fp16_attribute_pass``)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_opt.lower.graph import Graph, integer, reals, text

_BY_COLUMN = frozenset({"fc", "mul", "matmul", "matmul_v2", "lookup_table"})
_HALVES = frozenset(
    {
        "conv2d", "depthwise_conv2d", "conv2d_transpose", "fc", "gru", "sequence_conv", "elementwise_add",
        "elementwise_mul", "elementwise_div", "elementwise_sub", "matmul", "mul", "matmul_v2", "prelu",
    }
)  # fmt: skip
_BY_OUTPUTS = "post_weight_channel_wise_abs_max"


def round_weights(graph: Graph, bits: Literal[8, 16], rounded: Collection[str]) -> None:
    """Round every float parameter that operators of these types read, biases too, to integers with scales.

    One scale for each output channel: axis 0 of a filter and of a vector, axis 1 of a matrix. Depthwise and transposed
    convolutions keep their floats. Raises ``LowerError`` for a parameter that several operators read: the runtime
    would restore it for one of them.
    """
    for op in graph.ops:
        if op.type not in rounded:
            continue
        for name in op.reads:
            if not graph.is_param(name) or graph.params[name].dtype != np.float32:
                continue
            if graph.params[name].ndim not in (1, 2, 4) or not graph.params[name].size:
                sizes = list(graph.params[name].shape)
                op.refuse(f"its weights {name!r} of the sizes {sizes} cannot be held as integers")
            if graph.only_reader(name) is not op:
                op.refuse(f"its weights {name!r} cannot be held as integers: other operators read them too")
            graph.params[name], scales = _rounded(graph.params[name], bits, by_column=op.type in _BY_COLUMN)
            op.attrs |= {
                "quantization_type": text(_BY_OUTPUTS),
                "quantize_weight_bits": integer(bits),
                f"{name}_quant_scale": reals(scales),
            }


def mark_halves(graph: Graph) -> None:
    """Name the float parameters that the runtime turns into fp16 when it loads the file.

    Raises ``LowerError`` for one that another operator takes as floats.
    """
    for op in graph.ops:
        for name in op.reads if op.type in _HALVES else ():
            if not _is_float(graph, name):
                continue
            other = next((one.type for one in graph.readers(name) if one.type not in _HALVES), None)
            if other is not None:
                op.refuse(f"its parameter {name!r} becomes fp16, and {other} reads it as floats")
            op.attrs[f"{name}_fp16"] = text("fp16")


def _is_float(graph: Graph, name: str) -> bool:
    return graph.is_param(name) and graph.params[name].dtype == np.float32


def _rounded(weights: NDArray[Any], bits: int, *, by_column: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return integers and float32 scales; halves round away from zero, a channel of zeros has the scale 0."""
    axis = 1 if by_column and weights.ndim > 1 else 0
    others = tuple(side for side in range(weights.ndim) if side != axis)
    scales = np.asarray(np.abs(weights).max(axis=others), np.float32) / np.float32((1 << (bits - 1)) - 1)
    shape = [-1 if side == axis else 1 for side in range(weights.ndim)]
    divisors = np.where(scales == 0, np.float32(1), scales).reshape(shape)
    quotients = np.asarray(weights / divisors, np.float64)
    rounded = np.sign(quotients) * np.floor(np.abs(quotients) + 0.5)
    return rounded.astype(np.int8 if bits == 8 else np.int16), scales
