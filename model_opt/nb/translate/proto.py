"""ONNX files, written without the ``onnx`` package: as much of onnx.proto as a graph of float tensors needs.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.nb.translate.dims import Shape
from model_opt.paddle_model.wire import encode, put_bytes, put_f32, put_int, put_text

Attr = int | float | str | tuple[int, ...] | tuple[float, ...]
Fields = list[tuple[int, bytes]]

_TENSOR_TYPES = {
    np.dtype(kind): number
    for kind, number in ((np.float32, 1), (np.uint8, 2), (np.int8, 3), (np.int32, 6), (np.int64, 7))
}
_FLOAT, _INT, _STRING, _FLOATS, _INTS = 1, 2, 3, 6, 7


@dataclass(frozen=True, slots=True)
class Node:
    """One ONNX operator: tensors by name, attributes by name."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Attr]


@dataclass(frozen=True)
class Graph:
    """A graph whose inputs and outputs are float32; nodes stand in the order they run."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: tuple[tuple[str, Shape], ...]
    outputs: tuple[tuple[str, Shape | None], ...]
    """None: the shape is left to the reader of the file."""


def encode_model(graph: Graph, *, opset: int, ir_version: int, producer: tuple[str, str]) -> bytes:
    """Return the bytes of an ``.onnx`` file. The same graph gives the same bytes."""
    return encode(
        [
            *put_int(1, ir_version),
            put_text(2, producer[0]),
            put_text(3, producer[1]),
            put_bytes(7, _graph(graph)),
            put_bytes(8, encode([put_text(1, ""), *put_int(2, opset)])),
        ]
    )


def _graph(graph: Graph) -> bytes:
    fields: Fields = [put_bytes(1, _node(node, index)) for index, node in enumerate(graph.nodes)]
    fields.append(put_text(2, "nb"))
    fields += [put_bytes(5, _tensor(name, data)) for name, data in graph.constants.items()]
    fields += [put_bytes(11, _value_info(name, shape)) for name, shape in graph.inputs]
    fields += [put_bytes(12, _value_info(name, shape)) for name, shape in graph.outputs]
    return encode(fields)


def _node(node: Node, index: int) -> bytes:
    return encode(
        [
            *(put_text(1, name) for name in node.inputs),
            *(put_text(2, name) for name in node.outputs),
            put_text(3, f"{node.op}_{index}"),
            put_text(4, node.op),
            *(put_bytes(5, _attribute(name, value)) for name, value in sorted(node.attrs.items())),
        ]
    )


def _attribute(name: str, value: Attr) -> bytes:
    fields: Fields = [put_text(1, name)]
    if isinstance(value, tuple):
        if value and isinstance(value[0], float):
            fields += [put_f32(7, float(item)) for item in value]
            return encode([*fields, *put_int(20, _FLOATS)])
        return encode([*fields, *_ints(8, value), *put_int(20, _INTS)])
    if isinstance(value, float):
        return encode([*fields, put_f32(2, value), *put_int(20, _FLOAT)])
    if isinstance(value, str):
        return encode([*fields, put_text(4, value), *put_int(20, _STRING)])
    return encode([*fields, *put_int(3, value), *put_int(20, _INT)])


def _ints(number: int, values: Sequence[Any]) -> Fields:
    return [put_int(number, int(value))[0] for value in values]


def _tensor(name: str, data: NDArray[Any]) -> bytes:
    raw = np.ascontiguousarray(data).tobytes()
    return encode([*_ints(1, data.shape), *put_int(2, _TENSOR_TYPES[data.dtype]), put_text(8, name), put_bytes(9, raw)])


def _value_info(name: str, shape: Shape | None) -> bytes:
    if shape is None:
        return encode([put_text(1, name), put_bytes(2, encode([put_bytes(1, encode(put_int(1, _FLOAT)))]))])
    sizes = [encode(put_int(1, dim) if isinstance(dim, int) else []) for dim in shape]
    dims = encode([put_bytes(1, size) for size in sizes])
    tensor = encode([*put_int(1, _FLOAT), put_bytes(2, dims)])
    return encode([put_text(1, name), put_bytes(2, encode([put_bytes(1, tensor)]))])
