"""An ONNX file as values: nodes with their attributes, constants as arrays, inputs and outputs. Nothing is mapped yet.

What the file holds is checked here: that it is complete, and of a kind that can be read at all (no weights in other
files, no quantisation, no functions).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.formats.errors import FormatError
from model_opt.formats.onnx_model.messages import ATTR_TYPES, FLOAT, model_message
from model_opt.paddle_model.messages import to_text

Array = NDArray[Any]
Attr = int | float | str | tuple[int, ...] | tuple[float, ...] | Array

DAMAGED = "the file is damaged or truncated: fetch or export it again"
EXPORT = "export the model again with PaddleX or paddle2onnx, in float32"
OLDEST, NEWEST = 7, 23
"""Versions of ONNX's operators (opset) whose forms are known here."""

_DTYPES: Mapping[int, np.dtype[Any]] = {
    FLOAT: np.dtype("<f4"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    9: np.dtype(np.bool_),
    11: np.dtype("<f8"),
}
_FIELDS: Mapping[int, str] = {FLOAT: "float_data", 6: "int32_data", 7: "int64_data", 9: "int32_data", 11: "double_data"}
_OTHER_TYPES: Mapping[int, str] = {2: "uint8", 3: "int8", 8: "text", 10: "float16", 16: "bfloat16", 17: "float8"}
_MAX_RANK = 16
_MAX_ELEMENTS = 1 << 40
_QUANTISED = frozenset(
    ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger")
) | {"MatMulInteger"}


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of ONNX: values by name, ``""`` for one that is left out, and attributes by name."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Attr]
    name: str = ""

    @property
    def label(self) -> str:
        """The operator and one of its names, for error messages."""
        return f"{self.op} {self.name or (self.outputs[0] if self.outputs else '')!r}"

    def given(self, at: int) -> str | None:
        """Return the input at a position, None when it is left out."""
        return (self.inputs[at] or None) if at < len(self.inputs) else None

    def number(self, name: str, default: int) -> int:
        """Return an attribute that is an integer; ``TypeError`` when it is something else."""
        found: int = _typed(self.attrs.get(name, default), int, name)
        return found

    def real(self, name: str, default: float) -> float:
        """Return an attribute that is a float; ``TypeError`` when it is something else."""
        found: float = _typed(self.attrs.get(name, default), float, name)
        return found

    def text(self, name: str, default: str) -> str:
        """Return an attribute that is text; ``TypeError`` when it is something else."""
        found: str = _typed(self.attrs.get(name, default), str, name)
        return found

    def numbers(self, name: str) -> tuple[int, ...] | None:
        """Return an attribute that is a list of integers, None when it is missing."""
        value = self.attrs.get(name)
        if value is None:
            return None
        return tuple(_typed(item, int, name) for item in _typed(value, tuple, name))


def _typed(value: Any, kind: type, name: str) -> Any:
    if type(value) is not kind:
        raise TypeError(f"the attribute {name!r} is no {kind.__name__}")
    return value


@dataclass(frozen=True, slots=True)
class Value:
    """An input or an output of the graph: a number, a name or None for each side; None for an unknown shape."""

    name: str
    sides: tuple[int | str | None, ...] | None
    element: int | None = FLOAT


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Nodes in the order of the file, constants by name, inputs without the constants, outputs; and the opset."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    opset: int


def decode_graph(data: bytes, path: Path | None) -> Graph:
    """Return the graph in the bytes of an ONNX file. Raises ``FormatError`` for what is damaged or cannot be read."""
    from google.protobuf.message import DecodeError

    try:
        model = model_message().FromString(data)
    except DecodeError as error:
        raise FormatError("this is no ONNX file, or a part of one", path=path, hint=DAMAGED) from error
    if not model.IsInitialized() or not model.HasField("graph"):
        raise FormatError("the ONNX file holds no graph", path=path, hint=DAMAGED)
    opset = _opset(model, path)
    graph = model.graph
    if graph.sparse_initializer:
        raise FormatError("the ONNX file holds sparse weights", path=path, hint=EXPORT)
    nodes = tuple(_node(node, path) for node in graph.node)
    constants: dict[str, Array] = {}
    for tensor in graph.initializer:
        name = to_text(tensor.name)
        if name in constants:
            raise FormatError(f"the ONNX file holds the weight {name!r} twice", path=path, hint=DAMAGED)
        constants[name] = _array(tensor, f"weight {name!r}", path)
    inputs = tuple(value for value in map(_value, graph.input) if value.name not in constants)
    return Graph(nodes, constants, inputs, tuple(map(_value, graph.output)), opset)


def _opset(model: Any, path: Path | None) -> int:
    versions = {to_text(entry.domain): int(entry.version) for entry in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx"))
    if opset is None:
        raise FormatError("the ONNX file does not say which operators it uses (opset)", path=path, hint=DAMAGED)
    if not OLDEST <= opset <= NEWEST:
        what = f"the ONNX file uses opset {opset}, known are {OLDEST} to {NEWEST}"
        raise FormatError(what, path=path, hint="export the model with opset 11 to 17")
    return opset


def _node(message: Any, path: Path | None) -> Node:
    op, domain = to_text(message.op_type), to_text(message.domain)
    node = Node(op, tuple(map(to_text, message.input)), tuple(map(to_text, message.output)), {}, to_text(message.name))
    if op in _QUANTISED:
        what = f"the ONNX model is quantised: it has {node.label}"
        raise FormatError(what, path=path, hint="give the model in float32; the kit quantises it itself")
    if domain not in ("", "ai.onnx"):
        hint = "give the file as it was exported, before ONNX Runtime or another tool optimised it"
        raise FormatError(f"{node.label} belongs to {domain!r}, not to ONNX", path=path, hint=hint)
    attrs: dict[str, Attr] = {}
    for attribute in message.attribute:
        name = to_text(attribute.name)
        found = _attr(attribute, f"{node.label}, attribute {name!r}", path)
        if found is not None:
            attrs[name] = found
    return Node(op, node.inputs, node.outputs, attrs, node.name)


def _attr(message: Any, what: str, path: Path | None) -> Attr | None:
    """Return the value of an attribute; None for a type that no operator here has, such as a graph."""
    if message.type == ATTR_TYPES["t"]:
        return _array(message.t, what, path)
    if message.type == ATTR_TYPES["s"]:
        return to_text(message.s)
    for field in ("i", "f"):
        if message.type == ATTR_TYPES[field]:
            value: int | float = getattr(message, field)
            return value
    for field in ("ints", "floats"):
        if message.type == ATTR_TYPES[field]:
            return tuple(getattr(message, field))
    return None


def _array(message: Any, what: str, path: Path | None) -> Array:
    """Return a tensor of the file, read-only."""
    if message.data_location or message.external_data:
        hint = "join them, for instance with onnx.load and onnx.save in Python"
        raise FormatError(f"{what} lies in another file (external data)", path=path, hint=hint)
    kind = message.data_type
    if kind not in _DTYPES:
        found = _OTHER_TYPES.get(kind, f"type {kind}")
        raise FormatError(f"{what} is {found}, float32 is expected", path=path, hint=EXPORT)
    dims = tuple(message.dims)
    # The product without zeros too: numpy refuses an empty array whose other sizes pass its address space.
    if len(dims) > _MAX_RANK or min(dims, default=0) < 0 or math.prod(max(d, 1) for d in dims) > _MAX_ELEMENTS:
        raise FormatError(f"{what} has the sizes {list(dims[:_MAX_RANK])}", path=path, hint=DAMAGED)
    dtype, count = _DTYPES[kind], math.prod(dims)
    raw = message.raw_data if message.HasField("raw_data") else None
    listed = () if raw is not None else getattr(message, _FIELDS[kind])
    size = len(listed) if raw is None else len(raw) / dtype.itemsize
    if size != count:
        raise FormatError(f"{what} holds {size:g} elements, {count} are expected", path=path, hint=DAMAGED)
    array: Array = (np.array(listed).astype(dtype) if raw is None else np.frombuffer(raw, dtype)).reshape(dims)
    array.flags.writeable = False
    return array


def _value(message: Any) -> Value:
    tensor = message.type.tensor_type
    sides = tuple(map(_side, tensor.shape.dim)) if tensor.HasField("shape") else None
    return Value(to_text(message.name), sides, tensor.elem_type if tensor.HasField("elem_type") else None)


def _side(dim: Any) -> int | str | None:
    if dim.HasField("dim_param"):
        return to_text(dim.dim_param)
    return int(dim.dim_value) if dim.HasField("dim_value") else None
