"""An ONNX file that keeps int8 weights as int8: a quarter of the bytes, and they pack well.

``to_onnx`` writes the weights of a weight-only file as the floats that Paddle Lite's loader makes of them. Those floats
are integers times a scale for each channel, so the integers and a DequantizeLinear say the same; ONNX Runtime and
OpenCV's DNN multiply once, when they load the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.nb.to_onnx import IR_VERSION, OPSET
from model_opt.nb.translate import fold, translate
from model_opt.nb.translate.proto import Graph, Node, encode_model
from model_opt.nb.types import NbModel

_SMALLEST = 1024
"""Elements below which a weight is not worth a node of its own."""
_TOP = np.float32(127)

Float32Array = NDArray[np.float32]
Grid = tuple[NDArray[np.int8], Float32Array]


def to_compact_onnx(model: NbModel) -> bytes:
    """Return the ONNX file of ``to_onnx(model)`` with the weights that lie on an int8 grid written as int8.

    The weights come back as the same numbers; an engine may join operators differently, which moves its last digits.
    A model without such weights gives the very bytes of ``to_onnx``. Raises what ``to_onnx`` raises.
    """
    graph = fold(translate(model))
    nodes: list[Node] = []
    constants: dict[str, NDArray[Any]] = {}
    for name, weight in graph.constants.items():
        found = _by_channel(weight)
        if found is None:
            constants[name] = weight
            continue
        axis, (steps, scales) = found
        parts = (f"{name}/steps", f"{name}/scales", f"{name}/zeros")
        constants |= dict(zip(parts, (steps, scales, np.zeros(len(scales), np.int8)), strict=True))
        nodes.append(Node("DequantizeLinear", parts, (name,), {"axis": axis}))
    compact = Graph((*nodes, *graph.nodes), constants, graph.inputs, graph.outputs)
    producer = ("edge-kit", f"opt {model.opt_version}")
    return encode_model(compact, opset=OPSET, ir_version=IR_VERSION, producer=producer)


def _by_channel(weight: NDArray[Any]) -> tuple[int, Grid] | None:
    """Return the axis of the channels and the grid of a weight, or None when it lies on none."""
    if weight.dtype != np.float32 or weight.ndim < 2 or weight.size < _SMALLEST:
        return None
    for axis in sorted({0, 1, weight.ndim - 1}):
        rows = np.moveaxis(weight, axis, 0)
        found = _on_grid(rows.reshape(len(rows), -1))
        if found is not None:
            steps = np.moveaxis(found[0].reshape(rows.shape), 0, axis)
            return axis, (np.ascontiguousarray(steps), found[1])
    return None


def _on_grid(rows: Float32Array) -> Grid | None:
    """Return integers and a scale for each row, with which float32 gives exactly ``rows``; None when there are none.

    opt's scale is the largest magnitude of the channel, or of the whole weight, over 127; dividing gives it up to one
    unit in the last place. A negative zero counts as zero: no sum can tell them apart.
    """
    if not np.isfinite(rows).all():
        return None
    tops = np.abs(rows).max(axis=1)
    steps, scales = np.zeros(rows.shape, np.int8), np.ones(len(rows), np.float32)
    left = tops > 0
    for near in ((tops / _TOP).astype(np.float32), np.full(len(rows), tops.max() / _TOP, np.float32)):
        for toward in (near, np.float32(0), np.float32(np.inf)):
            scale = np.nextafter(near, toward)
            chosen = np.flatnonzero(left)
            with np.errstate(all="ignore"):  # a candidate that is zero or far too small fits nothing
                whole = np.rint(rows[chosen] / scale[chosen, None])
                fits = (np.abs(whole) <= _TOP).all(axis=1)
                fits &= (whole * scale[chosen, None] == rows[chosen]).all(axis=1)
            taken = chosen[fits]
            steps[taken], scales[taken] = whole[fits].astype(np.int8), scale[taken]
            left[taken] = False
    return None if left.any() else (steps, scales)
