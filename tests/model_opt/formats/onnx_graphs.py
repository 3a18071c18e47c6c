"""Small ONNX files, made without the ``onnx`` package, and ONNX Runtime on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model_opt.formats.onnx_model.messages import model_message
from model_opt.nb.translate.proto import Graph, Node, encode_model
from model_opt.program.sizes import Sizes

OPEN = Sizes().named("side")
"""A side that the file leaves open."""


def node(op: str, inputs: str, outputs: str, **attrs) -> Node:
    """Return a node; names are separated by spaces, ``-`` leaves an input out."""
    return Node(op, tuple("" if name == "-" else name for name in inputs.split()), tuple(outputs.split()), attrs)


def onnx_file(
    nodes: Sequence[Node], constants: Mapping[str, object], shape: Sequence[int | None], opset: int = 13
) -> bytes:
    """Return a file with the input ``x`` (None for an open side) and the output ``y``.

    Lists of floats become float32, lists of integers int64.
    """
    arrays = {name: _array(value) for name, value in constants.items()}
    sides = tuple(OPEN if side is None else side for side in shape)
    graph = Graph(tuple(nodes), arrays, (("x", sides),), (("y", None),))
    return encode_model(graph, opset=opset, ir_version=7, producer=("tests", "1"))


def _array(value) -> np.ndarray:
    array = np.asarray(value)
    kinds = {"f": np.float32, "i": np.int64}
    return array.astype(kinds[array.dtype.kind]) if array.dtype in (np.float64, np.int64) else array


def edited(data: bytes, change) -> bytes:
    """Return a file after ``change(message)``, for what the writer does not write."""
    message = model_message().FromString(data)
    change(message)
    return bytes(message.SerializeToString())


def run_onnx(data: bytes, x: np.ndarray) -> np.ndarray:
    """Return what ONNX Runtime makes of ``x``."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x})
    return y
