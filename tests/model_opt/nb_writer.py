"""Write small ``.nb`` files for tests: an independent writer, on Google's flatbuffers library.

``nb_bytes`` gives a right file; its arguments can make it wrong in one chosen way.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np

ATTR_SLOTS = {
    int: (0, 2, "Int32"),
    float: (1, 3, "Float32"),
    str: (2, 4, "text"),
    bytes: (2, 4, "text"),
    "ints": (3, 5, "Int32"),
    "floats": (4, 6, "Float32"),
    "strings": (5, 7, "texts"),
    bool: (6, 8, "Bool"),
    "bools": (7, 9, "Bool"),
    "block": (8, 10, "Int32"),
    "long": (9, 11, "Int64"),
    "blocks": (10, 12, "Int32"),
    "longs": (11, 13, "Int64"),
    "float64s": (12, 15, "Float64"),
    "float64": (15, 14, "Float64"),
}
DTYPE_NUMBERS = {
    "bool": 0,
    "int16": 1,
    "int32": 2,
    "int64": 3,
    "float16": 4,
    "float32": 5,
    "float64": 6,
    "uint8": 20,
    "int8": 21,
}


@dataclass
class Op:
    """One operator; attribute values are plain Python values, or ``(kind, value)`` with a kind of ``ATTR_SLOTS``."""

    type: str
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    outputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)
    place: str | None = "4/1/1"
    sort: bool = True


class Writer:
    """A builder of nested tables; each method returns the offset of what it wrote."""

    def __init__(self) -> None:
        self.b = flatbuffers.Builder(1024)

    def table(self, slots: int, values: Mapping[int, tuple[str, Any]]) -> int:
        self.b.StartObject(slots)
        for slot, (kind, value) in values.items():
            if kind == "ref":
                self.b.PrependUOffsetTRelativeSlot(slot, value, 0)
            else:
                getattr(self.b, f"Prepend{kind}Slot")(slot, value, None)
        return self.b.EndObject()

    def text(self, text: str | bytes) -> int:
        return self.b.CreateString(text)

    def refs(self, offsets: Sequence[int]) -> int:
        self.b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.b.PrependUOffsetTRelative(offset)
        return self.b.EndVector()

    def numbers(self, kind: str, values: Sequence[Any]) -> int:
        size = {"Int32": 4, "Float32": 4, "Int64": 8, "Float64": 8, "Bool": 1, "Int8": 1}[kind]
        self.b.StartVector(size, len(values), size)
        for value in reversed(values):
            getattr(self.b, f"Prepend{kind}")(value)
        return self.b.EndVector()

    def finish(self, root: int) -> bytes:
        self.b.Finish(root)
        return bytes(self.b.Output())


def _attr(w: Writer, name: str, value: Any) -> int:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and value[0] in ATTR_SLOTS:
        kind, value = value
    else:
        kind = type(value)
    number, slot, how = ATTR_SLOTS[kind]
    if how == "text":
        stored = ("ref", w.text(value))
    elif how == "texts":
        stored = ("ref", w.refs([w.text(item) for item in value]))
    elif isinstance(kind, str) and kind.endswith("s"):
        stored = ("ref", w.numbers(how, value))
    else:
        stored = (how, value)
    return w.table(16, {0: ("ref", w.text(name)), 1: ("Int32", number), slot: stored})


def _arguments(w: Writer, arguments: Mapping[str, Sequence[str]]) -> int:
    tables = []
    for name, values in arguments.items():
        names = w.refs([w.text(value) for value in values])
        tables.append(w.table(2, {0: ("ref", w.text(name)), 1: ("ref", names)}))
    return w.refs(tables)


def _op(w: Writer, op: Op) -> int:
    attrs = dict(op.attrs)
    if op.place is not None:
        attrs["__@kernel_type_attr@__"] = f"{op.type}/def/{op.place}"
    items = sorted(attrs.items()) if op.sort else list(attrs.items())
    attr_vector = w.refs([_attr(w, name, value) for name, value in items])
    inputs, outputs = _arguments(w, op.inputs), _arguments(w, op.outputs)
    values = {0: ("ref", w.text(op.type)), 1: ("ref", inputs), 2: ("ref", outputs), 3: ("ref", attr_vector)}
    return w.table(5, values)


def _var(w: Writer, name: str, kind: int, persistable: bool, data_type: int, dims: Sequence[int]) -> int:
    tensor = w.table(2, {0: ("Int32", data_type), 1: ("ref", w.numbers("Int64", dims))})
    lod_tensor = w.table(2, {0: ("ref", tensor)})
    var_type = w.table(6, {0: ("Int32", kind), 2: ("ref", lod_tensor)})
    return w.table(4, {0: ("ref", w.text(name)), 1: ("ref", var_type), 2: ("Bool", persistable)})


def topology(ops: Sequence[Op], variables: Sequence[tuple[str, int, bool, int, Sequence[int]]]) -> bytes:
    """Return the flatbuffer of a program of one block."""
    w = Writer()
    op_vector = w.refs([_op(w, op) for op in ops])
    var_vector = w.refs([_var(w, *var) for var in variables])
    block = w.table(5, {2: ("ref", var_vector), 3: ("ref", op_vector), 4: ("Int32", -1)})
    version = w.table(1, {0: ("Int64", 2004001)})
    return w.finish(w.table(3, {0: ("ref", w.refs([block])), 1: ("ref", version)}))


def param(name: str, array: np.ndarray, *, union: int = 1, dims: Sequence[int] | None = None) -> bytes:
    """Return the flatbuffer of one parameter."""
    w = Writer()
    data = w.b.CreateByteVector(array.tobytes())
    shape = w.numbers("Int64", array.shape if dims is None else dims)
    number = DTYPE_NUMBERS[array.dtype.name]
    tensor = w.table(5, {2: ("ref", shape), 3: ("Int32", number), 4: ("ref", data)})
    return w.finish(w.table(4, {1: ("ref", w.text(name)), 2: ("Uint8", union), 3: ("ref", tensor)}))


def join(
    top: bytes,
    params: Sequence[bytes],
    *,
    meta_version: int = 2,
    version: bytes = b"v2.14-rc",
    count: int | None = None,
    largest: int = 0,
) -> bytes:
    """Return the file of a topology and parameters."""
    head = struct.pack("<H16sQ", meta_version, version, len(top))
    middle = struct.pack("<HHHHI", 0, 0, 6, len(params) if count is None else count, largest)
    return head + top + middle + b"".join(struct.pack("<II", len(p) + 4, 4) + p for p in params)


def nb_bytes(
    ops: Sequence[Op],
    params: Mapping[str, np.ndarray] | None = None,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    version: bytes = b"v2.14-rc",
) -> bytes:
    """Return a right file: ``feed``, the given operators, ``fetch``; every argument is declared."""
    params = params or {}
    shapes = shapes or {}
    variables = [("feed", 9, True, 0, ()), ("fetch", 10, True, 0, ())]
    names = {name for op in ops for group in (op.inputs, op.outputs) for values in group.values() for name in values}
    for name in sorted(names):
        if name in params:
            array = params[name]
            variables.append((name, 7, True, DTYPE_NUMBERS[array.dtype.name], array.shape))
        elif name not in ("feed", "fetch"):
            variables.append((name, 7, False, 5, shapes.get(name, ())))
    largest = max((array.nbytes for array in params.values()), default=0)
    pieces = [param(name, array) for name, array in sorted(params.items())]
    return join(topology(ops, variables), pieces, version=version, largest=largest)


def feed(name: str, col: int = 0) -> Op:
    """Return the operator that takes input ``col``."""
    return Op("feed", {"X": ["feed"]}, {"Out": [name]}, {"col": col}, place="1/4/2")


def fetch(name: str, col: int = 0) -> Op:
    """Return the operator that gives output ``col``."""
    return Op("fetch", {"X": [name]}, {"Out": ["fetch"]}, {"col": col}, place="1/4/2")


def small_model(place: str = "4/1/1", version: bytes = b"v2.14-rc") -> bytes:
    """Return ``y = relu(x * w)`` with one parameter."""
    ops = [
        feed("x"),
        Op("elementwise_mul", {"X": ["x"], "Y": ["w"]}, {"Out": ["m"]}, {"axis": -1}, place),
        Op("relu", {"X": ["m"]}, {"Out": ["y"]}, {}, place),
        fetch("y"),
    ]
    return nb_bytes(ops, {"w": np.arange(6, dtype=np.float32).reshape(1, 6)}, shapes={"x": (-1, 6)}, version=version)
