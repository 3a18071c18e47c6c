"""The app's ONNX file: every input size declared, quantised weights kept as integers, which pack well.

OpenCV infers all shapes when it loads a file, with 0 for a side that the file leaves open. Its pooling then computes a
size below zero, takes it for a huge unsigned number and turns that float into an int: undefined in C++, and ARM gives
another number than x86, with which the recogniser does not load. So the file declares a size; a run may have another.

``to_onnx`` writes the weights of a weight-only file as the floats that Paddle Lite's loader makes of them. Those floats
are integers times a scale for each channel, so the integers and a DequantizeLinear say the same; ONNX Runtime and
OpenCV's DNN multiply once, when they load the file. What fits int8 stands as int8, a quarter of the bytes.

DequantizeLinear of opset 17 takes no int16, so other weights of 16 bits stand as two lists of int8: ``256 * high +
low``, each restored, then added, then multiplied by the scales. Floats hold that sum exactly, and the product is
rounded once, as in Paddle Lite. The bytes of one kind lie together, so deflate leaves less than of int32. OpenCV works
that out when it loads the file (some 45 ns a weight on x86-64); ONNX Runtime does so at every run, with the same
numbers.

OpenCV adds the pixels of a mean to one float, one after the other, which loses digits on large maps: 2e-3 in the
answer of PP-OCRv6's detector to 640x960 pixels. A file may take the mean of each row and then of these, which costs
nothing: 1e-4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.nb.errors import NbError
from model_opt.nb.means import BY_ROWS, with_means
from model_opt.nb.to_onnx import IR_VERSION, OPSET
from model_opt.nb.translate import fold, translate
from model_opt.nb.translate.proto import Graph, Node, encode_model
from model_opt.nb.translate.view import SCALE_SUFFIX
from model_opt.nb.types import NbModel
from model_opt.program.sizes import Shape

_SMALLEST = 1024
"""Elements below which a weight is not worth a separate node."""
_TOP: Mapping[np.dtype[Any], int] = {np.dtype(np.int8): 127, np.dtype("<i2"): 32767}
"""The largest number of a weight of each type, on both sides of zero."""

Float32Array = NDArray[np.float32]
Written = tuple[list[Node], dict[str, NDArray[Any]]]
"""The nodes that restore a weight, and their constants."""


@dataclass(frozen=True)
class _Quantised:
    """The largest integer that a parameter of the ``.nb`` file may hold, and its scales by channel."""

    top: int
    scales: Float32Array


@dataclass(frozen=True)
class InputSize:
    """Height and width in pixels that a file declares for its images."""

    height: int
    width: int


def to_compact_onnx(model: NbModel, size: InputSize, *, by_rows: bool = False) -> bytes:
    """Return the ONNX file of ``to_onnx(model)`` with a declared size and quantised weights as integers.

    ``size`` fills the sides that the model leaves open; OpenCV still runs the file at any size, ONNX Runtime at this
    one alone. The weights come back as the same numbers; an engine may join operators differently, which moves its
    last digits. ``by_rows`` takes means over a map by its rows. Raises what ``to_onnx`` raises, and ``NbError`` for an
    input that is no image.
    """
    producer = ("edge-kit", f"opt {model.opt_version}")
    graph = declare(compact_graph(model), size)
    if by_rows:
        graph = with_means(graph, BY_ROWS)
    return encode_model(graph, opset=OPSET, ir_version=IR_VERSION, producer=producer)


def compact_graph(model: NbModel) -> Graph:
    """Return the graph of ``to_onnx(model)`` with the weights that the file holds as integers written so."""
    graph, known = fold(translate(model)), _quantised(model)
    nodes: list[Node] = []
    constants: dict[str, NDArray[Any]] = {}
    for name, weight in graph.constants.items():
        found = _by_channel(weight, known[name]) if name in known else None
        if found is None:
            constants[name] = weight
            continue
        axis, steps = found
        write = _one_byte if steps.dtype == np.int8 else _two_bytes
        made, parts = write(name, axis, steps, known[name].scales)
        nodes += made
        constants |= parts
    return Graph((*nodes, *graph.nodes), constants, graph.inputs, graph.outputs)


def _one_byte(name: str, axis: int, steps: NDArray[Any], scales: Float32Array) -> Written:
    parts = {f"{name}/steps": steps, f"{name}/scales": scales}
    return [Node("DequantizeLinear", tuple(parts), (name,), {"axis": axis})], parts


def _two_bytes(name: str, axis: int, steps: NDArray[Any], scales: Float32Array) -> Written:
    """Write ``scales * (256 * high + low)`` with low from 0 to 255, which is stored as low - 128."""
    sides = [1] * steps.ndim
    sides[axis] = -1
    high, low, total, factors = (f"{name}/{part}" for part in ("high", "low", "steps", "scales"))
    # One number for all channels is a list of one: OpenCV 4.11 crashes on a scale without sides.
    parts: dict[str, NDArray[Any]] = {
        high: (steps >> 8).astype(np.int8),
        low: ((steps & 255) - 128).astype(np.int8),
        factors: scales.reshape(sides),
        "bytes/high": np.array([256], np.float32),
        "bytes/low": np.array([1], np.float32),
        "bytes/zero": np.array([-128], np.int8),
    }
    return [
        Node("DequantizeLinear", (high, "bytes/high"), (f"{high}/float",), {}),
        Node("DequantizeLinear", (low, "bytes/low", "bytes/zero"), (f"{low}/float",), {}),
        Node("Add", (f"{high}/float", f"{low}/float"), (total,), {}),
        Node("Mul", (total, factors), (name,), {}),
    ], parts


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


def _quantised(model: NbModel) -> dict[str, _Quantised]:
    """Return every parameter that the file holds as integers, by its name."""
    tops = {name: _TOP[array.dtype] for name, array in model.params.items() if array.dtype in _TOP}
    pairs = ((key.removesuffix(SCALE_SUFFIX), attr.value) for op in model.ops for key, attr in op.attrs.items())
    return {
        name: _Quantised(tops[name], np.array(value, np.float32))
        for name, value in pairs
        if name in tops and isinstance(value, tuple)
    }


def _by_channel(weight: NDArray[Any], known: _Quantised) -> tuple[int, NDArray[Any]] | None:
    """Return the axis of the channels and the integers of a weight; None for one that is too small, or that the scales
    do not give back exactly.
    """
    if weight.dtype != np.float32 or weight.ndim < 2 or weight.size < _SMALLEST:
        return None
    for axis in sorted({0, 1, weight.ndim - 1}):
        rows = np.moveaxis(weight, axis, 0)
        if len(rows) != len(known.scales):
            continue
        steps = _steps(rows.reshape(len(rows), -1), known)
        if steps is not None:
            return axis, np.ascontiguousarray(np.moveaxis(steps.reshape(rows.shape), 0, axis))
    return None


def _steps(rows: Float32Array, known: _Quantised) -> NDArray[Any] | None:
    """Return the integers with which the scales give exactly ``rows``, None when there are none.

    A negative zero counts as zero: no sum can tell them apart.
    """
    scales = known.scales[:, None]
    with np.errstate(all="ignore"):  # a scale of zero, or one that is far too small, fits only zeros
        steps = np.nan_to_num(np.rint(rows / scales))
        most = np.abs(steps).max(initial=0)
        fits = most <= known.top and (steps * scales == rows).all()
    return steps.astype(np.int8 if most <= _TOP[np.dtype(np.int8)] else np.int32) if fits else None
