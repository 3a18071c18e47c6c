"""The app's ONNX file: every input size declared, and int8 weights kept as int8, a quarter of the bytes.

OpenCV infers all shapes when it loads a file, with 0 for a side that the file leaves open. Its pooling then computes a
size below zero, takes it for a huge unsigned number and turns that float into an int: undefined in C++, and ARM gives
another number than x86, with which the recogniser does not load. So the file declares a size; a run may have another.

``to_onnx`` writes the weights of a weight-only file as the floats that Paddle Lite's loader makes of them. Those floats
are integers times a scale for each channel, so the integers and a DequantizeLinear say the same; ONNX Runtime and
OpenCV's DNN multiply once, when they load the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.nb.errors import NbError
from model_opt.nb.to_onnx import IR_VERSION, OPSET
from model_opt.nb.translate import fold, translate
from model_opt.nb.translate.dims import Shape
from model_opt.nb.translate.proto import Graph, Node, encode_model
from model_opt.nb.translate.view import SCALE_SUFFIX
from model_opt.nb.types import NbModel, VarType

_SMALLEST = 1024
"""Elements below which a weight is not worth a node of its own."""
_TOP = np.float32(127)

Float32Array = NDArray[np.float32]
Grid = tuple[NDArray[np.int8], Float32Array]


@dataclass(frozen=True)
class InputSize:
    """Height and width in pixels that a file declares for its images."""

    height: int
    width: int


def to_compact_onnx(model: NbModel, size: InputSize) -> bytes:
    """Return the ONNX file of ``to_onnx(model)`` with a declared size and the weights that are int8 written so.

    ``size`` fills the sides that the model leaves open; OpenCV still runs the file at any size, ONNX Runtime at this
    one alone. The weights come back as the same numbers; an engine may join operators differently, which moves its
    last digits. Raises what ``to_onnx`` raises, and ``NbError`` for an input that is no image.
    """
    producer = ("edge-kit", f"opt {model.opt_version}")
    return encode_model(declare(compact_graph(model), size), opset=OPSET, ir_version=IR_VERSION, producer=producer)


def compact_graph(model: NbModel) -> Graph:
    """Return the graph of ``to_onnx(model)`` with the weights that the file holds as int8 written so."""
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
    return Graph((*nodes, *graph.nodes), constants, graph.inputs, graph.outputs)


def declare(graph: Graph, size: InputSize) -> Graph:
    """Return a graph whose inputs [1, C, H, W] have ``size`` where height or width was open."""
    inputs: list[tuple[str, Shape]] = []
    for name, shape in graph.inputs:
        *front, height, width = shape
        if len(front) != 2 or not all(isinstance(side, int) for side in front):
            raise NbError(
                f"the input {name!r} of shape {shape} is no image [1, C, H, W]", hint="export the model again"
            )
        sides = (own if isinstance(own, int) else given for own, given in ((height, size.height), (width, size.width)))
        inputs.append((name, (*front, *sides)))
    return replace(graph, inputs=tuple(inputs))


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
