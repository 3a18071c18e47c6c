"""ONNX files, written without the ``onnx`` package: as much of onnx.proto as a graph of float tensors needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.formats.onnx_model.messages import ATTR_TYPES, FLOAT, model_message
from model_opt.paddle_model.messages import to_bytes
from model_opt.program.sizes import Shape

Attr = int | float | str | tuple[int, ...] | tuple[float, ...]

_TENSOR_TYPES = {
    np.dtype(kind): number
    for kind, number in ((np.float32, 1), (np.uint8, 2), (np.int8, 3), (np.int32, 6), (np.int64, 7))
}


@dataclass(frozen=True, slots=True)
class Node:
    """One ONNX operator: tensors by name, attributes by name."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Attr]


@dataclass(frozen=True)
class Graph:
    """A graph whose inputs and outputs are float32; nodes are in execution order."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: tuple[tuple[str, Shape], ...]
    outputs: tuple[tuple[str, Shape | None], ...]
    """None: the shape is left to the reader of the file."""


def encode_model(graph: Graph, *, opset: int, ir_version: int, producer: tuple[str, str]) -> bytes:
    """Return the bytes of an ``.onnx`` file. The same graph gives the same bytes."""
    name, version = map(to_bytes, producer)
    model = model_message()(ir_version=ir_version, producer_name=name, producer_version=version)
    model.opset_import.add(domain=b"", version=opset)
    model.graph.name = b"nb"
    for index, node in enumerate(graph.nodes):
        _fill_node(model.graph.node.add(), node, index)
    for text, data in graph.constants.items():
        raw, kind = np.ascontiguousarray(data).tobytes(), _TENSOR_TYPES[data.dtype]
        model.graph.initializer.add(dims=data.shape, data_type=kind, name=to_bytes(text), raw_data=raw)
    for side, values in ((model.graph.input, graph.inputs), (model.graph.output, graph.outputs)):
        for text, shape in values:
            _fill_type(side.add(name=to_bytes(text)).type.tensor_type, shape)
    return bytes(model.SerializeToString())


def _fill_node(message: Any, node: Node, index: int) -> None:
    message.input.extend(map(to_bytes, node.inputs))
    message.output.extend(map(to_bytes, node.outputs))
    message.name, message.op_type = to_bytes(f"{node.op}_{index}"), to_bytes(node.op)
    for name, value in sorted(node.attrs.items()):
        field, plain = _attribute(value)
        message.attribute.add(name=to_bytes(name), type=ATTR_TYPES[field], **{field: plain})


def _attribute(value: Attr) -> tuple[str, Any]:
    """Return the field that holds an attribute, and its value as that field takes it."""
    if isinstance(value, tuple):
        floats = bool(value) and isinstance(value[0], float)
        return ("floats", value) if floats else ("ints", [int(item) for item in value])
    if isinstance(value, str):
        return "s", to_bytes(value)
    return ("f", value) if isinstance(value, float) else ("i", int(value))


def _fill_type(message: Any, shape: Shape | None) -> None:
    message.elem_type = FLOAT
    if shape is not None:
        message.shape.SetInParent()
        for dim in shape:
            message.shape.dim.add(**({"dim_value": dim} if isinstance(dim, int) else {}))
