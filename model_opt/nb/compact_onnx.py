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
from model_opt.nb.translate.view import SCALE_SUFFIX
from model_opt.nb.types import NbModel, VarType

_SMALLEST = 1024
"""Elements below which a weight is not worth a node of its own."""
_TOP = np.float32(127)

Float32Array = NDArray[np.float32]
Grid = tuple[NDArray[np.int8], Float32Array]


def to_compact_onnx(model: NbModel) -> bytes:
    """Return the ONNX file of ``to_onnx(model)`` with the weights that the file holds as int8 written so.

    The weights come back as the same numbers; an engine may join operators differently, which moves its last digits.
    A model without such weights gives the very bytes of ``to_onnx``. Raises what ``to_onnx`` raises.
    """
    graph, known = fold(translate(model)), _scales(model)
    nodes: list[Node] = []
    constants: dict[str, NDArray[Any]] = {}
    for name, weight in graph.constants.items():
        found = _by_channel(weight, known[name]) if name in known else None
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


def _scales(model: NbModel) -> dict[str, Float32Array]:
    """Return the scales of every parameter that the file holds as int8, by its name."""
    held = {name for name, tensor in model.params.items() if tensor.data_type is VarType.INT8}
    pairs = ((key.removesuffix(SCALE_SUFFIX), value) for op in model.ops for key, value in op.attrs.items())
    return {name: np.array(value, np.float32) for name, value in pairs if name in held and isinstance(value, tuple)}


def _by_channel(weight: NDArray[Any], scales: Float32Array) -> tuple[int, Grid] | None:
    """Return the axis of the channels and the integers with their scales; None for a weight that is too small, or that
    the scales do not give back exactly.
    """
    if weight.dtype != np.float32 or weight.ndim < 2 or weight.size < _SMALLEST:
        return None
    for axis in sorted({0, 1, weight.ndim - 1}):
        rows = np.moveaxis(weight, axis, 0)
        if len(rows) != len(scales):
            continue
        steps = _steps(rows.reshape(len(rows), -1), scales)
        if steps is not None:
            return axis, (np.ascontiguousarray(np.moveaxis(steps.reshape(rows.shape), 0, axis)), scales)
    return None


def _steps(rows: Float32Array, scales: Float32Array) -> NDArray[np.int8] | None:
    """Return the integers with which ``scales`` give exactly ``rows``, None when there are none.

    A negative zero counts as zero: no sum can tell them apart.
    """
    with np.errstate(all="ignore"):  # a scale of zero, or one that is far too small, fits only zeros
        whole = np.nan_to_num(np.rint(rows / scales[:, None]))
        fits = (np.abs(whole) <= _TOP).all() and (whole * scales[:, None] == rows).all()
    return whole.astype(np.int8) if fits else None
